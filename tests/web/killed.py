"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

from nearer.core.records import Document
from nearer.flows.documents import put
from nearer.store.arms import Arms
from nearer.store.registered import Decision, Release
from nearer.store.shadows import ShadowAnswer, Shadows
from nearer.store.workspace import Workspace


def put_one(folder):
    """Put the document ``killed`` into the workspace of that folder."""
    with Workspace.open(folder) as workspace:
        put(workspace, [Document(doc_id="killed", text="a text")])


def answer(query):
    """An answer beside a shadow."""
    return ShadowAnswer(
        at="2026-01-01",
        query=query,
        live_release_id="release-1",
        live=[("d", 1.0)],
        shadow=[],
        live_ms=1.0,
        shadow_ms=2.0,
    )


def counts(offered=0):
    """What is counted beside answers."""
    return {"num_offered": offered, "num_dropped": 0, "num_failed": 0}


def shadow_once(folder):
    """Enter a shadow into the workspace of that folder, and one answer."""
    with Workspace.open(folder) as workspace:
        live = workspace.registry.live()
        entry = Shadows(workspace.database).start(
            Release(release_id="", model_id=live.model_id, space_id=live.space_id, system=live.system),
            system="x",
            share=1,
        )
        Shadows(workspace.database).add(entry.shadow_id, [answer("q")], **counts(offered=1))


def share_users(folder):
    """Have the release that is live answer a share of the users too."""
    with Workspace.open(folder) as workspace:
        live = workspace.registry.live_id()
        decision = Decision(action="arm", model_id=workspace.registry.live().model_id)
        Arms(workspace.database).start(decision, live_id=live, release_id=live, share=0.5)
