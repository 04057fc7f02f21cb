"""Users held out: the release that was live first answers them, whatever goes live; the report shows both."""

import pytest

from nearer.flows.experiment import experiments
from nearer.flows.promote import promote
from nearer.online.assign import is_held_out
from nearer.store.workspace import Workspace
from web.conftest import eventually

pytestmark = pytest.mark.slow

USERS = [f"user-{number}" for number in range(160)]


@pytest.mark.exhaustive
def test_users_held_out_keep_the_first_release_and_take_part_in_nothing(serving, base_live):
    recipe = base_live / "nearer.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\n[search]\nholdout = 0.3\n", encoding="utf-8")
    with Workspace.open(base_live) as workspace:
        first = workspace.registry.live_id()
    live = serving(base_live).ready()
    held_out = {user for user in USERS if is_held_out(user, share=0.3)}
    assert 25 < len(held_out) < 75
    assert {live.post("/v1/search", query="rain", user=user)["arm"] for user in USERS[:20]} == {"live"}, "all alike yet"

    second = promote(live.workspace, "bm25", force_reason="to compare it").release_id
    eventually(lambda: live.service.router.first.served, what="the first release is open again")
    eventually(lambda: live.service.searcher.served.release.release_id == second, what="the second is live")
    third = promote(live.workspace, "base+hybrid", share=0.5, force_reason="to compare it").release_id
    eventually(lambda: live.service.router.served, what="the treatment is open")
    for user in USERS:
        answer = live.post("/v1/search", query="music and water", user=user)
        is_out = user in held_out
        assert (answer["arm"] == "holdout") == is_out
        assert answer["release_id"] == first if is_out else answer["release_id"] in (second, third)
        if is_out:
            continue
        click = {"action_name": "click", "query_id": answer["query_id"], "client_id": user}
        body = {**click, "object_id": answer["results"][0]["doc_id"], "event_id": f"click-{user}"}
        assert live.client.post("/v1/events", json=[body]).status_code < 300
    assert live.post("/v1/search", query="rain")["arm"] == "live", "who says nothing cannot be held out"
    found = experiments(live.workspace).holdout
    assert found.release_id == first
    assert found.num_units["control"] == len(held_out)
    assert found.effect.control.value == 0.0
    assert found.effect.treatment.value > 0.5
    assert found.effect.absolute.low > 0
    page = live.client.get("/dashboard/experiments").text
    assert "Since the first release" in page


def test_without_a_share_nobody_is_held_out(live):
    promote(live.workspace, "bm25", force_reason="to compare it")
    assert {live.post("/v1/search", query="rain", user=user)["arm"] for user in USERS[:30]} == {"live"}
    assert live.service.router.first.served is None
    assert experiments(live.workspace).holdout is None
