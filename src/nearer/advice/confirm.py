"""The advised system, as any other is opened, and its one look at the test split."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.write import write_changes
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.recipe import with_keys
from nearer.core.results.advice import Confirmation
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.embedded import Corpora
from nearer.evaluation.comparison import compare_measured
from nearer.evaluation.held_out import judging_split
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ranking import measure
from nearer.store.workspace import Workspace
from nearer.systems import BASE, System, in_order, open_system
from nearer.training.adapter_set import read_adapter_set
from nearer.training.adapters import settings_of, train_adapter

_ADAPTER, _CHUNK = "adapter:", "chunk:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """The system that a remedy makes, its name as verbs take it, and the lines written into the recipe."""

    name: str
    system: System
    written: tuple[str, ...]


def build(
    workspace: Workspace, data: AdviceData, name: str, changes: Mapping[str, Any], *, write: bool
) -> Advised | None:
    """The system of a remedy, fitted on all queries; with ``write`` the recipe is changed, an adapter registered.

    None for base itself, and for fine-tuning, which is a training of its own.
    """
    if name in (BASE, "fine_tune"):
        return None
    written = tuple(write_changes(workspace, changes)) if write and changes else ()
    changed = workspace.with_recipe(with_keys(workspace.recipe, changes))
    if name.startswith(_ADAPTER):
        sides, *stages = name.removeprefix(_ADAPTER).split("+")
        return _adapted(changed, data, sides, stages, write=write, written=written)
    if name in data.others:
        return Advised(name=BASE if write else name, system=data.others[name], written=written)
    if name.startswith(_CHUNK):
        return Advised(name=BASE, system=replace(data.system, name=name, chunk=changed.recipe.chunk), written=written)
    return Advised(name=name, system=open_system(changed, name), written=written)


def confirm(workspace: Workspace, data: AdviceData, advised: Advised, *, progress: Progress) -> Confirmation | None:
    """The advised system against base on the test split, once; none where no test query is judged."""
    try:
        split = judging_split(workspace)
        if split in data.splits:
            progress.say("not confirmed: all judged queries were tuned on, each without its fold; they are few")
            return None
        corpora = Corpora(workspace, progress)
        judged = read_judged_with(corpora, split)
    except InputError as error:
        progress.say(f"not confirmed on test: {error.message}")
        return None
    base, candidate = (measure(corpora, each, judged) for each in (data.system, advised.system))
    main = str(MAIN)
    [compared] = compare_measured(base, candidate, metrics=[main], judged=judged, recipe=workspace.recipe.evaluate)
    ledger = workspace.registry.use_test_split(
        split=judged.split, systems=[BASE, advised.system.name], purpose="advise"
    )
    return Confirmation(
        split=judged.split,
        num_queries=len(judged.queries),
        metric=main,
        system=advised.name,
        base=float(base.values[main].mean()),
        value=float(candidate.values[main].mean()),
        difference=compared.difference,
        low=compared.low,
        high=compared.high,
        p_value=compared.p_value,
        ledger=ledger,
    )


def _adapted(
    workspace: Workspace, data: AdviceData, sides: str, stages: list[str], *, write: bool, written: tuple[str, ...]
) -> Advised:
    """Base with an adapter: registered from train and dev, or only made here."""
    if write:
        model_id = train_adapter(workspace, sides, BASE, progress=data.progress, clock=time.monotonic)["model_id"]
        name = "+".join([model_id, *stages])
        return Advised(name=name, system=open_system(workspace, name), written=written)
    known = read_adapter_set(workspace, data.system, data.queries, progress=data.progress)
    adapter, _ = known.fit(
        data.tuned_on(0),
        data.judged_by(0),
        settings=settings_of(workspace.recipe, sides),
        progress=data.progress,
    )
    system = replace(
        data.system,
        name=f"{_ADAPTER}{sides}",
        encoder=AdaptedEncoder(data.system.encoder, adapter),
        stages=in_order(stages),
        search=workspace.recipe.search,
    )
    return Advised(name=system.name, system=system, written=written)
