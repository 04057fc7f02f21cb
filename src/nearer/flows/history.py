"""Everything that happened to the live pointer."""

from nearer.core.results.releases import History, HistoryEvent
from nearer.store.workspace import Workspace


def history(workspace: Workspace) -> History:
    """Everything that happened to the live pointer, oldest first; the report shows a refusal's measurements."""
    return History(
        events=tuple(
            HistoryEvent(
                at=event.at,
                action=event.action,
                release_id=event.release_id,
                previous_release_id=event.previous_release_id,
                detail={key: value for key, value in event.detail.items() if key not in ("evaluation", "suite")},
            )
            for event in workspace.registry.history()
            if event.action not in ("train", "train_reranker", "advise", "compress")
        )
    )
