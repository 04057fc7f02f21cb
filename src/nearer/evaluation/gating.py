"""A candidate judged: compared with what is live, on the test split and in the suite."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.core.results.measuring import Comparison, Evaluation, Ledger, SuiteRun
from nearer.encode.embedded import Corpora
from nearer.evaluation.comparison import compare_measured, summarise
from nearer.evaluation.held_out import judging_split
from nearer.evaluation.judged_split import JudgedSplit, read_judged_with
from nearer.evaluation.ranking import Measured, measure
from nearer.evaluation.ready import refuse_unjudged, refuse_without
from nearer.evaluation.splits import ensure_splits
from nearer.evaluation.suite import Suite, keep_suite_run, run_suite
from nearer.measure.gate import GateEvidence, Policy, SliceEvidence, SuiteEvidence, Verdict, decide, judge_suite
from nearer.store.registered import Release
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, System, api_use, open_system


def split_to_judge(
    workspace: Workspace, name: str, split: str | None, live: Release | None, *, is_forced: bool
) -> str | None:
    """The split that judges a candidate; None where there is none, and base is the first release, or it is forced.

    Raises InputError, before a model is opened, for any other candidate where no query is judged.
    """
    refuse_without(workspace, "documents", outcome="nothing can go live")
    ensure_splits(workspace)
    try:
        refuse_without(workspace, "judgments", outcome=f"{name} cannot be measured")
        judges = split or judging_split(workspace)
        refuse_unjudged(workspace, judges)
    except InputError as error:
        if split is None and ((name == BASE and live is None) or is_forced):
            return None
        if live is None:
            hint = f"{error.hint}; base may go live unmeasured: nearer promote base"
            raise InputError(error.message, hint=hint) from error
        raise
    return judges


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the gate said of a candidate, and what was measured of it."""

    verdict: Verdict
    evaluation: Evaluation
    suite: SuiteRun | None


def judge_candidate(
    corpora: Corpora, candidate: System, live: Release | None, *, suite: Suite | None, split: str | None
) -> Judgement:
    """Compare the candidate with its baseline on the test split and in the suite, and ask the gate.

    No index is needed: rankings are exact, over vectors that the cache keeps for the index to be built.
    """
    workspace = corpora.workspace
    judged = read_judged_with(corpora, split or judging_split(workspace))
    try:
        baseline = open_system(workspace, LIVE if live else BASE)
    except (ModelRefused, ServiceError) as error:
        ran, suite_run = _run_suite(corpora, suite, [candidate])
        measured = [measure(corpora, candidate, judged)]
        evaluation = _evaluated(corpora, judged, measured, purpose="gate")
        reason = f"{LIVE if live else BASE} cannot be compared with: {error.message}"
        note = "to go on without a comparison: --force --reason TEXT"
        verdict = _alone(ran, (reason,), note=note)
        return Judgement(verdict=verdict, evaluation=evaluation, suite=suite_run)
    if live is None and candidate.model.model_id == baseline.model.model_id and not candidate.stages:
        ran, suite_run = _run_suite(corpora, suite, [candidate])
        measured = [measure(corpora, candidate, judged)]
        evaluation = _evaluated(corpora, judged, measured, purpose="first release")
        evaluation = replace(evaluation, api=api_use([baseline, candidate]))
        verdict = _alone(ran, ())
        if verdict.promoted:
            verdict = replace(verdict, reasons=("the first release: measured, with nothing live to compare it with",))
        return Judgement(verdict=verdict, evaluation=evaluation, suite=suite_run)
    ran, suite_run = _run_suite(corpora, suite, [baseline, candidate])
    measured = [measure(corpora, each, judged) for each in (baseline, candidate)]
    evaluation = _evaluated(corpora, judged, measured, purpose="gate")
    evidence = _evidence(workspace, measured, judged, suite=ran)
    gate = workspace.recipe.gate
    policy = Policy(
        measure=gate.measure, min_gain=gate.min_gain, min_slice_queries=gate.min_slice_queries, alpha=gate.alpha
    )
    verdict = decide(evidence, policy)
    if verdict.promoted:
        verdict = replace(verdict, reasons=(_gain(evidence.comparison, evaluation.ledger),))
    return Judgement(verdict=verdict, evaluation=evaluation, suite=suite_run)


