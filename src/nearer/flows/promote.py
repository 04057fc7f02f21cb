"""Releases: promote through the gate, roll back, and say what is live."""

from dataclasses import replace

from nearer.core.errors import InputError, NotFound
from nearer.core.progress import Progress, Silent
from nearer.core.results.releases import Promotion
from nearer.evaluation.gating import alarm_notes, judge_candidate
from nearer.evaluation.splits import ensure_splits
from nearer.evaluation.suite import gate_suite
from nearer.flows.rollback import move_pointer
from nearer.store.registry import Decision, Release
from nearer.store.workspace import Workspace
from nearer.systems import api_use, chunk_of, open_system
from nearer.systems.filtering import refuse_unindexed
from nearer.systems.space_index import build


def promote(
    workspace: Workspace,
    system: str | None = None,
    *,
    split: str | None = None,
    force_reason: str | None = None,
    progress: Progress | None = None,
) -> Promotion:
    """Make a model live if the gate lets it through, or a release that was live before, without a gate.

    ``system`` is a model id, ``base``, or a release id; the newest trained model by default. The candidate is
    compared with what is live, or with the base while nothing is; ``base`` itself may be the first release. With
    ``force_reason`` a refused candidate goes live all the same, and the reason is kept.
    """
    progress = progress or Silent()
    registry = workspace.registry
    if system and system.startswith("release-"):
        if split or force_reason:
            raise InputError(
                "a release goes live again without a gate", hint=f"leave the options out: nearer promote {system}"
            )
        return _promote_release(workspace, registry.release(system), progress=progress)
    if split and not split.startswith("test"):
        raise InputError(f"split {split!r} was used to choose the model", hint="judge by a split named test...")
    ensure_splits(workspace)
    candidate = open_system(workspace, system or newest_model(workspace))
    live = registry.live()
    if live and candidate.is_released_as(live):
        raise InputError(f"{candidate.name} is live already", hint="train another: nearer train")
    if "filter" in candidate.stages:
        refuse_unindexed(candidate.search, workspace.recipe.index.filter_fields)
    if live and candidate.shares_index(live):  # live must go on unchanged
        candidate = replace(candidate, chunk=chunk_of(live))
    suite = gate_suite(workspace)
    workspace.begin_writing()
    built = build(workspace, candidate, progress=progress)
    judged = judge_candidate(workspace, candidate, live, suite=suite, split=split, progress=progress)
    verdict = replace(judged.verdict, notes=(*judged.verdict.notes, *alarm_notes(workspace, candidate)))
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
    if decision.action == "refuse":
        registry.add_decision(decision)
        return replace(answer, verdict="refused")
    release = registry.add_release(
        model=candidate.model,
        system={**candidate.pinned, "index": built.index.to_dict()},
    )
    registry.move_live(decision, expected=live.release_id if live else None, release_id=release.release_id)
    return replace(answer, release_id=release.release_id)


def newest_model(workspace: Workspace) -> str:
    """The model that the last training made. Raises NotFound when there is none, or it was no better."""
    training = workspace.registry.last_training(("train", "adapt"))
    if training is None:
        raise NotFound("no trained model", hint="train one: nearer train; or begin with: nearer promote base")
    model_id, is_improved = training
    if not is_improved:
        raise NotFound("the last training brought nothing better", hint="name a model: nearer promote MODEL")
    return str(model_id)


def _promote_release(workspace: Workspace, release: Release, *, progress: Progress) -> Promotion:
    live = workspace.registry.live()
    if live and live.release_id == release.release_id:
        raise InputError(f"{release.release_id} is live already", hint="see: nearer status")
    workspace.begin_writing()
    system = move_pointer(workspace, live=live, target=release, action="promote", progress=progress)
    judged = workspace.registry.last_decision(release_id=release.release_id)
    forced = judged.forced if judged else None
    how = f"this release was forced before: {forced}" if forced else "this release went through the gate before"
    return Promotion(
        verdict="promoted",
        reasons=(how,),
        notes=(),
        release_id=release.release_id,
        evaluation=None,
        suite=None,
        api=api_use([system]),
    )
