"""What an experiment finds, on logs whose truth is known."""

from datetime import timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from nearer.core.errors import InputError
from nearer.online.analysis import by_day, by_segment, effect_of, guardrails_of, named, verdict_of
from nearer.online.metrics import metric_of
from nearer.online.outcomes import read_outcomes
from nearer.online.plan import Plan, read_plan
from online.synthetic_log import START, impression, simulated, tables


def plan_of(**changes):
    return Plan(**{"name": "n", "hypothesis": "more clicks", "treatment": "model-1", **changes})


def read(log, *, arms=("control", "treatment"), since=START, days=30):
    found = tables(log) if isinstance(log, list) else log
    return read_outcomes(*found, arms=arms, unit="user", since=since, until=since + timedelta(days=days))


@pytest.fixture(scope="module")
def better():
    return tables(simulated(np.random.default_rng(0), num_users=1000, lift=0.1))


def test_a_real_effect_is_found_with_its_size(better):
    found = effect_of(metric_of("click_through"), read(better), plan_of())
    assert found.absolute.low < 0.1 < found.absolute.high
    assert found.absolute.low > 0
    assert found.relative.effect == pytest.approx(found.absolute.effect / found.control.value)


def test_the_past_takes_noise_out(better):
    before = read(better, arms=None, since=START - timedelta(days=28), days=28)
    plain = effect_of(metric_of("click_through"), read(better), plan_of())
    found = effect_of(metric_of("click_through"), read(better), plan_of(), before=before)
    width = found.absolute.high - found.absolute.low
    assert found.absolute == plain.absolute
    assert (found.adjusted.high - found.adjusted.low) / width == pytest.approx((1 - found.share_removed) ** 0.5, 0.05)
    assert found.share_removed > 0.1
    assert found.adjusted.low < 0.1 < found.adjusted.high
    assert found.faults == ()


@pytest.mark.exhaustive
def test_without_an_effect_intervals_cover_zero_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(60):
        found = effect_of(metric_of("click_through"), read(simulated(rng, num_users=120, before_days=0)), plan_of())
        covered.append(found.absolute.low <= 0 <= found.absolute.high)
    assert np.mean(covered) >= 0.88  # 95 % but for the luck of 60 draws: binomial, p = 0.02


def test_slow_answers_break_the_guardrail():
    outcomes = read(simulated(np.random.default_rng(2), num_users=800, slower=1.0, before_days=0))
    plan = plan_of(guardrails={"latency_p95": 0.02, "zero_results": 0.01})
    found = {each.metric: each for each in guardrails_of(outcomes, plan, is_over=True)}
    assert found["latency_p95"].is_harmed
    assert found["zero_results"].is_safe
    early = {each.metric: each for each in guardrails_of(outcomes, plan_of(), is_over=False)}
    narrow, wide = found["latency_p95"].effect.absolute, early["latency_p95"].effect.absolute
    assert wide.high - wide.low > narrow.high - narrow.low, "what is looked at daily is wider"


def test_few_units_say_nothing():
    outcomes = read(simulated(np.random.default_rng(3), num_users=20))
    assert effect_of(metric_of("click_through"), outcomes, plan_of()) is None
    assert [each.effect for each in guardrails_of(outcomes, plan_of(), is_over=True)] == [None, None, None]


def test_a_guardrail_is_not_safe_because_a_few_users_met_no_error():
    def is_safe(num):
        log = [
            impression(f"{arm}{n}", user=f"{arm}{n}", arm=arm) for arm in ("control", "treatment") for n in range(num)
        ]
        [errors] = guardrails_of(read(log), plan_of(guardrails={"errors": 0.01}), is_over=True)
        assert errors.effect.absolute.effect == 0
        return errors.is_safe

    assert not is_safe(25), "none of 25 leaves room for an error in ten"
    assert is_safe(600)


def test_arms_without_any_spread_are_not_certain_at_once():
    def found(num):
        log = [
            impression(f"{arm}{n}", user=f"{arm}{n}", arm=arm, failed=arm == "treatment")
            for arm in ("control", "treatment")
            for n in range(num)
        ]
        [errors] = guardrails_of(read(log), plan_of(guardrails={"errors": 0.005}), is_over=False)
        return errors

    assert found(200).is_harmed
    assert found(200).effect.absolute.low < 0.98, "not 1.0 exactly"
    few, many = found(20).effect.absolute, found(200).effect.absolute
    assert few.high - few.low > many.high - many.low
    assert effect_of(metric_of("zero_results"), read([]), plan_of()) is None


