"""The stages of a turn, done one after the other; what one gave is kept with the hash of what it was given."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nearer.core.ids import content_id
from nearer.core.results.base import JSON
from nearer.core.results.loop import CycleStage, CycleStep, CycleVerdict
from nearer.store.cycles import CycleEntry, Cycles, StageEntry
from nearer.store.registry import utc_now

Results = Mapping[str, JSON]
"""What the stages before gave, by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stage came to; ``ends`` is a verdict that leaves out the stages after it, but for the last.

    ``waits``: it has begun what needs users, and is to be asked again in another call, with this ``result``.
    """

    summary: str
    result: JSON = field(default_factory=dict)
    ends: CycleVerdict | None = None
    reasons: tuple[str, ...] = ()
    waits: bool = False
    is_skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: ``inputs`` is what decides its result beside the stages before; ``work`` does it.

    ``work`` is given what the stages before gave, and what it gave itself where it waited. Once a stage that
    ``settles`` has begun, those before it are not done again, whatever changed: users have met what they gave.
    """

    name: CycleStage
    work: Callable[[Results, JSON], Outcome]
    inputs: Callable[[], JSON] = dict
    settles: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How far the stages came; ``verdict`` is None where all were done."""

    steps: tuple[CycleStep, ...]
    verdict: CycleVerdict | None
    reasons: tuple[str, ...]
    results: Results


def run_stages(
    cycles: Cycles,
    entry: CycleEntry,
    stages: Sequence[Stage],
    *,
    until: str | None,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Ran:
    """Do the stages that are not done, up to ``until``; of those whose inputs are as before keep the result."""
    kept, results, steps = cycles.stages(entry.cycle_id), dict[str, JSON](), list[CycleStep]()
    verdict: CycleVerdict | None = None
    reasons: tuple[str, ...] = ()
    settled = _num_settled(stages, kept)
    for place, stage in enumerate(stages):
        if verdict and stage is not stages[-1]:
            continue
        found, input_hash = kept.get(stage.name), _input_hash(stage, results)
        is_as_before = found is not None and (place < settled or found.input_hash == input_hash)
        if found is None or not is_as_before or found.state == "waiting":
            begun = found.result if found and is_as_before else {}
            say(f"turn {entry.number}: {stage.name}")
            began = clock()
            outcome = stage.work(results, begun)
            found = _entry(stage, input_hash, outcome, took_s=clock() - began)
            cycles.keep(entry.cycle_id, found)
            steps.append(_step(found, state=found.state))
        else:
            steps.append(_step(found, state="skipped" if found.state == "skipped" else "kept"))
        say(f"  {found.summary}")
        results[stage.name] = found.result
        if found.state == "waiting":
            return _ran(steps, "waiting", (found.summary,), results)
        if ends := found.result.get("ends"):
            verdict, reasons = ends, tuple(found.result.get("reasons", ()))
        if stage.name == until and stage is not stages[-1]:
            return _ran(steps, "stopped", (f"as asked, after {until}",), results)
    return _ran(steps, verdict, reasons, results)


def planned_steps(names: Sequence[CycleStage], kept: Mapping[str, StageEntry]) -> tuple[CycleStep, ...]:
    """What would be done; what a turn that was cut short has done already is kept."""
    return tuple(
        _step(found, state="kept") if (found := kept.get(name)) and found.state != "waiting" else _to_do(name)
        for name in names
    )


def steps_of(kept: Mapping[str, StageEntry]) -> tuple[CycleStep, ...]:
    """The stages of a turn as they were kept."""
    return tuple(_step(each, state=each.state) for each in kept.values())


def _num_settled(stages: Sequence[Stage], kept: Mapping[str, StageEntry]) -> int:
    """How many stages from the first on stay as they are."""
    begun = (place for place, each in enumerate(stages) if each.settles and each.name in kept)
    return max((place for place in begun if kept[stages[place].name].state != "skipped"), default=0)


def _input_hash(stage: Stage, results: Results) -> str:
    before = {name: content_id("result", dict(result)) for name, result in results.items()}
    return content_id("input", [stage.name, before, dict(stage.inputs())])


def _entry(stage: Stage, input_hash: str, outcome: Outcome, *, took_s: float) -> StageEntry:
    ends = {"ends": outcome.ends, "reasons": list(outcome.reasons)} if outcome.ends else {}
    return StageEntry(
        stage=stage.name,
        input_hash=input_hash,
        state="waiting" if outcome.waits else "skipped" if outcome.is_skipped else "done",
        summary=outcome.summary,
        result={**outcome.result, **ends},
        at=utc_now(),
        took_s=round(took_s, 1),
    )


def _step(entry: StageEntry, *, state: str) -> CycleStep:
    return CycleStep.read(
        {
            "stage": entry.stage,
            "state": state,
            "summary": entry.summary,
            "input_hash": entry.input_hash,
            "at": entry.at,
            "took_s": entry.took_s,
            "result": dict(entry.result),
        }
    )


def _to_do(name: CycleStage) -> CycleStep:
    return CycleStep(stage=name, state="to do", summary="", input_hash=None, at=None, took_s=0.0, result={})


def _ran(steps: Sequence[CycleStep], verdict: CycleVerdict | None, reasons: tuple[str, ...], results: Results) -> Ran:
    return Ran(steps=tuple(steps), verdict=verdict, reasons=reasons, results=results)
