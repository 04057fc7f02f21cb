"""A turn of the loop: its stages, what is kept of them, what waits for users, and what is never let live."""

import shutil
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from nearer.core.errors import InputError
from nearer.flows.add import add
from nearer.flows.cycle import cycle, cycles
from nearer.flows.cycle.users import ENOUGH_ANSWERS
from nearer.flows.prune import prune
from nearer.flows.simulate import simulate
from nearer.store.events.log import EventLog
from nearer.store.experiments import Experiments
from nearer.store.shadows import ShadowAnswer, Shadows
from nearer.store.tables import arms, experiments
from nearer.store.workspace import Workspace
from nearer.turns.fresh import FRESH, hold_fresh, release_fresh
from nearer.turns.news import News, why_nothing_to_learn
from online.synthetic_log import event, impression
from processes import run

pytestmark = pytest.mark.slow

FAST = ("train.passes=1", "train.epochs=2", "evaluate.num_resamples=200")


@pytest.fixture(scope="module")
def _logged(_made, tmp_path_factory):
    """A workspace with the base live and a log of what simulated users clicked."""
    root = tmp_path_factory.mktemp("logged")
    folder = shutil.copytree(_made["base live"], root / "w")
    with Workspace.open(folder, overrides=("search.explore=0.9",)) as workspace:
        simulate(workspace, root / "log.csv", split="train", sessions=800, noise=0.0)
        add(workspace, "events", root / "log.csv")
    return folder


@pytest.fixture(scope="module")
def _gated(_logged, tmp_path_factory):
    """The same after a turn that stopped when the gate had let a candidate through."""
    folder = shutil.copytree(_logged, tmp_path_factory.mktemp("gated") / "w")
    with Workspace.open(folder, overrides=FAST) as workspace:
        assert cycle(workspace, until="gate").verdict == "stopped"
    return folder


@pytest.fixture
def logged(_logged, tmp_path):
    return shutil.copytree(_logged, tmp_path / "logged")


@pytest.fixture
def gated(_gated, tmp_path):
    return shutil.copytree(_gated, tmp_path / "gated")


def states(found):
    return {each.stage: each.state for each in found.stages}


def write(workspace, records):
    log = EventLog(workspace.events, locks=workspace.locks)
    log.commit(records)
    log.close()


def settings(*overrides):
    return [part for each in overrides for part in ("--set", each)]


def test_a_turn_goes_live_and_a_second_without_news_does_nothing(gated, ask):
    with Workspace.open(gated, overrides=FAST) as workspace:
        before = workspace.registry.live_id()
        planned = cycle(workspace, dry_run=True)
        assert planned.verdict == "planned"
        assert states(planned)["gate"] == "kept"
        assert states(planned)["promote"] == "to do"
        assert "models" not in {each.kind for each in prune(workspace, keep=0).removed}, "a turn's models stay"
        found = cycle(workspace)
        assert found.verdict == "promoted"
        assert {each: state for each, state in states(found).items() if state != "kept"} == {
            "train_live": "skipped",
            "shadow": "skipped",
            "canary": "skipped",
            "promote": "done",
            "report": "done",
        }
        assert found.live_before == before != found.release_id == workspace.registry.live_id()
        by_stage = {each.stage: each.result for each in found.stages}
        assert by_stage["judge"]["num_judgments"] > 0
        assert by_stage["train_base"]["num_pairs"] == sum(
            each["num_pairs"] for each in by_stage["train_base"]["sources"]
        )
        moves = [each.action for each in workspace.registry.history()]
        assert moves == ["promote", "hold", "promote"]
        again = cycle(workspace)
        assert (again.verdict, again.stages) == ("nothing to learn", ())
        assert "nothing came in" in again.reasons[0]
        assert [each.verdict for each in cycles(workspace).cycles] == ["promoted"]
        assert len(cycles(workspace).cycles[0].stages) == 11
    assert ask(gated, "cycle", "--dry-run", *settings(*FAST))["verdict"] == "nothing to learn"


@pytest.mark.parametrize(
    "where",
    [
        "cycle.begun",
        *(f"cycle.stage:{number}" for number in range(1, 12)),
        "registry.release",
        "registry.pointer",
        "cycle.ended",
    ],
)
def test_killed_at_a_stage_it_makes_the_same_live(logged, gated, where, ask):
    whole = ask(gated, "cycle", *settings(*FAST))
    assert run("cycle", *settings(*FAST), "--dir", logged, die_at=where).was_killed
    found = ask(logged, "cycle", *settings(*FAST))
    assert found["verdict"] == ("nothing to learn" if where == "cycle.ended" else whole["verdict"])
    live = [ask(folder, "status")["live"] for folder in (gated, logged)]
    assert live[0]["model_id"] == live[1]["model_id"] != "base"
    assert len(ask(logged, "status")["models"]) == len(ask(gated, "status")["models"])


