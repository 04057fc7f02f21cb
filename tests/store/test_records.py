"""What services and turns of the loop write down, in both databases."""

import json
from functools import partial

import pytest

from nearer.core.errors import Conflict
from nearer.flows.add import add
from nearer.flows.remove import remove
from nearer.store import shadows
from nearer.store.arms import Arms
from nearer.store.cycles import Cycles, StageEntry
from nearer.store.database import open_database
from nearer.store.experiments import Experiments
from nearer.store.keys import Keys
from nearer.store.llm_answers import Answer, LlmAnswers
from nearer.store.registered import Decision, Model, Release
from nearer.store.registry import Registry
from nearer.store.shadows import ShadowAnswer, Shadows
from nearer.store.workspace import Workspace


@pytest.fixture
def database(store_address):
    database = open_database(store_address)
    yield database
    database.close()


def test_shadows_count_and_keep_the_newest_answers(database, monkeypatch):
    monkeypatch.setattr(shadows, "MOST_KEPT", 3)
    store, release = Shadows(database), Release(release_id="", model_id="m", space_id="s", system={"stages": ["dense"]})
    entry = store.start(release, system="x", share=0.5)
    with pytest.raises(Conflict):
        store.start(release, system="y", share=0.5)
    for number in range(5):
        answer = ShadowAnswer(
            at="2026", query=f"q{number}\0", live_release_id="r", live=[("d", 1.5)], shadow=[], live_ms=1, shadow_ms=2
        )
        store.add(entry.shadow_id, [answer], num_offered=2, num_dropped=1, num_failed=0)
    assert [each.query for each in store.answers(entry.shadow_id)] == ["q2\0", "q3\0", "q4\0"]
    assert store.answers(entry.shadow_id)[0].live == (("d", 1.5),)
    assert (store.active().num_offered, store.active().num_dropped) == (10, 5)
    assert store.of_system(model_id="m", description={"stages": ["dense"]}).shadow_id == entry.shadow_id
    store.stop(entry.shadow_id)
    assert store.active() is None
    assert store.used_parts() == set()


def test_an_experiment_runs_on_an_arm_and_ends_with_it(database):
    registry, arms, experiments = Registry(database), Arms(database), Experiments(database)
    model = Model(model_id="m", encoder_id="e", source="x", encoder={})
    live, other = (registry.add_release(model=model, system={"n": number}).release_id for number in (1, 2))
    registry.move_live(Decision(action="promote", model_id="m"), expected=None, release_id=live)
    arms.start(Decision(action="arm", model_id="m"), live_id=live, release_id=other, share=0.2)
    with pytest.raises(Conflict):
        arms.start(Decision(action="arm", model_id="m"), live_id=live, release_id=other, share=0.2)
    plan = {"metric": "x", "share": 0.3}
    begin = partial(experiments.start, Decision(action="arm", model_id="m"), plan, plan_hash="h", offline=None)
    with pytest.raises(Conflict):
        begin(live_id=live, release_id=other)
    assert experiments.running() is None
    first = arms.active()
    arms.stop(first.arm_id)
    assert experiments.on_arm(first.arm_id) is None
    begun = begin(live_id=live, release_id=other)
    assert (arms.active().arm_id, arms.active().share) == (begun.arm_id, 0.3)
    assert experiments.on_arm(begun.arm_id) == begun
    assert experiments.running() == begun
    ended = experiments.end(begun, reason="done", ended_at="2026", report={"effect": 0.1})
    assert (ended.report, ended.offline, arms.active()) == ({"effect": 0.1}, None, None)
    with pytest.raises(Conflict):
        experiments.end(begun, reason="done", ended_at="2026", report={})
    assert registry.released_parts() == {"m"}
    assert set(registry.releases("m")) == {live, other}


def test_a_turn_keeps_what_its_stages_gave_last(database):
    store = Cycles(database)
    first = store.begin({"num_searches": 120}, live_release_id=None)
    stage = StageEntry(stage="train", input_hash="a", state="done", summary="", result={}, at="1", took_s=1.5)
    for result in ({"model_id": "m1"}, {"model_id": "m2"}):
        store.keep(first.cycle_id, StageEntry(**{**{n: getattr(stage, n) for n in stage.__slots__}, "result": result}))
    assert store.stages(first.cycle_id)["train"].result == {"model_id": "m2"}
    assert store.used_parts() == {"m2"}
    assert store.end(first.cycle_id, verdict="live", reasons=("better",)).reasons == ("better",)
    assert store.begin({}, live_release_id=None).number == 2
    assert store.last() == store.all()[-1]


def test_keys_and_answers_of_models(database):
    keys, answers = Keys(database), LlmAnswers(database)
    key, _ = keys.add("shop", scopes=["read"], per_minute=60)
    with pytest.raises(Conflict):
        keys.add("shop", scopes=["read"])
    assert keys.all() == [key]
    keys.remove("shop")
    assert keys.all() == []
    paid = Answer(question_id="q", text="a\0", fault="", num_read=5_000_000_000, num_written=1)
    for _ in range(2):
        answers.keep(paid, model="m", doc_id="d")
    assert answers.get("q") == paid


DOCUMENTS = [{"_id": f"d{number}", "title": "t", "text": f"text {number}"} for number in range(5)]
QUERIES = [{"_id": f"q{number}", "text": f"query {number}", "metadata": {"year": number}} for number in range(4)]
CHANGES = {
    "corpus": [*DOCUMENTS[:2], {**DOCUMENTS[2], "text": "edited"}, {**DOCUMENTS[3], "metadata": {"a": [1.5, None]}}],
    "queries": [QUERIES[0], {**QUERIES[1], "text": "edited"}, {"_id": "new", "text": "new"}],
    "judgments": [{"query_id": "q0", "doc_id": "d0", "grade": 1}, {"query_id": "q1", "doc_id": "d1", "grade": 2}],
    "pairs": [{"query": "a", "positive": "b"}, {"query": "c", "positive": "d", "negatives": ["e"]}],
}
FIRST = {
    "corpus": DOCUMENTS,
    "queries": QUERIES,
    "judgments": [{"query_id": f"q{number}", "doc_id": f"d{number}", "grade": 1} for number in range(4)],
    "pairs": [{"query": "a", "positive": "b"}],
}


def imported(folder, files):
    """What imports and a removal changed, and what is there then."""
    with Workspace.open(folder) as workspace:
        reported = []
        for step, kinds in (("first", FIRST), ("changes", CHANGES), ("changes", CHANGES)):
            for kind, rows in kinds.items():
                file = files / f"{step}-{kind}.jsonl"
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
                reported.append(add(workspace, kind, file, by="human:ann" if kind == "judgments" else "")["changes"])
        reported.append(remove(workspace, ["d4", "d3"]).num_removed)
        there = workspace.collection
        judgments = [(each.query_id, each.doc_id, each.grade, each.document_hash) for each in there.all_judgments()]
        return reported, there.documents(), there.queries(), judgments, there.pairs(), there.revision(), there.counts()


def test_imports_do_the_same_in_both(tmp_path, postgres_store):
    recipe = {"grades": {"max_grade": 2, "relevant_from": 1, "positive_from": 1}}
    Workspace.init(tmp_path / "a", recipe=recipe).close()
    Workspace.init(tmp_path / "b", recipe={**recipe, "store": {"url": postgres_store}}).close()
    found = imported(tmp_path / "a", tmp_path)
    assert imported(tmp_path / "b", tmp_path) == found
    assert found[0][4]["documents"].num_updated == 2
