"""Experiments on a workspace: planned, frozen, reported, ended; offline beside online."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forked import die_at
from nearer.core.errors import Conflict, InputError, NotFound
from nearer.flows.experiment import (
    experiment_report,
    experiments,
    guard_experiment,
    plan_experiment,
    start_experiment,
    stop_experiment,
)
from nearer.flows.history import history
from nearer.flows.promote import promote
from nearer.store.arms import Arms
from nearer.store.events.log import EventLog
from nearer.store.experiments import Experiments
from nearer.store.workspace import Workspace
from online.synthetic_log import event, impression

pytestmark = pytest.mark.slow

PLAN = 'name = "words"\nhypothesis = "words find more"\ntreatment = "bm25"\n'


@pytest.fixture
def workspace(base_live):
    with Workspace.open(base_live) as opened:
        yield opened


def plan_file(tmp_path, *lines, text=PLAN):
    path = tmp_path / "plan.toml"
    path.write_text(text + "".join(f"{line}\n" for line in lines))
    return path


def write(workspace, records):
    log = EventLog(workspace.events, locks=workspace.locks)
    log.commit(records)
    log.close()


def searches(workspace, *, lift, num_users=400, slow_ms=0.0, days=3, arms=("control", "treatment"), since=None):
    """What users did since the experiment began: a click more or less often in the treatment."""
    rng, records = np.random.default_rng(0), []
    since = since or datetime.fromisoformat(Experiments(workspace.database).running().started_at)
    for user in range(num_users):
        arm = arms[user % 2]
        treated = arm == "treatment"
        for number in range(1 + rng.poisson(2)):
            at = since + timedelta(days=days * rng.random())
            took_ms = 10 + rng.random() + slow_ms * treated
            records.append(impression(f"{user}-{number}", user=f"u{user}", arm=arm, at=at, took_ms=took_ms))
            if rng.random() < 0.4 + lift * treated:
                records.append(event(f"{user}-{number}", at=at + timedelta(seconds=3)))
    write(workspace, records)


def later(days):
    return lambda: datetime.now(UTC) + timedelta(days=days)


def test_from_start_to_end(workspace, tmp_path):
    path = plan_file(tmp_path, "days = 3", "guardrails = { zero_results = 0.02 }")
    started = start_experiment(workspace, path, force_reason="to learn")
    assert started.verdict == "started"
    assert started.experiment.state == "running"
    assert Arms(workspace.database).active().share == 0.5
    path.write_text(PLAN + "days = 1\n")  # what was frozen stays
    searches(workspace, lift=0.2)
    early = experiment_report(workspace, now=later(1))
    assert early.verdict == "too early"
    assert early.experiment.plan["days"] == 3
    assert early.experiment.plan_hash == started.experiment.plan_hash
    with pytest.raises(Conflict, match="one experiment at a time"):
        start_experiment(workspace, path)
    found = stop_experiment(workspace, reason="three days are over", now=later(3.1))
    assert found.verdict == "better"
    assert found.primary.absolute.low > 0
    assert found.num_units == {"control": 200, "treatment": 200}
    assert found.experiment.state == "stopped"
    assert Arms(workspace.database).active() is None
    assert experiment_report(workspace) == found, "what was found is kept"
    with pytest.raises(NotFound, match="no experiment runs"):
        stop_experiment(workspace, reason="again")


def _begin(folder, path):
    with Workspace.open(folder) as workspace:
        start_experiment(workspace, path, force_reason="to learn")


def _stop(folder):
    with Workspace.open(folder) as workspace:
        stop_experiment(workspace, reason="over")


def test_killed_at_its_steps_it_has_begun_or_ended_whole(base_live, tmp_path):
    die_at("experiments.started", _begin, base_live, plan_file(tmp_path))
    with Workspace.open(base_live) as workspace:
        running = Experiments(workspace.database).running()
        assert running.arm_id == Arms(workspace.database).active().arm_id
        assert [each.action for each in history(workspace).events][-2:] == ["hold", "arm"]
    die_at("experiments.ended", _stop, base_live)
    with Workspace.open(base_live) as workspace:
        assert Experiments(workspace.database).running() is None
        assert Arms(workspace.database).active() is None
        assert experiment_report(workspace).experiment.reason == "over"


def test_offline_is_held_against_online(workspace, tmp_path):
    start_experiment(workspace, plan_file(tmp_path, "days = 3"), force_reason="to learn")
    searches(workspace, lift=-0.2)
    found = stop_experiment(workspace, reason="over", now=later(3.1))
    assert found.verdict in ("worse", "harm")
    assert found.offline["metric"] == "nDCG@10"
    listed = experiments(workspace)
    assert [each.experiment_id for each in listed.experiments] == [found.experiment.experiment_id]
    assert listed.agreement.num_experiments == 1
    assert listed.agreement.share_same_sign == float(
        (found.offline["difference"] > 0) == (found.primary.absolute.effect > 0)
    )
    assert not listed.agreement.may_decide


def test_the_gate_refuses_what_it_would_not_let_live(base_live, tmp_path):
    with Workspace.open(base_live, overrides=("gate.min_gain=0.9",)) as workspace:
        _refused(workspace, tmp_path)


def _refused(workspace, tmp_path):
    refused = start_experiment(workspace, plan_file(tmp_path))
    assert refused.verdict == "refused"
    assert refused.reasons
    assert Experiments(workspace.database).running() is None
    assert Arms(workspace.database).active() is None


def test_live_against_itself(workspace, tmp_path):
    text = 'name = "a/a"\nhypothesis = "nothing"\nkind = "aa"\ndays = 3\n'
    started = start_experiment(workspace, plan_file(tmp_path, text=text))
    assert started.experiment.control == started.experiment.treatment
    searches(workspace, lift=0.0)
    found = stop_experiment(workspace, reason="over", now=later(3.1))
    assert found.verdict == "not shown"
    assert found.offline is None
    assert experiments(workspace).agreement.num_experiments == 0


def test_arms_that_are_not_as_they_should_be(workspace, tmp_path):
    start_experiment(workspace, plan_file(tmp_path, "days = 3"), force_reason="to learn")
    searches(workspace, lift=0.3, arms=("control", "treatment"), num_users=200)
    searches(workspace, lift=0.3, arms=("control", "control"), num_users=300)
    found = experiment_report(workspace, now=later(3.1))
    assert found.sample_ratio.is_alarm
    assert found.verdict == "broken"


@pytest.mark.parametrize(
    ("harm", "ends"), [({"lift": -0.3}, True), ({"lift": 0.0, "slow_ms": 500.0}, True), ({"lift": 0.0}, False)]
)
def test_a_canary_ends_by_itself_where_it_does_harm(workspace, tmp_path, harm, ends):
    lines = ('kind = "canary"', "sequential = true", "share = 0.5")
    start_experiment(workspace, plan_file(tmp_path, *lines), force_reason="to learn")
    assert guard_experiment(workspace) is None, "nobody has searched yet"
    searches(workspace, num_users=1200, days=0.5, **harm)
    found = guard_experiment(workspace, now=later(0.6))
    assert (found is not None) == ends
    assert (Arms(workspace.database).active() is None) == ends
    if ends:
        assert found.experiment.reason.startswith("ended by itself")
        assert guard_experiment(workspace, now=later(0.7)) is None


def test_an_experiment_that_is_no_canary_is_left_alone(workspace, tmp_path):
    start_experiment(workspace, plan_file(tmp_path, "sequential = true"), force_reason="to learn")
    searches(workspace, lift=-0.3, num_users=1200)
    assert guard_experiment(workspace, now=later(3.1)) is None
    assert experiment_report(workspace, now=later(3.1)).verdict in ("worse", "harm")


def test_what_users_do_after_live_moved_does_not_count(workspace, tmp_path):
    started = start_experiment(workspace, plan_file(tmp_path, "days = 3"), force_reason="to learn")
    promote(workspace, started.experiment.treatment)
    searches(workspace, lift=0.2)
    assert experiment_report(workspace, now=later(4)).num_searches == {"control": 0, "treatment": 0}


def test_power_from_the_traffic_before(workspace, tmp_path):
    path = plan_file(tmp_path, "days = 7")
    with pytest.raises(InputError, match="forecast nothing"):
        plan_experiment(workspace, path)
    searches(workspace, lift=0.0, since=datetime.now(UTC) - timedelta(days=4), arms=("live", "live"))
    found = plan_experiment(workspace, path)
    assert found.mean == pytest.approx(0.4, abs=0.05)
    assert found.units_a_day == pytest.approx(400 / found.num_days)
    assert found.days_for["0.1"] < found.days_for["0.01"]
    assert 0.01 < found.smallest_effect < 0.5
    assert Experiments(workspace.database).all() == [], "planning begins nothing"


def test_interleaved_lists(workspace, tmp_path):
    lines = ('kind = "interleaving"', "days = 1")
    started = start_experiment(workspace, plan_file(tmp_path, *lines), force_reason="to learn")
    since = datetime.fromisoformat(started.experiment.started_at)
    records = []
    for user in range(60):
        teams = "abb" if user % 2 else "bab"
        wins = "b" if user % 4 else "a"  # three of four users click what the treatment brought
        shown = impression(f"q{user}", user=f"u{user}", arm="interleaved", at=since + timedelta(hours=1), teams=teams)
        records += [shown, event(f"q{user}", doc_id="abc"[teams.index(wins)], at=since + timedelta(hours=1))]
    records.append(impression("nobody", user="", arm="interleaved", at=since + timedelta(hours=1), teams="abb"))
    write(workspace, records)
    found = stop_experiment(workspace, reason="over", now=later(1.1))
    assert (found.interleaved.num_wins, found.interleaved.num_losses) == (45, 15)
    assert found.interleaved.preference.effect == pytest.approx(0.25)
    assert found.verdict == "better"
    assert found.num_without_unit == 1


def test_the_command_line(ask, nearer, base_live, tmp_path):
    path = plan_file(tmp_path, "days = 3")
    refused = nearer("experiment", "start", path, "--set", "gate.min_gain=0.9", "--dir", base_live)
    assert refused.exit_code == 3
    assert "refused" in refused.out
    begun = ask(base_live, "experiment", "start", path, "--force", "to learn")
    assert begun["verdict"] == "started"
    with Workspace.open(base_live) as workspace:
        searches(workspace, lift=0.2)
    said = nearer("experiment", "report", "--dir", base_live)
    assert "too early" in said.out
    assert begun["experiment"]["plan_hash"] in said.out
    assert "guardrails:" in said.out
    stopped = ask(base_live, "experiment", "stop", "--reason", "enough")
    assert stopped["experiment"]["reason"] == "enough"
    listed = nearer("experiment", "list", "--dir", base_live)
    assert "(enough)" in listed.out
    assert "no experiment has both yet" in listed.out, "what was written is of the days to come"
    json.dumps(ask(base_live, "experiment", "report", begun["experiment"]["experiment_id"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report"], "no experiment yet"),
        (["report", "experiment-0"], "no experiment 'experiment-0'"),
        (["stop", "--reason", "x"], "no experiment runs"),
        (["stop", "--reason", " "], "for a reason"),
        (["start", "missing.toml"], "missing.toml"),
    ],
)
def test_what_cannot_be(nearer, base_live, arguments, said):
    answered = nearer("experiment", *arguments, "--dir", base_live)
    assert answered.exit_code == 2
    assert said in answered.err.replace("was no experiment yet", "no experiment yet")
