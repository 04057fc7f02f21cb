"""Releases: promote through the gate, roll back, and say what is live."""

from dataclasses import replace

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.results.releases import Promotion
from nearer.core.results.serving import BuiltIndex
from nearer.encode.embedded import Corpora
from nearer.evaluation.gating import alarm_notes, judge_candidate, split_to_judge
from nearer.evaluation.ready import JUDGE
from nearer.evaluation.suite import gate_suite
from nearer.flows.rollback import brought_up, move_pointer
from nearer.flows.shadow import shadow_notes
from nearer.measure.gate import with_index_faults
from nearer.store.arms import Arms
from nearer.store.objects import push_models
from nearer.store.registered import UNMEASURED, Decision, Release
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use, chunk_of, open_system
from nearer.systems.filtering import refuse_unindexed
from nearer.systems.space_index import build, refuse_unfilterable, verify
from nearer.training.models import newest_model


def promote(
    workspace: Workspace,
    system: str | None = None,
    *,
    split: str | None = None,
    force_reason: str | None = None,
    share: float | None = None,
    hold: bool = False,
    progress: Progress | None = None,
) -> Promotion:
    """Make a model live if the gate lets it through, or a release that was live before, without a gate.

    With a ``share`` live stays: the release answers that share of the users, until it goes live, live changes, or
    ``stop_arm``. With ``hold`` it stays too: what the gate lets through becomes a release, to go live by its id.

    ``system`` is a model id, ``base``, or a release id; the newest trained model by default. The candidate is
    compared with what is live, or with the base while nothing is; ``base`` itself may be the first release, and goes
    live unmeasured where no query is judged to measure it by, and so does another that is forced. With
    ``force_reason`` a refused candidate goes live all the same, and the reason is kept. An index is built only for what
    the gate lets through or is forced.

    Raises InputError, before a model is opened, for another candidate than base where no query is judged, and for a
    field of index.filter_fields whose values no index can compare.
    """
    progress = progress or Silent()
    registry = workspace.registry
    if share is not None:
        Arms(workspace.database).refuse_share(share)
    if system and system.startswith("release-"):
        _refuse_options(system, split, force_reason)
        return _promote_release(workspace, registry.release(system), share=share, hold=hold, progress=progress)
    if split and not split.startswith("test"):
        raise InputError(f"split {split!r} was used to choose the model", hint="judge by a split named test...")
    name, live = system or newest_model(registry), registry.live()
    judges = split_to_judge(workspace, name, split, live, is_forced=force_reason is not None)
    refuse_unfilterable(workspace)
    candidate = open_system(workspace, name)
    is_measured_again = bool(live and live.is_unmeasured and judges)
    if live and candidate.is_released_as(live) and not is_measured_again:
        raise InputError(f"{candidate.name} is live already", hint="train another: nearer train")
    if "filter" in candidate.stages:
        refuse_unindexed(candidate.search, workspace.recipe.index.filter_fields)
    if live and candidate.shares_index(live):  # live must go on unchanged
        candidate = replace(candidate, chunk=chunk_of(live, candidate.encoder))
    suite = gate_suite(workspace)
    workspace.begin_writing()
    if judges is None:
        made = build(workspace, candidate, progress=progress)
        return _promote_unmeasured(workspace, candidate, made, live=live, forced=force_reason, share=share, hold=hold)
    rival = None if live and candidate.is_released_as(live) else live
    corpora = Corpora(workspace, progress)
    judged = judge_candidate(corpora, candidate, rival, suite=suite, split=judges)
    seen = (*alarm_notes(workspace, candidate), *shadow_notes(workspace, candidate))
    verdict = replace(judged.verdict, notes=(*judged.verdict.notes, *seen))
    built = None
    if verdict.promoted or force_reason is not None:
        built = build(workspace, candidate, corpora=corpora, progress=progress)
        verdict = with_index_faults(verdict, verify(workspace, candidate))
    forced = None if verdict.promoted else force_reason
    answer = Promotion(
        verdict="promoted",
        reasons=verdict.reasons,
        notes=verdict.notes,
        release_id=None,
        evaluation=judged.evaluation,
        suite=judged.suite,
        api=judged.evaluation.api,
    )
    decision = Decision(
        action="promote" if verdict.promoted or forced is not None else "refuse",
        model_id=candidate.model.model_id,
        reasons=verdict.reasons,
        notes=verdict.notes,
        forced=forced,
        evaluation=judged.evaluation,
        suite=judged.suite,
    )
    if built is None or decision.action == "refuse":
        registry.add_decision(decision)
        return replace(answer, verdict="refused")
    release = registry.add_release(
        model=candidate.model,
        system={**candidate.pinned, "index": built.index.to_dict()},
    )
    _go_live(workspace, decision, live=live, release_id=release.release_id, share=share, hold=hold)
    return replace(answer, release_id=release.release_id, share=share)


