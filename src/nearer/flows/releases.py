"""Releases: promote through the gate, roll back, and say what is live."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from nearer.core.errors import InputError, ModelRefused, NotFound, ServiceError, WorkspaceError
from nearer.core.progress import Progress, Silent
from nearer.flows.evaluate import compare_measured, summarise
from nearer.flows.held_out import held_out_splits
from nearer.flows.index import build, verify
from nearer.flows.measuring.judged_split import JudgedSplit, Mask, read_judged_split
from nearer.flows.measuring.ranking import Measured, measure
from nearer.flows.splits import ensure_splits
from nearer.flows.suite import Suite, gate_suite, keep_suite_run, run_suite
from nearer.flows.systems import BASE, LIVE, System, chunk_of, open_release, open_system, spent
from nearer.flows.systems.filtering import refuse_unindexed
from nearer.flows.systems.reranker import is_reranker_id
from nearer.measure.alarms import raised_in
from nearer.measure.gate import Evidence, Policy, SliceEvidence, SuiteEvidence, Verdict, decide, judge_suite
from nearer.measure.significance import Comparison
from nearer.store.collection import Collection
from nearer.store.registry import Model, Registry, Release, Reranker
from nearer.store.usage import usage_by_model
from nearer.store.workspace import Workspace


def promote(
    workspace: Workspace,
    system: str | None = None,
    *,
    split: str | None = None,
    force_reason: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a model live if the gate lets it through, or a release that was live before, without a gate.

    ``system`` is a model id, ``base``, or a release id; the newest trained model by default. The candidate is
    compared with what is live, or with the base while nothing is; ``base`` itself may be the first release. With
    ``force_reason`` a refused candidate goes live all the same, and the reason is kept.
    """
    progress = progress or Silent()
    registry = Registry(workspace.database)
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
    with workspace.writer("promote"):
        built = build(workspace, candidate, progress=progress)
        verdict, measured = _judge(workspace, candidate, live, suite=suite, split=split, progress=progress)
        verdict = replace(verdict, notes=(*verdict.notes, *_alarm_notes(candidate)))
        forced = None if verdict.promoted else force_reason
        evidence = {**asdict(verdict), "forced": forced, "split": measured["evaluation"]["split"], **measured}
        if not verdict.promoted and forced is None:
            registry.record("refuse", detail={"model_id": candidate.model.model_id, **evidence})
            return _answer("refused", verdict.reasons, verdict.notes, None, measured)
        release = registry.add_release(
            model=candidate.model,
            system={**candidate.pinned, "index": built["index"]},
            evidence=evidence,
        )
        registry.move_live(
            expected=live.release_id if live else None,
            release_id=release.release_id,
            action="promote",
            detail={"reasons": list(verdict.reasons), "forced": forced, "num_documents": built["num_documents"]},
        )
    return _answer("promoted", verdict.reasons, verdict.notes, release.release_id, measured)


def rollback(workspace: Workspace, *, progress: Progress | None = None) -> dict[str, Any]:
    """Make live again what was live before the current release was promoted, over today's documents.

    Raises NotFound when there is nothing to go back to.
    """
    progress = progress or Silent()
    registry = Registry(workspace.database)
    live, previous = registry.live(), registry.previous()
    if live is None or previous is None:
        raise NotFound("there is no release to roll back to", hint="see what was live: nearer history")
    with workspace.writer("rollback"):
        system = _move(workspace, live=live, target=previous, action="rollback", progress=progress)
    moved = {"release_id": previous.release_id, "model_id": previous.model_id, "previous": live.release_id}
    return {**moved, **spent([system])}


