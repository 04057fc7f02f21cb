"""`nearer demo --loop`, with the tiny model: two turns, of new modules each, and the page that shows them."""

from dataclasses import replace

import pytest

from nearer.flows.demo.corpus import stdlib_functions
from nearer.flows.demo.rows import GROUP, held_out
from nearer.flows.demo.turns import LOOP, demo_loop
from nearer.store.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.mark.exhaustive
def test_two_turns_end_in_a_page(tmp_path, tiny_recipe, monkeypatch):
    sides = held_out()
    split = {"by": "group", "field": GROUP, "dev_groups": sides["dev"], "test_groups": sides["test"]}
    recipe = {**tiny_recipe, "chunk": {"enabled": False}, "split": split, "gate": {"min_gain": -1.0}}
    recipe["train"] = {**tiny_recipe["train"], "passes": 1}
    made = lambda folder, size: Workspace.init(folder, recipe=recipe)  # noqa: E731
    monkeypatch.setattr("nearer.flows.demo.turns.new_workspace", made)
    size = replace(LOOP, num_documents=300, num_queries={"train": 200, "dev": 40, "test": 60})
    found = demo_loop(tmp_path / "demo", size=size, sessions=1500, functions=list(stdlib_functions()))
    assert [turn.number for turn in found.turns] == [1, 2]
    assert {turn.verdict for turn in found.turns} <= {"promoted", "nothing better", "refused"}
    with Workspace.open(tmp_path / "demo") as shop, Workspace.open(tmp_path / "demo" / "users") as users:
        queries = {each.query_id: each.metadata[GROUP] for each in users.collection.queries()}
        asked = [{queries[q.query_id] for q in users.collection.queries(f"turn-{turn}")} for turn in (1, 2)]
        assert asked[0]
        assert asked[1]
        assert not asked[0] & asked[1], "whole modules are new in the second turn"
        known = {each.query_id for each in shop.collection.queries() if not each.query_id.startswith("clicked-")}
        assert len(known) < len(queries)
        judged = [each for each in shop.collection.all_judgments() if each.source == "clicks"]
        assert judged
        tested = {each.query_id for each in shop.collection.queries("test")}
        assert not tested & {each.query_id for each in judged}
    page = (tmp_path / "demo" / ".nearer" / "reports" / "report.html").read_text(encoding="utf-8")
    assert "Turns of the loop" in page
    assert found.report.endswith("report.html")
