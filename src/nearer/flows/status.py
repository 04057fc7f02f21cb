"""Say what is live, and what there is."""

from nearer.core.results.status import ModelStatus, ReleaseStatus, RerankerStatus, Status
from nearer.store.files import bytes_in
from nearer.store.registered import Release
from nearer.store.usage import usage_by_model
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
    registry = workspace.registry
    num_documents = workspace.collection.counts()["documents"]
    return Status(
        live=_describe(registry.live(), num_documents),
        previous=_describe(registry.previous(), num_documents),
        models=tuple(
            ModelStatus(model_id=each.model_id, parent_model_id=each.parent_model_id, created_at=each.created_at)
            for each in registry.models()
        ),
        rerankers=tuple(
            RerankerStatus(reranker_id=each.reranker_id, parent_id=each.parent_id, created_at=each.created_at)
            for each in registry.rerankers()
        ),
        unfinished=tuple(each.summary for each in unfinished_runs(workspace)),
        bytes={
            "documents and records": workspace.database.num_bytes,
            **{kind: bytes_in(workspace.state / place) for kind, place in _PLACES.items()},
        },
        api=tuple(usage_by_model(workspace.database)),
    )


def _describe(release: Release | None, num_documents: int) -> ReleaseStatus | None:
    if release is None:
        return None
    return ReleaseStatus(
        release_id=release.release_id,
        model_id=release.model_id,
        space_id=release.space_id,
        is_unmeasured=release.is_unmeasured,
        stages=tuple(release.system.get("stages", ())),
        num_documents=num_documents,
        created_at=release.created_at,
    )