def status(workspace: Workspace) -> dict[str, Any]:
    """What is live, what a rollback would return to, the models there are, and what services have cost so far."""
    registry = Registry(workspace.database)
    num_documents = Collection(workspace.database).counts()["documents"]
    return {
        "live": _describe(registry.live(), num_documents),
        "previous": _describe(registry.previous(), num_documents),
        "models": [
            {"model_id": model.model_id, "parent_model_id": model.parent_model_id, "created_at": model.created_at}
            for model in registry.models()
        ],
        "rerankers": [
            {"reranker_id": each.reranker_id, "parent_id": each.parent_id, "created_at": each.created_at}
            for each in registry.rerankers()
        ],
        "api": usage_by_model(workspace.database),
    }


def history(workspace: Workspace) -> dict[str, Any]:
    """Everything that happened to the live pointer, oldest first; the report shows a refusal's measurements."""
    events = [
        asdict(event)
        for event in Registry(workspace.database).history()
        if event.action not in ("train", "train_reranker", "advise", "shorten")
    ]
    for event in events:
        event["detail"] = {key: value for key, value in event["detail"].items() if key not in ("evaluation", "suite")}
    return {"events": events}


def lineage(workspace: Workspace, system: str = LIVE) -> dict[str, Any]:
    """Where a system's model came from: itself first, its parents after it, with data, seed and releases of each.

    A reranker that was trained here has a name too; ``reranker`` tells of that of what is live. Raises NotFound for an
    unknown name.
    """
    registry = Registry(workspace.database)
    live = registry.live()
    if system == LIVE and live is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    model_id: str | None = live.model_id if live and system == LIVE else system
    if system == BASE:
        model_id = open_system(workspace, BASE).model.model_id
    reranker = live.reranker if live and system == LIVE else None
    return {
        "lineage": _chain(registry, model_id),
        "reranker": _chain(registry, reranker) if reranker and is_reranker_id(reranker) else [],
    }


def _chain(registry: Registry, part_id: str | None) -> list[dict[str, Any]]:
    """A model or reranker, and what it was made from after it."""
    chain, found = [], [part_id] if part_id else []
    for each in found:  # grows while it is read
        link, parents = _link(registry, each)
        found += [parent for parent in dict.fromkeys(parents) if parent and parent not in found]
        chain.append(link)
    return chain


def _link(registry: Registry, part_id: str) -> tuple[dict[str, Any], list[str | None]]:
    """What is known of a model or reranker, and the ids of what it was made from."""
    if is_reranker_id(part_id):
        reranker = registry.reranker(part_id)
        own = {
            "reranker_id": part_id,
            "cross_encoder_id": reranker.cross_encoder_id,
            "start": reranker.training["start"],
        }
        return {**own, **_making(registry, part_id, reranker, section="reranker")}, [reranker.parent_id]
    model = registry.model(part_id)
    merged = (model.training or {}).get("merged")
    own = {
        "model_id": part_id,
        "encoder_id": model.encoder_id,
        "encoder": dict(model.encoder),
        "merged": {"with": merged["with"], "weight": merged["weight"]} if merged else None,
    }
    parents = [model.parent_model_id, merged["with"] if merged else None]
    return {**own, **_making(registry, part_id, model, section="train")}, parents


def _making(registry: Registry, part_id: str, made: Model | Reranker, *, section: str) -> dict[str, Any]:
    training = made.training or {}
    return {
        "source": made.source,
        "created_at": made.created_at,
        "data": training.get("data"),
        "seed": training["recipe"][section]["seed"] if training else None,
        "releases": [release.release_id for release in registry.releases(part_id)],
    }


def newest_model(workspace: Workspace) -> str:
    """The model that the last training made. Raises NotFound when there is none, or it was no better."""
    trainings = [event for event in Registry(workspace.database).history() if event.action == "train"]
    if not trainings:
        raise NotFound("no trained model", hint="train one: nearer train; or begin with: nearer promote base")
    if not trainings[-1].detail["improved"]:
        raise NotFound("the last training brought nothing better", hint="name a model: nearer promote MODEL")
    return str(trainings[-1].detail["model_id"])


