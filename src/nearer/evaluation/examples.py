"""The queries that two systems differ most in, side by side, and why the worse of the two failed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats64, Ints
from nearer.core.records import Document
from nearer.core.results.measuring import ExampleCause, QueryExample, ShownDocument
from nearer.encode.embedded import Corpora
from nearer.evaluation.diagnosis.background import Background
from nearer.evaluation.diagnosis.detectors import explain
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.ranking import Measured
from nearer.measure.diagnosis import CAUSES
from nearer.systems import System

NUM_EXAMPLES = 5
"""Wins, and losses, that are shown of each candidate."""


def examples(
    corpora: Corpora, judged: JudgedSplit, measured: Sequence[Measured], *, metric: str
) -> tuple[QueryExample, ...]:
    """The largest gains and losses of each candidate against the first system, with what each of the two put first."""
    baseline, *candidates = measured
    if not candidates:
        return ()
    workspace, documents = corpora.workspace, corpora.documents
    background = Background(workspace, judged, documents, find_exclusions(workspace, judged.queries, documents))
    extremes = [_extremes(candidate.values[metric] - baseline.values[metric]) for candidate in candidates]
    lost = [row for each in extremes for kind, row in each if kind == "win"]
    whys = _whys(corpora, background, baseline, lost)
    found: list[QueryExample] = []
    for candidate, rows in zip(candidates, extremes, strict=True):
        its_whys = _whys(corpora, background, candidate, [row for kind, row in rows if kind == "loss"])
        for kind, row in rows:
            why = (whys if kind == "win" else its_whys).get(row)
            sides = _Sides(baseline=baseline, candidate=candidate, judged=judged, background=background)
            found.append(_side_by_side(sides, row, metric=metric, kind=kind, why=why))
    return tuple(found)


def _extremes(difference_Q: Floats64) -> list[tuple[str, int]]:
    """The rows of the largest gains, then those of the largest losses."""
    order = np.argsort(difference_Q, kind="stable").tolist()
    wins = [("win", row) for row in order[::-1][:NUM_EXAMPLES] if difference_Q[row] > 0]
    return wins + [("loss", row) for row in order[:NUM_EXAMPLES] if difference_Q[row] < 0]


def _whys(corpora: Corpora, background: Background, worse: Measured, rows: Sequence[int]) -> dict[int, ExampleCause]:
    """Why a system did worse on some queries, by row; whether its index follows the documents has no part in it.

    A query whose relevant documents all stand where they should has no cause.
    """
    queries = background.judged.queries
    failures = {row: background.failure(queries[row], worse.rows_QK[row].tolist()) for row in rows}
    failures = {row: each for row, each in failures.items() if each.missed or not each.relevant}
    system = worse.system if isinstance(worse.system, System) else None
    found = explain(corpora, background, system, list(failures.values()), stale={})
    return {
        row: ExampleCause(
            system=worse.system.name,
            cause=each.cause,
            meaning=CAUSES[each.cause].meaning,
            evidence=each.evidence,
        )
        for row, each in zip(failures, found, strict=True)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Two systems and what their queries are held against."""

    baseline: Measured
    candidate: Measured
    judged: JudgedSplit
    background: Background


def _side_by_side(sides: _Sides, row: int, *, metric: str, kind: str, why: ExampleCause | None) -> QueryExample:
    query, documents = sides.judged.queries[row], sides.background.documents
    relevant = sides.judged.relevant[query.query_id]
    known = sides.background.grades.get(query.query_id, ())
    text_of = {documents[each].doc_id: documents[each].full_text for each in known}
    return QueryExample(
        kind=kind,
        candidate=sides.candidate.system.name,
        query_id=query.query_id,
        query=query.text,
        metric=metric,
        baseline_value=float(sides.baseline.values[metric][row]),
        candidate_value=float(sides.candidate.values[metric][row]),
        relevant=tuple(ShownDocument(doc_id=each, text=text_of.get(each, "")) for each in relevant[:3]),
        baseline_top=_top(sides.baseline.rows_QK[row], documents, relevant),
        candidate_top=_top(sides.candidate.rows_QK[row], documents, relevant),
        why=why,
    )


def _top(
    rows_K: Ints, documents: Sequence[Document], relevant: Sequence[str], number: int = 3
) -> tuple[ShownDocument, ...]:
    shown = [documents[row] for row in rows_K[:number] if row >= 0]
    return tuple(
        ShownDocument(doc_id=document.doc_id, text=document.full_text, relevant=document.doc_id in relevant)
        for document in shown
    )
