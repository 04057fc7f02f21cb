"""Whether it is time for another turn: what users ask, and what becomes of it, beside the period before."""

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.results.drift import Drift
from nearer.flows.retention import enforce_retention
from nearer.online.metrics import metric_of
from nearer.serving.drift import find_drift
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system


def drift(
    workspace: Workspace,
    *,
    days: int = 7,
    metric: str = "click_through",
    against: str = "before",
    seed: int = 0,
    progress: Progress | None = None,
) -> Drift:
    """Compare the newest ``days`` of the event log with as many before: queries, searches without results, a metric.

    The newest period ends with the last search. Queries are compared as the live model (or the base) sees them, one
    search a person; ``against`` "training" compares them with the training queries instead. Each signal has a test by
    permutation over persons, of which 1 in 100 is a false alarm. Raises InputError for an empty log, days below 1, and
    what is no metric.
    """
    if days < 1:
        raise InputError(f"--days {days}: a period has a day at least", hint="for example: nearer drift --days 7")
    if against not in ("before", "training"):
        raise InputError(f"--against {against!r} is neither before nor training", hint="leave it out, for before")
    watched = metric_of(metric)
    enforce_retention(workspace)
    workspace.begin_writing()
    event_folder(workspace)
    found = find_drift(
        workspace,
        open_system(workspace, LIVE if workspace.registry.live() else BASE),
        days=days,
        watched=watched,
        against="training" if against == "training" else "before",
        seed=seed,
        progress=progress or Silent(),
    )
    workspace.results.keep("drift", found)
    return found
