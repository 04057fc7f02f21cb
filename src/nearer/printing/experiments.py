"""Experiments with users, as text."""

from nearer.core.results.online import (
    Agreement,
    Effect,
    ExperimentList,
    ExperimentReport,
    ExperimentStatus,
    GuardrailEffect,
    HoldoutEffect,
    MetricEffect,
    PowerPlan,
    StartedExperiment,
)


def planned(result: PowerPlan) -> str:
    """The result of `nearer experiment plan`."""
    lines = [
        f"{result.units_a_day:,.1f} units a day over {result.num_days:.0f} days; {result.metric} {result.mean:.4g}"
    ]
    if result.smallest_effect is not None:
        lines.append(
            f"in {result.days} days a difference of {result.smallest_effect:.1%} of it is found with a power of 80 %"
        )
        lines += [f"  {float(effect):.0%}: {days:,} days" for effect, days in result.days_for.items()]
    else:
        lines.append("it never varied, so nothing says how long an experiment takes")
    return "\n".join([*lines, *result.notes, f"plan: {result.plan_hash}"])


def started(result: StartedExperiment) -> str:
    """The result of `nearer experiment start`."""
    if result.experiment is None:
        return "\n".join(["refused: the gate does not let the treatment through", *result.reasons])
    return "\n".join([*_status(result.experiment), "serve: nearer serve", "look: nearer experiment report"])


def experimented(result: ExperimentReport) -> str:
    """The result of `nearer experiment report` and `stop`."""
    lines = [*_status(result.experiment), f"day {result.day}: {result.verdict}; {'; '.join(result.reasons)}"]
    counted = ", ".join(
        f"{arm} {number:,} {result.experiment.plan['unit']}s with {result.num_searches[arm]:,} searches"
        for arm, number in result.num_units.items()
    )
    lines.append(counted)
    if result.num_without_unit or result.num_mixed_units:
        lines.append(
            f"left out: {result.num_without_unit} searches of nobody, {result.num_mixed_units} units seen in both arms"
        )
    if result.sample_ratio is not None:
        alarm = "ALARM, the arms are not shared out as planned" if result.sample_ratio.is_alarm else "as planned"
        lines.append(f"sample ratio: {alarm} (p = {result.sample_ratio.p_value:.2g})")
    if result.primary is not None:
        lines += ["primary metric:", *_metric(result.primary)]
    if result.metrics:
        lines += ["others, which decide nothing:", *(line for each in result.metrics for line in _metric(each))]
    if result.guardrails:
        lines += ["guardrails:", *map(_guardrail, result.guardrails)]
    if result.segments:
        lines.append("segments, p corrected for all:")
        lines += [f"  {each.segment}: {_effect(each.effect)}, p = {each.p_adjusted:.2g}" for each in result.segments]
    if result.interleaved is not None:
        found = result.interleaved
        lines.append(
            f"users who preferred the treatment {found.num_wins}, control {found.num_losses}, neither {found.num_ties}"
        )
        if found.preference is not None:
            lines.append(f"preference {_effect(found.preference)}")
    if result.offline is not None:
        lines.append(_offline(result))
    return "\n".join(lines)


def experiment_list(result: ExperimentList) -> str:
    """The result of `nearer experiment list`."""
    if not result.experiments:
        return "\n".join(["no experiment yet: nearer experiment start PLAN.toml", *_holdout(result.holdout)])
    lines = [line for each in result.experiments for line in _status(each)]
    return "\n".join([*lines, *_agreement(result.agreement), *_holdout(result.holdout)])


def _status(found: ExperimentStatus) -> list[str]:
    until = f" to {found.ended_at} ({found.reason})" if found.ended_at else ", running"
    return [
        f"{found.experiment_id}: {found.name} ({found.kind}), {found.treatment} against {found.control}",
        f"  since {found.started_at}{until}; {found.plan_hash}",
    ]


def _metric(found: MetricEffect) -> list[str]:
    relative = f" ({found.relative.effect:+.1%})" if found.relative else ""
    lines = [
        f"  {found.metric}: {found.control.value:.4g} -> {found.treatment.value:.4g}, "
        f"{_effect(found.absolute)}{relative}, {found.better} is better"
    ]
    if found.adjusted is not None and found.share_removed is not None:
        lines.append(f"    with the past taken out: {_effect(found.adjusted)}, {found.share_removed:.0%} less variance")
    return [*lines, *(f"    do not believe the adjustment: {fault}" for fault in found.faults)]


def _guardrail(found: GuardrailEffect) -> str:
    state = "HARMED" if found.is_harmed else "safe" if found.is_safe else "not known yet"
    effect = f", {_effect(found.effect.absolute)}" if found.effect else ""
    return f"  {found.metric}: {state}{effect}; it may lose {found.margin:g}"


def _effect(effect: Effect) -> str:
    return f"{effect.effect:+.4g} [{effect.low:+.4g}, {effect.high:+.4g}]"


def _offline(result: ExperimentReport) -> str:
    offline = result.offline
    assert offline is not None
    said = f"offline, {offline['metric']} on {offline['split']}: {offline['difference']:+.4f}"
    said += f" [{offline['low']:+.4f}, {offline['high']:+.4f}]"
    if result.primary is None:
        return said
    sign = 1 if result.primary.better == "higher" else -1
    online = sign * result.primary.absolute.effect
    if offline["difference"] * online >= 0:
        return f"{said}; users agree"
    other_way = [name for name, value in offline["slices"].items() if value * online > 0]
    why = f"; slices that went the users' way: {', '.join(other_way[:5])}" if other_way else "; no slice explains it"
    return f"{said}; users went the other way{why}"


def _holdout(found: HoldoutEffect | None) -> list[str]:
    if found is None:
        return []
    counted = f"{found.num_units['treatment']:,} users beside {found.num_units['control']:,} held out"
    head = f"since {found.release_id}, which was live first ({counted}, from {found.since}):"
    return [head, *(_metric(found.effect) if found.effect else ["  too few users yet"])]


def _agreement(found: Agreement) -> list[str]:
    if not found.num_experiments:
        return ["offline against online: no experiment has both yet"]
    lines = [
        f"offline against online over {found.num_experiments} experiments: {found.share_same_sign:.0%} the same way"
    ]
    if found.tau is not None:
        lines[0] += f", rank correlation {found.tau:+.2f}"
    if found.slope is not None:
        lines.append(f"  an offline difference of 0.01 is {found.slope / 100:+.4g} online")
    if not found.may_decide:
        lines.append(f"  below {found.min_experiments} experiments this moves no threshold")
    return lines