def judging_split(workspace: Workspace) -> str:
    """The split that judges a release: ``test``, else the first whose name begins so, held out ones last.

    Raises InputError where there is none.
    """
    held_out = held_out_splits(workspace.recipe.split)
    names = [name for name in Collection(workspace.database).splits() if name.startswith("test")]
    names.sort(key=held_out.__contains__)
    if not names:
        raise InputError("there is no test split to judge by", hint="see: nearer check")
    return "test" if "test" in names else names[0]


def _judge(
    workspace: Workspace,
    candidate: System,
    live: Release | None,
    *,
    suite: Suite | None,
    split: str | None,
    progress: Progress,
) -> tuple[Verdict, dict[str, Any]]:
    """Compare the candidate with its baseline on the test split and in the suite, and ask the gate.

    Beside the verdict: ``{"evaluation", "suite"}``, what was measured.
    """
    judged = read_judged_split(workspace, split or judging_split(workspace))
    try:
        baseline = open_system(workspace, LIVE if live else BASE)
    except (ModelRefused, ServiceError) as error:
        ran, told = _run_suite(workspace, suite, [candidate], progress)
        measured = [measure(workspace, candidate, judged, progress=progress)]
        evaluation = summarise(workspace, judged, measured, purpose="gate", progress=progress)
        reason = f"{LIVE if live else BASE} cannot be compared with: {error.message}"
        note = "to go on without a comparison: --force --reason TEXT"
        verdict = _alone(ran, (reason, *verify(workspace, candidate)), note=note)
        return verdict, {"evaluation": evaluation, "suite": told}
    if live is None and candidate.model.model_id == baseline.model.model_id and not candidate.stages:
        ran, told = _run_suite(workspace, suite, [candidate], progress)
        measured = [measure(workspace, candidate, judged, progress=progress)]
        evaluation = summarise(workspace, judged, measured, purpose="first release", progress=progress)
        evaluation |= spent([baseline, candidate])
        verdict = _alone(ran, verify(workspace, candidate))
        if verdict.promoted:
            verdict = replace(verdict, reasons=("the first release: measured, with nothing live to compare it with",))
        return verdict, {"evaluation": evaluation, "suite": told}
    ran, told = _run_suite(workspace, suite, [baseline, candidate], progress)
    measured = [measure(workspace, each, judged, progress=progress) for each in (baseline, candidate)]
    evaluation = summarise(workspace, judged, measured, purpose="gate", progress=progress)
    evidence = _evidence(workspace, measured, judged, index_faults=verify(workspace, candidate), suite=ran)
    gate = workspace.recipe.gate
    policy = Policy(
        measure=gate.measure, min_gain=gate.min_gain, min_slice_queries=gate.min_slice_queries, alpha=gate.alpha
    )
    verdict = decide(evidence, policy)
    if verdict.promoted:
        verdict = replace(verdict, reasons=(_gain(evidence.comparison),))
    return verdict, {"evaluation": evaluation, "suite": told}


def _run_suite(
    workspace: Workspace, suite: Suite | None, systems: Sequence[System], progress: Progress
) -> tuple[SuiteEvidence, dict[str, Any] | None]:
    """How the last of one or two systems, and the one before it, did in the suite; and the same as JSON."""
    if suite is None:
        return SuiteEvidence(), None
    ran = [(each, run_suite(workspace, suite, each, progress=progress)) for each in systems]
    told = keep_suite_run(workspace, suite, ran)
    return SuiteEvidence(candidate=ran[-1][1], baseline=ran[0][1] if len(ran) > 1 else None), told


def _alone(suite: SuiteEvidence, faults: tuple[str, ...], *, note: str = "") -> Verdict:
    """The verdict on a candidate without a baseline: neither faults nor critical cases that fail."""
    reasons, notes = judge_suite(suite)
    reasons = [*faults, *reasons]
    return Verdict(promoted=not reasons, reasons=tuple(reasons), notes=(*([note] if note else []), *notes))


