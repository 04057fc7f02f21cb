"""Measure every remedy on the team's own judged queries, and say which to take, what it costs and why."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from nearer.core.progress import Progress, Silent
from nearer.encode.cross_encoder import CrossEncoder
from nearer.flows.advise.confirm import Advised, build, confirm
from nearer.flows.advise.expense import Rate, measure_rate
from nearer.flows.advise.ground import MAIN, Ground
from nearer.flows.advise.models import adapter_remedies, chunk_remedies, encoder_remedies
from nearer.flows.advise.remedies import (
    Remedy,
    Skipped,
    boost_remedy,
    filter_remedy,
    lexical_remedies,
    read_structure,
    rerank_remedy,
)
from nearer.flows.advise.rows import Row, base_row, fine_tuning, row_of
from nearer.flows.advise.write import refuse_unwritable
from nearer.flows.diagnosis import diagnose_opened
from nearer.flows.systems import BASE, spent
from nearer.flows.systems.reranker import named_reranker
from nearer.measure.verdict import FINE_TUNE, Case, Decision, Rules, decide
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace

_NO_RERANKER = 'no reranker is named: search.rerank.model = "cross-encoder/ms-marco-MiniLM-L6-v2"'


def advise(
    workspace: Workspace,
    *,
    write: bool = False,
    measure: bool = False,
    confirm_on_test: bool = True,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Which remedy this search needs, out of those measured on the judged queries of train and dev.

    Every query is judged by what was tuned without its fold. The choice is made once, and then measured on test, which
    is a look in the ledger. Fine-tuning is forecast from a learning curve; with ``measure`` that has all the pairs.
    ``write`` puts the advice into the recipe, and registers the adapter where one is advised.

    Raises InputError for too few judged queries, ModelRefused for a reranker or encoder that cannot be used,
    WorkspaceError where the advice could not be kept.
    """
    progress = progress or Silent()
    workspace.database.refuse_read_only()
    if write:
        refuse_unwritable(workspace)
    began = clock()
    recipe = workspace.recipe
    rules = _rules(workspace)
    reranker = named_reranker(workspace, recipe.search.rerank)
    ground = Ground(workspace, progress)
    progress.say(f"{len(ground.queries)} judged queries in {ground.num_folds} folds")
    rows, skipped = _measure(ground, reranker, full_curve=measure)
    diagnosis = diagnose_opened(workspace, ground.system, split=ground.splits[-1], progress=progress)
    case = Case(
        base=float(ground.base[str(MAIN)].mean()),
        num_queries=len(ground.queries),
        num_diagnosed=diagnosis["num_queries"],
        causes={each["cause"]: each["num_queries"] for each in diagnosis["causes"]},
        num_pairs=ground.num_pairs,
        target=recipe.advise.target,
        judged=float(ground.base["Judged@10"].mean()) if "Judged@10" in ground.base else None,
    )
    decision = decide(case, [each.tried for each in rows], rules)
    chosen = next((each for each in rows if each.tried.name == decision.name), None)
    advised = build(workspace, ground, chosen.tried.name, chosen.changes, write=write) if chosen else None
    result = {
        **ground.described(),
        "metric": str(MAIN),
        "verdict": decision.word,
        "remedy": decision.name,
        "reasons": list(decision.reasons),
        "remedies": [base_row(ground), *(each.described for each in rows)],
        "not_measured": [asdict(each) for each in skipped],
        "diagnosis": {key: diagnosis[key] for key in ("split", "num_queries", "num_failed", "causes", "notes")},
        "next": _next(decision, chosen, advised, written=write),
        "changes": dict(chosen.changes) if chosen else {},
        "written": list(advised.written) if advised and write else [],
        "confirmed": confirm(workspace, ground, advised, progress=progress) if advised and confirm_on_test else None,
        "duration_s": round(clock() - began, 1),
        **spent([ground.system, *ground.others.values(), *([advised.system] if advised else [])]),
    }
    Registry(workspace.database).record("advise", detail=result)
    return result


def _measure(ground: Ground, reranker: CrossEncoder | None, *, full_curve: bool) -> tuple[list[Row], list[Skipped]]:
    """Every remedy in the order of its cost, and those that could not be measured."""
    rate = measure_rate(ground.system.encoder, ground.corpus)
    rows: list[Row] = []
    skipped: list[Skipped] = []

    def measured(remedy: Remedy, rate: Rate) -> Row:
        row = row_of(ground, remedy, rate)
        ground.progress.say(f"{remedy.name}: {MAIN} {row.tried.value:.3f} ({row.tried.difference:+.3f})")
        return row

    def take(found: Remedy | Skipped) -> None:
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            rows.append(measured(found, rate))

    others = [measured(*each) for each in encoder_remedies(ground)]  # first, since a service may fail

    structure = read_structure(ground)
    alone, filtered = filter_remedy(ground, structure)
    take(alone)
    take(boost_remedy(ground, structure))
    for each in lexical_remedies(ground, ground.dense, ground.lexical):
        take(each)
    if filtered and isinstance(alone, Remedy):
        *_, both = lexical_remedies(ground, filtered.dense, filtered.lexical, prefix="base+filter")
        take(replace(both, word="filter", changes={**alone.changes, **both.changes}))
    take(rerank_remedy(ground, reranker) if reranker else Skipped(name="base+rerank", reason=_NO_RERANKER))
    for other in (*adapter_remedies(ground), *chunk_remedies(ground)):
        take(other)
    rows += others
    tuned = fine_tuning(ground, rate, full_curve=full_curve)
    if isinstance(tuned, Skipped):
        skipped.append(tuned)
    else:
        rows.append(tuned)
    return rows, skipped


def _rules(workspace: Workspace) -> Rules:
    recipe = workspace.recipe.advise
    names = ("tolerance", "min_pairs", "broken_base", "data_share", "saturated_base", "cheapest_first")
    return Rules(**{name: getattr(recipe, name) for name in names})


def _next(decision: Decision, chosen: Row | None, advised: Advised | None, *, written: bool) -> list[str]:
    """The commands that follow."""
    by_word = {
        "fix_data": ["nearer diagnose base", "nearer check"],
        "collect_data": ["nearer add judgments FILE", "nearer advise"],
        "leave": ["nearer promote base"],
        "fine_tune": ["nearer train", "nearer promote"],
        "fine_tune_and_pipeline": ["nearer train", "nearer promote"],
    }
    if chosen is None or (decision.word in by_word and chosen.tried.word == FINE_TUNE):
        return by_word[decision.word]
    assert advised is not None
    if not written:
        return ["nearer advise --write"]
    names = dict.fromkeys([BASE, advised.name])  # what is written may be the base itself
    return [f"nearer evaluate {' '.join(names)}", f"nearer promote {advised.name}"]
