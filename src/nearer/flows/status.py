"""Say what is live, and what there is."""

from nearer.core.results.status import Status
from nearer.store.files import bytes_in
from nearer.store.overview import overview
from nearer.store.workspace import Workspace
from nearer.training.unfinished import unfinished_runs

_PLACES = {
    "models": "models",
    "unfinished trainings": "training",
    "indexes": "indexes",
    "bm25": "lexical",
    "cached vectors": "embeddings",
    "reports": "reports",
}
"""Where each kind of thing lies, but for the database."""


def status(workspace: Workspace) -> Status:
    """What is live, what a rollback would return to, the models and unfinished trainings there are, and costs."""
    found = overview(workspace)
    return Status(
        live=found.live,
        previous=found.previous,
        models=found.models,
        rerankers=found.rerankers,
        unfinished=tuple(each.summary for each in unfinished_runs(workspace)),
        bytes={
            "documents and records": found.num_bytes,
            **{kind: bytes_in(workspace.state / place) for kind, place in _PLACES.items()},
        },
        api=found.api,
    )
