"""What an experiment found, from the event log; and what one could find, by the traffic before it."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

import numpy as np

from nearer.core.errors import InputError
from nearer.core.results.base import JSON
from nearer.core.results.online import ExperimentReport, ExperimentStatus, MetricEffect, PowerPlan
from nearer.core.results.releases import Promotion
from nearer.online.analysis import ARMS, CONTROL, TREATMENT, by_day, by_segment, effect_of, guardrails_of, named
from nearer.online.analysis import verdict_of as verdict_from
from nearer.online.assign import sample_ratio
from nearer.online.interleaved import interleaved_result, verdict_of_lists
from nearer.online.metrics import by_unit
from nearer.online.moments import Moments
from nearer.online.outcomes import Outcomes, read_outcomes
from nearer.online.plan import Plan
from nearer.online.sample_size import effect_found, users_needed
from nearer.signals.log import SiftedLog, read_log
from nearer.store.arms import Arms
from nearer.store.events.reading import EventReader
from nearer.store.experiments import Experiment
from nearer.store.workspace import Workspace

POWER_DAYS = 28
"""Days of traffic that a plan is reckoned from: four whole weeks."""
_EFFECTS = (0.01, 0.02, 0.05, 0.1)


def _outcomes(
    log: SiftedLog, plan: Plan, *, since: datetime, until: datetime, arms: tuple[str, ...] | None = ARMS
) -> Outcomes:
    """The outcomes of searches in a time."""
    return read_outcomes(
        log.impressions, log.events, log.impression_E, arms=arms, unit=plan.unit, since=since, until=until
    )


def report_experiment(
    workspace: Workspace, experiment: Experiment, *, now: datetime, log: EventReader | None = None
) -> ExperimentReport:
    """All that an experiment found until ``now``, or until it ended; who asks again and again gives a reader."""
    plan, status = Plan.model_validate(experiment.plan), status_of(experiment)
    since, until = datetime.fromisoformat(experiment.started_at), _end_of(workspace, experiment) or now
    sifted = read_log(log or workspace.events)
    if plan.kind == "interleaving":
        return _interleaved(sifted, plan, experiment, since=since, until=until)
    outcomes = _outcomes(sifted, plan, since=since, until=until)
    before = None
    if plan.before_days:
        before = _outcomes(sifted, plan, since=since - timedelta(days=plan.before_days), until=since, arms=None)
    is_over = until >= since + timedelta(days=plan.days)
    num_units = {arm: len(np.unique(outcomes.unit_I[outcomes.arm_I == place])) for place, arm in enumerate(ARMS)}
    ratio = None
    if sum(num_units.values()):
        ratio = sample_ratio(num_units, {CONTROL: 1 - plan.share, TREATMENT: plan.share})
    primary = _effect(plan.primary, outcomes, plan, before)
    guardrails = guardrails_of(outcomes, plan, is_over=is_over)
    verdict, reasons = verdict_from(
        plan, is_over=is_over, ratio_alarm=bool(ratio and ratio.is_alarm), primary=primary, guardrails=guardrails
    )
    others = [_effect(name, outcomes, plan, before) for name in plan.metrics if name != plan.primary]
    return ExperimentReport(
        experiment=status,
        verdict=verdict,
        reasons=reasons,
        day=max(1, ceil((until - since) / timedelta(days=1))),
        num_units=num_units,
        num_searches={arm: int((outcomes.arm_I == place).sum()) for place, arm in enumerate(ARMS)},
        num_without_unit=outcomes.num_without_unit,
        num_mixed_units=outcomes.num_mixed_units,
        sample_ratio=ratio,
        primary=primary,
        metrics=tuple(each for each in others if each),
        guardrails=tuple(guardrails),
        by_day=tuple(by_day(named(plan.primary, outcomes), outcomes, plan)) if primary else (),
        segments=tuple(by_segment(named(plan.primary, outcomes), outcomes, plan)) if primary else (),
        interleaved=None,
        offline=experiment.offline,
    )


def _end_of(workspace: Workspace, experiment: Experiment) -> datetime | None:
    """When the users were no longer shared out: it was stopped, or what is live has changed."""
    arm = Arms(workspace.database).get(experiment.arm_id)
    ends = [text for text in (experiment.ended_at, arm.ended_at if arm else None) if text]
    return min(map(datetime.fromisoformat, ends)) if ends else None


def power_of(workspace: Workspace, plan: Plan, *, now: datetime) -> PowerPlan:
    """What a plan can show, by the traffic of the four weeks before."""
    since = now - timedelta(days=POWER_DAYS)
    outcomes = _outcomes(read_log(workspace.events), plan, since=since, until=now, arms=None)
    num_units = len(np.unique(outcomes.unit_I))
    if num_units < 2:
        raise InputError(
            f"the event log has {num_units} {plan.unit}s of the last {POWER_DAYS} days, which forecast nothing",
            hint=f"serve first, and send {plan.unit} with each query; or start, and read the report",
        )
    num_days = min(float(POWER_DAYS), float(outcomes.day_I.max() - outcomes.day_I.min() + 1))
    a_day = num_units / num_days
    as_control = replace(outcomes, arms=(CONTROL,))
    sums = by_unit(named(plan.primary, as_control), as_control, CONTROL)
    notes = [f"{outcomes.num_without_unit} searches named no {plan.unit}"] if outcomes.num_without_unit else []
    if not sums.below_U.sum():
        raise InputError(f"nothing in the event log has {plan.primary}", hint="name another primary metric")
    moments = Moments.of_ratio(sums.top_U, sums.below_U, name="the log")
    smaller = min(plan.share, 1 - plan.share)
    notes.append("a new user a day is taken for another: users who return make it longer")
    known = moments.mean and moments.variance
    return PowerPlan(
        plan_hash=plan.plan_hash,
        metric=plan.primary,
        num_days=num_days,
        units_a_day=a_day,
        mean=moments.mean,
        days=plan.days,
        smallest_effect=effect_found(
            mean=moments.mean, variance=moments.variance, num_users=max(2, int(a_day * plan.days * smaller))
        )
        if known
        else None,
        days_for={
            f"{effect:g}": ceil(
                users_needed(mean=moments.mean, variance=moments.variance, relative_effect=effect) / (a_day * smaller)
            )
            for effect in _EFFECTS
        }
        if known
        else {},
        notes=tuple(notes),
    )


def status_of(experiment: Experiment) -> ExperimentStatus:
    """An experiment without what it found."""
    plan = Plan.model_validate(experiment.plan)
    return ExperimentStatus(
        experiment_id=experiment.experiment_id,
        name=plan.name,
        kind=plan.kind,
        state="stopped" if experiment.ended_at else "running",
        plan=experiment.plan,
        plan_hash=experiment.plan_hash,
        control=experiment.control_release_id,
        treatment=experiment.treatment_release_id,
        started_at=experiment.started_at,
        ended_at=experiment.ended_at,
        reason=experiment.reason,
    )


def offline_of(workspace: Workspace, promoted: Promotion) -> JSON | None:
    """What the gate measured of the treatment against live: the difference, and that of every slice.

    None where nothing was measured.
    """
    evaluation = promoted.evaluation
    if evaluation is None and promoted.release_id:
        decision = workspace.registry.last_decision(release_id=promoted.release_id)
        evaluation = decision.evaluation if decision else None
    if evaluation is None:
        return None
    measure = workspace.recipe.gate.measure
    for each in evaluation.comparisons:
        if each.metric == measure:
            sides = {side.system: side for side in evaluation.results}
            return {
                "metric": measure,
                "split": evaluation.split,
                "difference": each.difference,
                "low": each.low,
                "high": each.high,
                "slices": _slice_differences(sides.get(each.baseline), sides.get(each.candidate), measure),
            }
    return None


def _slice_differences(baseline: object, candidate: object, measure: str) -> dict[str, float]:
    own, other = getattr(candidate, "slices", {}), getattr(baseline, "slices", {})
    return {
        name: own[name].metrics[measure].value - other[name].metrics[measure].value
        for name in own
        if name in other and own[name].metrics and other[name].metrics and measure in own[name].metrics
    }


def _effect(name: str, outcomes: Outcomes, plan: Plan, before: Outcomes | None) -> MetricEffect | None:
    try:
        return effect_of(named(name, outcomes), outcomes, plan, before=before)
    except InputError:  # latency of a log that has none
        return None


def _interleaved(
    log: SiftedLog, plan: Plan, experiment: Experiment, *, since: datetime, until: datetime
) -> ExperimentReport:
    found = interleaved_result(
        log.impressions, log.events, log.impression_E, unit=plan.unit, since=since, until=until, plan=plan
    )
    is_over = until >= since + timedelta(days=plan.days)
    verdict, reasons = verdict_of_lists(found.result, plan, is_over=is_over)
    return ExperimentReport(
        experiment=status_of(experiment),
        verdict=verdict,
        reasons=reasons,
        day=max(1, ceil((until - since) / timedelta(days=1))),
        num_units={"both": found.num_units},
        num_searches={"both": found.num_lists},
        num_without_unit=found.num_without_unit,
        num_mixed_units=0,
        sample_ratio=None,
        primary=None,
        metrics=(),
        guardrails=(),
        by_day=(),
        segments=(),
        interleaved=found.result,
        offline=experiment.offline,
    )
