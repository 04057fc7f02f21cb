"""What a process does that is killed while it copies a database."""

from nearer.flows.copy_store import copy_store
from nearer.store.workspace import Workspace


def copy_to(folder, to):
    """Copy the database of a workspace."""
    with Workspace.open(folder) as workspace:
        copy_store(workspace, to)
