"""Everything that happened to the live pointer."""

from dataclasses import asdict
from typing import Any

from nearer.store.workspace import Workspace


def history(workspace: Workspace) -> dict[str, Any]:
    """Everything that happened to the live pointer, oldest first; the report shows a refusal's measurements."""
    events = [
        asdict(event)
        for event in workspace.registry.history()
        if event.action not in ("train", "train_reranker", "advise", "compress")
    ]
    for event in events:
        event["detail"] = {key: value for key, value in event["detail"].items() if key not in ("evaluation", "suite")}
    return {"events": events}
