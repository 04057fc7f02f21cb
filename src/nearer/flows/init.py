"""Make a new workspace, with a PostgreSQL of its own where that is asked."""

from pathlib import Path

from nearer.core.results.data import NewWorkspace
from nearer.core.sections import HERE
from nearer.retrieval.pg_server import require_postgres
from nearer.store.postgres_address import start_here
from nearer.store.workspace import Workspace


def init(folder: Path | str, *, postgres: bool = False) -> NewWorkspace:
    """Make ``folder`` a workspace; with ``postgres`` its records and vectors are in a PostgreSQL of its own.

    The server lies in .nearer/postgres, starts when it is first needed, and ends with the last process that needs it.
    Raises WorkspaceError as ``Workspace.init`` does, InputError where what PostgreSQL needs is not installed.
    """
    if not postgres:
        with Workspace.init(folder) as workspace:
            return NewWorkspace(workspace=str(workspace.folder))
    require_postgres()
    recipe: dict[str, object] = {"store": {"url": HERE}, "index": {"kind": "pgvector", "url": HERE}}
    with Workspace.init(folder, recipe=recipe) as workspace:
        return NewWorkspace(workspace=str(workspace.folder), postgres=start_here(workspace.state))