def test_the_gate_refuses_and_live_stays(gated, ask):
    before = ask(gated, "status")["live"]["release_id"]
    refused = ask(gated, "cycle", *settings(*FAST, "gate.min_gain=0.9"), code=3)
    assert refused["verdict"] == "refused"
    assert {each["stage"] for each in refused["stages"]} >= {"gate", "report"}
    assert "promote" not in {each["stage"] for each in refused["stages"]}
    assert ask(gated, "status")["live"]["release_id"] == before
    assert ask(gated, "cycle", *settings(*FAST))["verdict"] == "nothing to learn", "it began with that recipe"


def test_a_poisoned_turn_is_not_let_live(gated):
    """Twenty users click the wrong document of every query; those of one user alone would count for nothing."""
    with Workspace.open(gated, overrides=FAST) as workspace:
        assert cycle(workspace).verdict == "promoted"
        queries = {each.query_id: each.text for each in workspace.collection.queries("train")}
        right = {each.query_id: each.doc_id for each in workspace.collection.judgments("train")}
        ids, records = sorted(set(right.values())), []
        at = datetime(2026, 11, 1, tzinfo=UTC)
        for number, (query_id, text) in enumerate(queries.items()):
            wrong = ids[(ids.index(right[query_id]) + 7) % len(ids)]
            for user in range(20):
                shown = (wrong, right[query_id]) if user % 2 else (right[query_id], wrong)
                name, when = f"{number}-{user}", at + timedelta(seconds=60 * number + 4000 * user)
                likely = {"ordinals": (1, 2), "propensities": (0.5, 0.5)}
                records.append(impression(name, query=text, user=f"u{user}", at=when, doc_ids=shown, **likely))
                records.append(event(name, doc_id=wrong, user=f"u{user}", at=when + timedelta(seconds=2)))
        write(workspace, records)
        before = workspace.registry.live_id()
        found = cycle(workspace, sources="clicks")
        assert found.verdict in ("refused", "nothing better"), found.reasons
        assert workspace.registry.live_id() == before
        [judged] = [each for each in found.stages if each.stage == "judge"]
        assert judged.result["num_judgments"] > 0
        [agreement] = judged.result["agreement"]
        assert agreement["mean_bias"] != 0


def test_a_click_on_a_test_query_is_never_learned_from(gated, tmp_path):
    with Workspace.open(gated, overrides=("search.explore=0.9", *FAST)) as workspace:
        simulate(workspace, tmp_path / "test.csv", split="test", sessions=300, noise=0.0)
        add(workspace, "events", tmp_path / "test.csv")
        assert cycle(workspace).verdict == "promoted"
        found = cycle(workspace, until="train_base")
        judged = {each.query_id for each in workspace.collection.all_judgments() if each.source == "clicks"}
        tested = {each.query_id for each in workspace.collection.queries("test")}
        assert judged & tested, "clicks on test queries are judged, to be shown beside people"
        [trained] = [each for each in found.stages if each.stage == "train_base"]
        clicks = sum(each["num_pairs"] for each in trained.result["sources"] if each["source"] == "clicks")
        learned = [
            each for each in workspace.collection.all_judgments("train") if each.source == "clicks" and each.grade > 0
        ]
        assert clicks <= len(learned)
        assert not {each.query_id for each in learned} & tested


def test_a_shadow_and_a_canary_are_waited_for(gated):
    with Workspace.open(gated, overrides=FAST) as workspace:
        asked = {"shadow": 0.5, "canary": 0.4, "days": 2}
        waiting = cycle(workspace, **asked)
        assert waiting.verdict == "waiting"
        assert states(waiting)["shadow"] == "waiting"
        shadows = Shadows(workspace.database)
        ranked = [("d001", 0.5), ("d002", 0.4)]
        answer = ShadowAnswer(
            at="2026-11-30T12:00:00+00:00", query="music", live_release_id="release-1",
            live=ranked, shadow=ranked, live_ms=1.0, shadow_ms=1.0,
        )  # fmt: skip
        shadows.add(shadows.active().shadow_id, [answer] * ENOUGH_ANSWERS, num_offered=100, num_dropped=0, num_failed=0)
        waiting = cycle(workspace, **asked)
        assert shadows.active() is None
        assert states(waiting)["canary"] == "waiting"
        running = Experiments(workspace.database).running()
        assert running.plan["kind"] == "canary"
        assert running.offline is not None, "what the gate measured stands beside it"
        assert cycle(workspace, **asked).verdict == "waiting"
        begun(workspace, ago=timedelta(days=3))
        searches(workspace, lift=0.0)
        found = cycle(workspace, **asked)
        assert found.verdict == "promoted", found.reasons
        assert Experiments(workspace.database).running() is None


