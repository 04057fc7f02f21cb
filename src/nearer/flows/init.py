"""Make a new workspace, with a PostgreSQL of its own where that is asked."""

from pathlib import Path

from nearer.core.results.data import NewWorkspace
from nearer.retrieval.pg_server import HERE, require_postgres, start_here
from nearer.store.workspace import Workspace


def init(folder: Path | str, *, postgres: bool = False) -> NewWorkspace:
    """Make ``folder`` a workspace; with ``postgres`` its index is in a PostgreSQL of its own, for trying that out.

    The server lies in .nearer/postgres, starts when it is first needed, and ends with the last process that needs it.
    Raises WorkspaceError as ``Workspace.init`` does, InputError where what PostgreSQL needs is not installed.
    """
    if not postgres:
        with Workspace.init(folder) as workspace:
            return NewWorkspace(workspace=str(workspace.folder))
    require_postgres()
    recipe: dict[str, object] = {"index": {"kind": "pgvector", "url": HERE}}
    with Workspace.init(folder, recipe=recipe) as workspace:
        return NewWorkspace(workspace=str(workspace.folder), postgres=start_here(workspace.state))
