"""Two releases by share of users: each keeps an arm, each answer is stamped with the one that gave it."""

import pytest

from forked import die_at
from nearer.core.errors import Conflict, InputError, NotFound
from nearer.flows.arm import arm_status, stop_arm
from nearer.flows.history import history
from nearer.flows.promote import promote
from nearer.flows.rollback import rollback
from nearer.online.assign import Allocation
from nearer.store.arms import Arms
from nearer.store.workspace import Workspace
from web.conftest import eventually
from web.killed import share_users

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(live):
    """A service in which bm25 answers 30 % of the users, and the release of it."""
    promoted = promote(live.workspace, "bm25", share=0.3, force_reason="to compare it")
    eventually(lambda: live.service.router.served, what="the treatment is open")
    return live, promoted.release_id


def test_users_keep_their_arm_and_answers_are_stamped(shared):
    live, treatment = shared
    control = live.workspace.registry.live_id()
    arms = {}
    for number in range(60):
        answer = live.post("/v1/search", query="harbour lantern", user=f"user-{number}")
        arms[f"user-{number}"] = answer["arm"]
        assert answer["release_id"] == {"control": control, "treatment": treatment}[answer["arm"]]
    entry = Arms(live.workspace.database).active()
    allocation = Allocation(salt=entry.arm_id, weights={"control": 0.7, "treatment": 0.3})
    assert arms == {user: allocation.arm_of(user) for user in arms}
    assert 8 <= list(arms.values()).count("treatment") <= 30
    for user, arm in list(arms.items())[:10]:
        assert live.post("/v1/search", query="rain", session=user)["arm"] == arm, "a session stands in for a user"
        assert live.post("/v1/search", query="rain", user=user, session="another")["arm"] == arm
    nobody = live.post("/v1/search", query="rain")
    assert (nobody["arm"], nobody["release_id"]) == ("live", control)


@pytest.mark.exhaustive
def test_a_batch_is_answered_arm_by_arm_in_order(shared):
    live, treatment = shared
    queries = [{"query": f"harbour {n}", "user": f"user-{n}", "k": 3} for n in range(20)]
    together = live.post("/v1/search/batch", queries=queries)["answers"]
    alone = [live.post("/v1/search", **each) for each in queries]
    for left, right in zip(together, alone, strict=True):
        assert (left["arm"], left["release_id"]) == (right["arm"], right["release_id"])
        assert [each["doc_id"] for each in left["results"]] == [each["doc_id"] for each in right["results"]]
    assert {each["release_id"] for each in together} == {treatment, live.workspace.registry.live_id()}


def test_it_ends_when_it_is_stopped_and_when_live_moves(shared):
    live, treatment = shared
    control = live.workspace.registry.live_id()
    assert arm_status(live.workspace).ended_at is None
    with pytest.raises(Conflict, match="answers a share"):
        promote(live.workspace, treatment, share=0.1)
    assert stop_arm(live.workspace).ended_at
    eventually(lambda: live.service.router.served is None, what="live answers all")
    assert {live.post("/v1/search", query="rain", user=f"u{n}")["arm"] for n in range(20)} == {"live"}
    with pytest.raises(NotFound, match="live answers all"):
        stop_arm(live.workspace)
    promoted = promote(live.workspace, treatment, share=0.5)
    assert promoted.share == 0.5
    assert live.workspace.registry.live_id() == control, "live is what it was"
    promote(live.workspace, treatment)
    assert arm_status(live.workspace).ended_at, "what it was beside is not live any more"
    assert rollback(live.workspace).release_id == control
    assert [event.action for event in history(live.workspace).events][-4:] == ["arm", "arm", "promote", "rollback"]


def test_documents_reach_both_arms(shared):
    live, _ = shared
    live.client.put("/v1/documents?wait=true", json={"documents": [{"id": "z", "text": "a zebra on the quay"}]})
    revision = live.workspace.collection.revision()
    for served in (lambda: live.service.router.served, lambda: live.service.follower.served):
        eventually(lambda served=served: served().index.manifest.revision >= revision, what="the index follows")
    for number in range(12):
        answer = live.post("/v1/search", query="zebra quay", user=f"user-{number}", k=1)
        assert answer["results"][0]["doc_id"] == "z", answer["arm"]


def test_the_gate_is_asked_for_a_share_too(live):
    refused = promote(live.workspace, "bm25", share=0.2)
    if refused.verdict == "refused":
        assert Arms(live.workspace.database).active() is None
        assert history(live.workspace).events[-1].action == "refuse"
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(InputError, match="share"):
            promote(live.workspace, "hybrid", share=share)


def test_over_the_command_line(base_live, ask):
    assert "no release answered" in ask(base_live, "arm", "status", code=2)["error"]["message"]
    made = ask(base_live, "promote", "bm25", "--share", 0.25, "--force", "--reason", "to try it", code=None)
    assert made["share"] == 0.25
    assert ask(base_live, "arm", "status")["release_id"] == made["release_id"]
    assert ask(base_live, "arm", "stop")["ended_at"]
    assert ask(base_live, "arm", "begin", code=2)["error"]["code"] == "usage"


def test_nothing_is_shared_before_something_is_live(tmp_path, tiny_recipe):
    with (
        Workspace.init(tmp_path / "new", recipe=tiny_recipe) as workspace,
        pytest.raises(NotFound, match="nothing is live"),
    ):
        promote(workspace, "base", share=0.5)


def test_killed_it_is_there_whole(base_live):
    die_at("arms.started", share_users, base_live)
    with Workspace.open(base_live) as workspace:
        assert Arms(workspace.database).active().share == 0.5
        assert history(workspace).events[-1].action == "arm"
