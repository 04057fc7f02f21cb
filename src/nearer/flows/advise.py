"""Measure every remedy, and say which to take, what it costs and why."""

import math
import time
from collections.abc import Callable

from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.confirm import Advised, build, confirm
from nearer.advice.measuring import measure_remedies
from nearer.advice.queries import read_advice_queries_with
from nearer.advice.rows import MeasuredRemedy, base_row
from nearer.advice.verdict import FINE_TUNE, AdviceCase, Decision, Rules, decide
from nearer.advice.write import refuse_unwritable
from nearer.core.durations import TimeLimit
from nearer.core.errors import InputError
from nearer.core.progress import OutOfTime, Progress, Silent
from nearer.core.results.advice import Advice, FailureSummary
from nearer.core.results.measuring import Diagnosis
from nearer.encode.embedded import Corpora
from nearer.evaluation.diagnosis import diagnose_system
from nearer.store.workspace import Workspace
from nearer.systems import BASE, api_use
from nearer.systems.reranker import named_reranker
from nearer.training.deadline import Deadline

_MEASURING = 0.85
"""Of a time that the remedies may take; the rest is for the diagnosis and for confirming on test."""


def advise(
    workspace: Workspace,
    *,
    write: bool = False,
    measure: bool = False,
    confirm_on_test: bool = True,
    budget: str | float | TimeLimit | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Advice:
    """Which remedy this search needs, out of those measured on the judged queries of train and dev.

    Every query is judged by what was tuned without its fold. The choice is made once, and then measured on test, which
    is a look in the ledger. Fine-tuning is forecast from a learning curve; with ``measure`` that has all the pairs.
    ``write`` puts the advice into the recipe, and registers the adapter where one is advised. What each remedy takes is
    said first; those that do not fit into the ``budget``, in seconds or as in "5m", are left out.

    Raises InputError for too few judged queries, ModelRefused for a reranker or encoder that cannot be used,
    WorkspaceError where the advice could not be kept.
    """
    progress = progress or Silent()
    limit, began = TimeLimit.of(budget), clock()
    if limit and limit.began is not None:
        began = limit.began
    workspace.database.refuse_read_only()
    if write:
        refuse_unwritable(workspace)
    deadline = Deadline(began + _MEASURING * limit.seconds if limit else math.inf, clock=clock)
    recipe = workspace.recipe
    rules = Rules.of(recipe.advise)
    watching = deadline.watching(progress)
    corpora = Corpora(workspace, watching)
    judged = read_advice_queries_with(corpora)  # before any model is opened
    reranker = named_reranker(workspace, recipe.search.rerank)
    try:
        data = AdviceData(workspace, watching, corpora=corpora, judged=judged, deadline=deadline, clock=clock)
    except OutOfTime as error:
        hint = "repeat the command: what was encoded is kept; or give it more time"
        raise InputError(f"the time was over before anything was measured: {error}", hint=hint) from error
    progress.say(f"{len(data.queries)} judged queries in {data.num_folds} folds")
    rows, skipped = measure_remedies(data, reranker, full_curve=measure, deadline=deadline, clock=clock)
    diagnosis = diagnose_system(workspace, data.system, split=data.splits[-1], progress=progress)
    case = AdviceCase(
        base=float(data.base[str(MAIN)].mean()),
        num_queries=len(data.queries),
        num_diagnosed=diagnosis.num_queries,
        causes={each.cause: each.num_queries for each in diagnosis.causes},
        num_pairs=data.num_pairs,
        target=recipe.advise.target,
        judged=float(data.base["Judged@10"].mean()) if "Judged@10" in data.base else None,
        unread=data.unread,
    )
    decision = decide(case, [each.tried for each in rows], rules)
    chosen = next((each for each in rows if each.tried.name == decision.name), None)
    advised = build(workspace, data, chosen.tried.name, chosen.changes, write=write) if chosen else None
    result = Advice(
        split=data.judged.split,
        num_queries=len(data.queries),
        num_groups=len(set(data.judged.groups)) if data.judged.groups else None,
        num_folds=data.num_folds,
        num_documents=len(data.corpus.documents),
        num_passages=len(data.corpus.passages),
        excluded=data.exclusions.counts,
        metric=str(MAIN),
        verdict=decision.word,
        remedy=decision.name,
        reasons=decision.reasons,
        remedies=(base_row(data), *(each.described for each in rows)),
        not_measured=tuple(skipped),
        diagnosis=_summary(diagnosis),
        next=tuple(_next(decision, chosen, advised, written=write)),
        changes=dict(chosen.changes) if chosen else {},
        written=advised.written if advised and write else (),
        confirmed=confirm(workspace, data, advised, progress=progress) if advised and confirm_on_test else None,
        duration_s=round(clock() - began, 1),
        api=api_use([data.system, *data.others.values(), *([advised.system] if advised else [])]),
    )
    workspace.results.keep("advise", result)
    return result


def _summary(found: Diagnosis) -> FailureSummary:
    return FailureSummary(
        split=found.split,
        num_queries=found.num_queries,
        num_failed=found.num_failed,
        causes=found.causes,
        notes=found.notes,
    )


def _next(decision: Decision, chosen: MeasuredRemedy | None, advised: Advised | None, *, written: bool) -> list[str]:
    """The commands that follow."""
    by_word = {
        "fix_data": ["nearer diagnose base", "nearer check"],
        "collect_data": ["nearer add judgments FILE", "nearer advise"],
        "leave": ["nearer promote base"],
        "change_encoder": ["nearer advise --set 'advise.encoders=[\"FOLDER or OWNER/MODEL\"]'"],
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
