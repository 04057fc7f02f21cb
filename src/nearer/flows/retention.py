"""Events are kept so long as the recipe says, and what was forgotten goes from every file."""

from datetime import UTC, datetime, timedelta

from nearer.core.errors import WorkspaceBusy
from nearer.store.events.forgetting import finish_forgetting, is_forgetting, remove_before
from nearer.store.events.segments import open_files
from nearer.store.workspace import Workspace


def enforce_retention(workspace: Workspace) -> int:
    """Remove events older than ``events.keep_days``; how many records, none while another process is at it."""
    folder, days = workspace.events, workspace.recipe.events.keep_days
    if days is None and not is_forgetting(folder):
        return 0
    try:
        with workspace.lease("events", verb="events"):
            if not open_files(folder):
                finish_forgetting(folder)
            return 0 if days is None else remove_before(folder, datetime.now(UTC) - timedelta(days=days))
    except WorkspaceBusy:
        return 0
