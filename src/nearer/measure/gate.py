"""The gate: what was measured, and what was asked for, give a verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nearer.core.results.measuring import Comparison
from nearer.measure.significance import holm
from nearer.measure.suite import CaseResult, newly_failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a candidate must show.

    The lower end of the interval of its gain in ``measure`` must exceed ``min_gain``, and no slice of at least
    ``min_slice_queries`` queries may be proven worse at family-wise error ``alpha``.
    """

    measure: str
    min_gain: float
    min_slice_queries: int
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEvidence:
    """Candidate minus baseline on the queries of one slice.

    ``num_groups`` counts what was resampled: groups, or queries where queries stand alone.
    """

    num_queries: int
    num_groups: int
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEvidence:
    """How candidate and baseline did in the same cases; ``baseline`` is None where there is nothing to compare with."""

    candidate: tuple[CaseResult, ...] = ()
    baseline: tuple[CaseResult, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """All that the gate looks at: the comparison with what is live, its slices by name, and the suite."""

    comparison: Comparison
    slices: Mapping[str, SliceEvidence]
    suite: SuiteEvidence = SuiteEvidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the candidate may go live.

    ``reasons`` say why not, and are empty when it may; ``notes`` say what the evidence could not settle.
    """

    promoted: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def decide(evidence: GateEvidence, policy: Policy) -> Verdict:
    """The verdict on a candidate: every reason against it is given, not only the first.

    Source: slices are tested together after Holm (1979), section 3, so that many slices do not refuse by chance.
    """
    compared = [evidence.comparison, *(each.comparison for each in evidence.slices.values())]
    assert all(each.metric == policy.measure for each in compared), "evidence is of the policy's measure"
    slice_reasons, slice_notes = _judge_slices(evidence.slices, policy)
    suite_reasons, suite_notes = judge_suite(evidence.suite)
    reasons = (*_judge_gain(evidence.comparison, policy), *slice_reasons, *suite_reasons)
    return Verdict(promoted=not reasons, reasons=reasons, notes=(*slice_notes, *suite_notes))


def with_index_faults(verdict: Verdict, faults: Sequence[str]) -> Verdict:
    """The verdict once the candidate's index is built: a fault of it is a reason against it, whatever spoke for it."""
    if not faults:
        return verdict
    against = tuple(f"The index has a fault: {fault}" for fault in faults)
    if not verdict.promoted:
        return replace(verdict, reasons=(*verdict.reasons, *against))
    return Verdict(promoted=False, reasons=against, notes=(*verdict.reasons, *verdict.notes))


def judge_suite(suite: SuiteEvidence) -> tuple[list[str], list[str]]:
    """Reasons and notes, in the order of the cases.

    A candidate may fail no critical case, whatever the baseline does, and no major case that the baseline passes.
    """
    lost = {each.case.name for each in newly_failing(suite.baseline or suite.candidate, suite.candidate)}
    reasons, notes, others = [], [], Counter[str]()
    for each in suite.candidate:
        if each.passed:
            continue
        is_new, severity = each.case.name in lost, each.case.severity
        what = f"{severity.capitalize()} case {each.case.name!r} {'newly fails' if is_new else 'fails'}: {each.why()}."
        if severity == "critical" or (severity == "major" and is_new):
            reasons.append(what)
        elif is_new:
            notes.append(what)
        else:
            others[severity] += 1
    if others:
        counts = ", ".join(f"{count} {severity}" for severity, count in others.items())
        known = "the baseline fails them too" if suite.baseline else "there is nothing to compare with"
        notes.append(f"Cases of the suite that fail and do not refuse: {counts}; {known}.")
    return reasons, notes


def _judge_gain(comparison: Comparison, policy: Policy) -> list[str]:
    """A gain is proven by its interval and by randomisation, since bootstraps of few groups are too narrow."""
    reasons = []
    if comparison.low <= policy.min_gain:
        reasons.append(
            f"The gain in {policy.measure} is not proven: {_change(comparison)}, p = {comparison.p_value:.4f}, "
            f"and the lower end must exceed {policy.min_gain:+.4f}."
        )
    elif policy.min_gain >= 0 and comparison.p_value > policy.alpha:
        reasons.append(
            f"The gain in {policy.measure} is not proven: {_change(comparison)}, but p = {comparison.p_value:.4f} "
            f"by randomisation, above {policy.alpha:g}."
        )
    return reasons


def _judge_slices(slices: Mapping[str, SliceEvidence], policy: Policy) -> tuple[list[str], list[str]]:
    """Reasons and notes, in the order of the slices."""
    eligible = {
        name: each
        for name, each in slices.items()
        if each.num_queries >= policy.min_slice_queries and each.num_groups >= 2
    }
    adjusted = holm([each.comparison.p_value for each in eligible.values()])
    reasons, notes = [], []
    for (name, each), p_value in zip(eligible.items(), adjusted, strict=True):
        if each.comparison.difference >= 0:
            continue
        figures = f"{_change(each.comparison)}, {each.num_queries} queries, p = {p_value:.4f} after Holm"
        if p_value <= policy.alpha:
            reasons.append(f"Slice {name} is worse in {policy.measure}: {figures}, at most {policy.alpha:g}.")
        else:
            notes.append(f"Slice {name} is inconclusive in {policy.measure}: {figures}, above {policy.alpha:g}.")
    num_small = len(slices) - len(eligible)
    if num_small:
        num_fell = sum(each.comparison.difference < 0 for name, each in slices.items() if name not in eligible)
        notes.append(
            f"{num_small} of {len(slices)} slices are too small to judge (fewer than {policy.min_slice_queries} "
            f"queries, or a single group); {num_fell} of them fell."
        )
    return reasons, notes


def _change(comparison: Comparison) -> str:
    return f"{comparison.difference:+.4f} [{comparison.low:+.4f}, {comparison.high:+.4f}]"