def _refuse_options(release_id: str, split: str | None, force_reason: str | None) -> None:
    if split or force_reason:
        hint = f"leave the options out: nearer promote {release_id}"
        raise InputError("a release goes live again without a gate", hint=hint)


def _go_live(
    workspace: Workspace,
    decision: Decision,
    *,
    live: Release | None,
    release_id: str,
    share: float | None,
    hold: bool,
) -> None:
    """Have a release answer everybody, a share of the users beside live, or nobody yet; its model goes there before.

    Raises ServiceError where object storage does not take that.
    """
    push_models(workspace)
    if hold:
        workspace.registry.add_decision(replace(decision, action="hold"), release_id=release_id)
    elif live and share is not None:
        arm = shared(decision, share)
        Arms(workspace.database).start(arm, live_id=live.release_id, release_id=release_id, share=share)
    else:
        workspace.registry.move_live(decision, expected=live.release_id if live else None, release_id=release_id)


def shared(decision: Decision, share: float) -> Decision:
    """A decision for a share of the users."""
    return replace(decision, action="arm", reasons=(f"it answers {share:.3g} of the users", *decision.reasons))


def _promote_unmeasured(
    workspace: Workspace,
    system: System,
    built: BuiltIndex,
    *,
    live: Release | None,
    forced: str | None,
    share: float | None,
    hold: bool,
) -> Promotion:
    """Base as the first release, or what is forced, though nothing is judged that it could be measured by."""
    what = "forced" if forced is not None else "the first release"
    reasons = (f"{what}, unmeasured: no query of a test split is judged",)
    notes = (f"to measure it: {JUDGE}; then: nearer promote {system.name}",)
    release = workspace.registry.add_release(
        model=system.model,
        system={**system.pinned, "index": built.index.to_dict(), UNMEASURED: True},
    )
    decision = Decision(action="promote", model_id=system.model.model_id, reasons=reasons, notes=notes, forced=forced)
    _go_live(workspace, decision, live=live, release_id=release.release_id, share=share, hold=hold)
    return Promotion(
        verdict="promoted",
        reasons=reasons,
        notes=notes,
        release_id=release.release_id,
        evaluation=None,
        suite=None,
        share=share,
        api=api_use([system]),
    )


def _promote_release(
    workspace: Workspace, release: Release, *, share: float | None, hold: bool, progress: Progress
) -> Promotion:
    live = workspace.registry.live()
    if live and live.release_id == release.release_id:
        raise InputError(f"{release.release_id} is live already", hint="see: nearer status")
    workspace.begin_writing()
    if hold or (live and share is not None):
        system = brought_up(workspace, release, progress=progress)
    else:
        system = move_pointer(workspace, live=live, target=release, action="promote", progress=progress)
    if live and share is not None:
        decision = shared(Decision(action="arm", model_id=release.model_id), share)
        Arms(workspace.database).start(decision, live_id=live.release_id, release_id=release.release_id, share=share)
    judged = workspace.registry.last_decision(release_id=release.release_id)
    forced = judged.forced if judged else None
    how = f"this release was forced before: {forced}" if forced else "this release went through the gate before"
    how = "this release was live before, unmeasured" if release.is_unmeasured else how
    return Promotion(
        verdict="promoted",
        reasons=(how,),
        notes=(),
        release_id=release.release_id,
        evaluation=None,
        suite=None,
        share=share,
        api=api_use([system]),
    )
