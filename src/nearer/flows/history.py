"""Everything that happened to the live pointer."""

from nearer.core.results.releases import History
from nearer.store.workspace import Workspace


def history(workspace: Workspace) -> History:
    """Everything that happened to the live pointer, oldest first; the report shows what the gate saw."""
    return History(events=tuple(workspace.registry.history()))