def _evaluated(corpora: Corpora, judged: JudgedSplit, measured: Sequence[Measured], *, purpose: str) -> Evaluation:
    """What was measured, entered as a look at the test split."""
    names = [each.system.name for each in measured]
    ledger = corpora.workspace.registry.use_test_split(split=judged.split, systems=names, purpose=purpose)
    return summarise(corpora, judged, measured, ledger=ledger)


def _run_suite(
    corpora: Corpora, suite: Suite | None, systems: Sequence[System]
) -> tuple[SuiteEvidence, SuiteRun | None]:
    """How the last of one or two systems, and the one before it, did in the suite; and the same as a result."""
    if suite is None:
        return SuiteEvidence(), None
    ran = [(each, run_suite(corpora, suite, each)) for each in systems]
    kept = keep_suite_run(corpora.workspace, suite, ran)
    return SuiteEvidence(candidate=ran[-1][1], baseline=ran[0][1] if len(ran) > 1 else None), kept


def _alone(suite: SuiteEvidence, faults: tuple[str, ...], *, note: str = "") -> Verdict:
    """The verdict on a candidate without a baseline: neither faults nor critical cases that fail."""
    reasons, notes = judge_suite(suite)
    reasons = [*faults, *reasons]
    return Verdict(promoted=not reasons, reasons=tuple(reasons), notes=(*([note] if note else []), *notes))


def alarm_notes(workspace: Workspace, candidate: System) -> tuple[str, ...]:
    """What was raised when the candidate was trained; an alarm is no reason to refuse it."""
    training = workspace.registry.training_of(candidate.model.model_id)
    raised = training.raised if training else ()
    return tuple(f"Alarm {alarm.name} was raised in training: {alarm.sentence}" for alarm in raised)


def _gain(comparison: Comparison, ledger: Ledger) -> str:
    """What was proven, by which p, and at which use of the test set; a policy may allow for a loss."""
    verb = "rose" if comparison.difference > 0 else "fell" if comparison.difference < 0 else "changed"
    uses = f", use {ledger.num_test_uses} of this test set" if ledger.num_test_uses else ""
    return (
        f"{comparison.metric} {verb} by {abs(comparison.difference):.4f} "
        f"[{comparison.low:+.4f}, {comparison.high:+.4f}], p = {comparison.p_value:.4f}{uses}: "
        f"{comparison.num_wins} queries won, {comparison.num_losses} lost"
    )


def _evidence(
    workspace: Workspace,
    measured: Sequence[Measured],
    judged: JudgedSplit,
    *,
    suite: SuiteEvidence,
) -> GateEvidence:
    metric, recipe = workspace.recipe.gate.measure, workspace.recipe.evaluate
    if metric not in recipe.measures:
        raise InputError(f"gate.measure {metric!r} is not in evaluate.measures", hint="add it to evaluate.measures")
    baseline, candidate = measured

    judged.measurable([metric])

    def compared(mask: Bools | None = None) -> Comparison:
        [found] = compare_measured(baseline, candidate, metrics=[metric], judged=judged, recipe=recipe, mask=mask)
        return found

    return GateEvidence(
        comparison=compared(),
        slices={
            name: SliceEvidence(
                num_queries=len(judged.rows_of(metric, mask)),
                num_groups=_num_groups(judged, judged.rows_of(metric, mask)),
                comparison=compared(mask),
            )
            for name, mask in judged.slices.items()
            if len(judged.rows_of(metric, mask))
        },
        suite=suite,
    )


def _num_groups(judged: JudgedSplit, rows: Ints) -> int:
    return len(set(judged.groups_of(rows) or rows.tolist()))