def _alarm_notes(candidate: System) -> tuple[str, ...]:
    """What was raised when the candidate was trained; an alarm is no reason to refuse it."""
    raised = raised_in(candidate.model.training)
    return tuple(f"Alarm {alarm['name']} was raised in training: {alarm['sentence']}" for alarm in raised)


def _gain(comparison: Comparison) -> str:
    return (
        f"{comparison.metric} rose by {comparison.difference:.4f} [{comparison.low:.4f}, {comparison.high:.4f}]: "
        f"{comparison.num_wins} queries won, {comparison.num_losses} lost"
    )


def _evidence(
    workspace: Workspace,
    measured: Sequence[Measured],
    judged: JudgedSplit,
    *,
    index_faults: tuple[str, ...],
    suite: SuiteEvidence,
) -> Evidence:
    metric, recipe = workspace.recipe.gate.measure, workspace.recipe.evaluate
    if metric not in recipe.measures:
        raise InputError(f"gate.measure {metric!r} is not in evaluate.measures", hint="add it to evaluate.measures")
    baseline, candidate = measured

    def compared(mask: Mask | None = None) -> Comparison:
        [found] = compare_measured(baseline, candidate, metrics=[metric], judged=judged, recipe=recipe, mask=mask)
        return found

    return Evidence(
        comparison=compared(),
        slices={
            name: SliceEvidence(
                num_queries=int(mask.sum()), num_groups=_num_groups(judged, mask), comparison=compared(mask)
            )
            for name, mask in judged.slices.items()
        },
        index_faults=index_faults,
        suite=suite,
    )


def _num_groups(judged: JudgedSplit, mask: Mask) -> int:
    rows = np.flatnonzero(mask)
    return len(set(judged.groups_of(rows) or rows.tolist()))


def _promote_release(workspace: Workspace, release: Release, *, progress: Progress) -> dict[str, Any]:
    live = Registry(workspace.database).live()
    if live and live.release_id == release.release_id:
        raise InputError(f"{release.release_id} is live already", hint="see: nearer status")
    with workspace.writer("promote"):
        system = _move(workspace, live=live, target=release, action="promote", progress=progress)
    forced = release.evidence.get("forced")
    how = f"this release was forced before: {forced}" if forced else "this release went through the gate before"
    return {**_answer("promoted", (how,), (), release.release_id, None), **spent([system])}


def _move(workspace: Workspace, *, live: Release | None, target: Release, action: str, progress: Progress) -> System:
    """Bring the target's index up to today's documents if it is not, then move the pointer.

    Raises WorkspaceError when the index has faults all the same; the pointer stays where it was.
    """
    system = open_release(workspace, target, name=target.model_id)
    if verify(workspace, system):
        build(workspace, system, progress=progress)
        if faults := verify(workspace, system):
            raise WorkspaceError(
                f"the index of {target.release_id} cannot serve: {'; '.join(faults)}",
                hint=f"mend what it says, then see: nearer index {target.model_id} --verify",
            )
    Registry(workspace.database).move_live(
        expected=live.release_id if live else None, release_id=target.release_id, action=action, detail={}
    )
    return system


def _describe(release: Release | None, num_documents: int) -> dict[str, Any] | None:
    if release is None:
        return None
    return {
        "release_id": release.release_id,
        "model_id": release.model_id,
        "space_id": release.space_id,
        "stages": release.system.get("stages", []),
        "num_documents": num_documents,
        "created_at": release.created_at,
    }


def _answer(
    verdict: str,
    reasons: Sequence[str],
    notes: Sequence[str],
    release_id: str | None,
    measured: dict[str, Any] | None,
) -> dict[str, Any]:
    evaluation, suite = (measured["evaluation"], measured["suite"]) if measured else (None, None)
    return {
        "verdict": verdict,
        "reasons": list(reasons),
        "notes": list(notes),
        "release_id": release_id,
        "evaluation": evaluation,
        "suite": suite,
        **({"api": evaluation["api"]} if evaluation and "api" in evaluation else {}),
    }