@pytest.mark.exhaustive
def test_a_canary_that_does_harm_ends_the_turn(gated):
    with Workspace.open(gated, overrides=FAST) as workspace:
        before = workspace.registry.live_id()
        assert cycle(workspace, canary=0.5, days=2).verdict == "waiting"
        begun(workspace, ago=timedelta(hours=1))
        searches(workspace, lift=-0.35, num_users=1500)
        found = cycle(workspace, canary=0.5, days=2)
        assert found.verdict == "refused"
        assert found.reasons[0].startswith("the canary: ")
        assert workspace.registry.live_id() == before


def begun(workspace, *, ago):
    """The canary began so long ago."""
    back = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds")
    with workspace.database.write() as connection:
        for table in (experiments, arms):
            connection.execute(sa.update(table).values(started_at=back))


def searches(workspace, *, lift, num_users=300):
    """What users of both arms did since the canary began."""
    rng, records = np.random.default_rng(0), []
    since = datetime.fromisoformat(Experiments(workspace.database).running().started_at)
    share = Experiments(workspace.database).running().plan["share"]
    for user in range(num_users):
        is_treated = user / num_users < share
        for number in range(3):
            name, at = f"c{user}-{number}", since + timedelta(seconds=user % 900 + 900 * number)
            arm = "treatment" if is_treated else "control"
            records.append(impression(name, user=f"c{user}", arm=arm, at=at, took_ms=10.0))
            if rng.random() < 0.5 + lift * is_treated:
                records.append(event(name, user=f"c{user}", at=at + timedelta(seconds=2)))
    write(workspace, records)


def test_a_slice_of_new_queries_is_held_out_for_one_turn(base_live):
    with Workspace.open(base_live, overrides=FAST) as workspace:
        at, records = datetime(2026, 11, 1, tzinfo=UTC), []
        names = [f"{left} {right} wanted here" for left in ("red", "blue", "tall", "wide") for right in "abcdefghij"]
        for number, text in enumerate(names):
            for user in range(12):
                when = at + timedelta(days=number // 20, seconds=700 * user + number)
                doc_ids = ("d001", "d002") if user % 2 else ("d002", "d001")
                name, likely = f"{number}-{user}", {"ordinals": (1, 2), "propensities": (0.5, 0.5)}
                records.append(impression(name, query=text, user=f"u{user}", at=when, doc_ids=doc_ids, **likely))
                records.append(event(name, doc_id="d001", user=f"u{user}", at=when + timedelta(seconds=3)))
        write(workspace, records)
        found = cycle(workspace, until="judge")
        num_fresh = found.stages[1].result["num_fresh"]
        held = {each.query_id for each in workspace.collection.queries(FRESH)}
        assert 0 < num_fresh == len(held) < 20
        assert not held & {each.query_id for each in workspace.collection.queries("train")}
        assert release_fresh(workspace) == num_fresh
        later = (at + timedelta(hours=12)).isoformat()
        assert hold_fresh(workspace, since=later) < num_fresh
        release_fresh(workspace)
        assert hold_fresh(workspace, since=None) == num_fresh
        assert {each.query_id for each in workspace.collection.queries(FRESH)} == held


def test_what_is_news():
    last = News(num_searches=500, num_events=90, until="2026-11-01", judged_id="j", recipe_id="r")
    more = {"num_searches": 599}, {"num_searches": 600}, {"judged_id": "k"}, {"recipe_id": "s"}
    whys = [why_nothing_to_learn(News(**{**asdict(last), **each}), asdict(last)) for each in more]
    assert whys[0].startswith("99 searches came in")
    assert whys[1:] == [None, None, None]
    assert why_nothing_to_learn(last, None) is None


@pytest.mark.exhaustive
def test_without_a_log_people_alone_are_learned_from_and_live_is_trained_further(trained):
    with Workspace.open(trained, overrides=(*FAST, "gate.min_gain=-1.0")) as workspace:
        assert cycle(workspace).verdict in ("promoted", "nothing better")
        live = workspace.registry.live().model_id
        more = Workspace.open(trained, overrides=(*FAST, "gate.min_gain=-1.0", "train.seed=5"))
        found = cycle(more, until="evaluate")
        more.close()
        by_stage = {each.stage: each for each in found.stages}
        assert by_stage["judge"].state == "skipped"
        if live != workspace.registry.model_ids()[0]:
            assert by_stage["train_live"].result["start"] == live
        assert by_stage["train_base"].result["start"] == "base"


def test_bad_requests(base_live):
    with Workspace.open(base_live) as workspace:
        for asked, what in (
            ({"until": "tea"}, "no stage"),
            ({"canary": 1.0}, "a share"),
            ({"shadow": -0.1}, "a share"),
            ({"canary": 0.1, "days": 0}, "a day"),
        ):
            with pytest.raises(InputError, match=what):
                cycle(workspace, **asked)