def test_days_and_segments(better):
    outcomes, metric = read(better), metric_of("click_through")
    days = by_day(metric, outcomes, plan_of())
    assert [each.day for each in days] == list(range(1, 8))
    whole = effect_of(metric, outcomes, plan_of()).absolute
    assert days[-1].effect == whole
    parts = by_segment(metric, outcomes, plan_of())
    assert {each.segment for each in parts} >= {"returning users", "users who search much"}
    assert all(each.p_adjusted >= each.effect.p_value for each in parts)


def test_a_metric_of_few_searches_has_the_user_as_unit(better):
    found = effect_of(metric_of("time_to_success"), read(better), plan_of())
    assert found.better == "lower"
    assert found.control.value == pytest.approx(5.0)
    assert found.absolute.effect == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("lift", "options", "state", "verdict"),
    [
        (0.1, {}, {"is_over": True}, "better"),
        (-0.1, {}, {"is_over": True}, "worse"),
        (0.1, {}, {"is_over": False}, "too early"),
        (0.1, {"sequential": True}, {"is_over": False}, "better"),
        (0.0, {}, {"is_over": True}, "not shown"),
        (0.1, {}, {"is_over": True, "ratio_alarm": True}, "broken"),
    ],
)
def test_the_verdict(lift, options, state, verdict):
    plan = plan_of(**options, guardrails={"zero_results": 0.05})
    outcomes = read(simulated(np.random.default_rng(4), num_users=1500, lift=lift, before_days=0))
    primary = effect_of(named(plan.primary, outcomes), outcomes, plan)
    found, reasons = verdict_of(
        plan,
        **{"ratio_alarm": False, **state},
        primary=primary,
        guardrails=guardrails_of(outcomes, plan, is_over=state["is_over"]),
    )
    assert found == verdict
    assert reasons


def test_harm_ends_what_would_be_a_win():
    plan = plan_of(sequential=True)
    outcomes = read(simulated(np.random.default_rng(5), num_users=2500, lift=0.1, slower=2.0, before_days=0))
    primary = effect_of(metric_of("click_through"), outcomes, plan)
    found, reasons = verdict_of(
        plan,
        is_over=False,
        ratio_alarm=False,
        primary=primary,
        guardrails=guardrails_of(outcomes, plan, is_over=False),
    )
    assert found == "harm"
    assert "latency_p95" in reasons[0]


# Plans


def test_any_change_of_a_plan_changes_its_hash():
    assert plan_of().plan_hash == plan_of().plan_hash
    changed = [plan_of(days=15), plan_of(primary="success@1"), plan_of(guardrails={}), plan_of(hypothesis="fewer")]
    assert len({each.plan_hash for each in [plan_of(), *changed]}) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"treatment": None}, "treatment names the system"),
        ({"kind": "aa"}, "treatment names the system"),
        ({"kind": "canary"}, "sequential = true"),
        ({"primary": "clicks"}, "no metric"),
        ({"guardrails": {"latency": 1}}, "no metric"),
        ({"guardrails": {"zero_results": -1}}, "greater than or equal"),
        ({"share": 1.0}, "less than 1"),
        ({"aim": 1}, "Extra inputs"),
    ],
)
def test_a_plan_that_cannot_be(changes, said):
    with pytest.raises(ValidationError, match=said):
        plan_of(**changes)


def test_a_file_says_what_is_wrong(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('name = "n"\nhypothesis = "h"\ntreatment = "m"\naim = 3\nshare = 2\n')
    with pytest.raises(InputError, match=r"aim: unknown key.*|share: .*less than 1") as caught:
        read_plan(path)
    assert "plan.toml" in caught.value.message
    assert "(got 2.0)" in caught.value.message or "(got 2)" in caught.value.message
    path.write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(InputError, match="not UTF-8"):
        read_plan(path)
    path.write_text("name = ")
    with pytest.raises(InputError, match="not valid TOML"):
        read_plan(path)
    path.write_text('name = "n"\nhypothesis = "h"\ntreatment = "m"\n')
    assert read_plan(path).share == 0.5
