"""Measures of a ranking against graded judgments, equal to trec_eval's.

Shapes: Q queries, K ranked documents, J judgments. N is the number of documents in the corpus.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nearer.core.arrays import Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.records import Judgment

UNJUDGED = -1
"""Stands for the grade of a document on which nobody judged; it counts as not relevant."""
NOTHING = -2
"""Stands for a grade where a ranking has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure and the rank it looks down to; it prints as it is written.

    nDCG, MRR and MAP may go without a cutoff: then the whole ranking counts.

    >>> str(Measure.parse("nDCG@10")), Measure.parse("MAP").cutoff
    ('nDCG@10', None)
    """

    name: str
    cutoff: int | None = None

    def __post_init__(self) -> None:
        names = (*_FORMULAS, *OF_PROMPTS)
        if self.name not in names:
            raise InputError(f"no measure is called {self.name!r}", hint=f"the names are {', '.join(names)}")
        if self.cutoff is None and self.name not in _UNCUT:
            raise InputError(f"{self.name} needs a cutoff", hint=f"for example {self.name}@10")
        if self.cutoff is not None and self.cutoff < 1:
            raise InputError(f"{self}: a cutoff is at least 1", hint=f"for example {self.name}@10")

    @classmethod
    def parse(cls, text: str) -> "Measure":
        """The measure that prints as ``text``.

        Raises InputError for a name or cutoff that does not exist.
        """
        name, at, digits = text.partition("@")
        if at and not re.fullmatch(r"0|[1-9][0-9]{0,5}", digits, re.ASCII):
            raise InputError(f"{text!r} is not a measure", hint=f"write it as {name}@10")
        return cls(name=name, cutoff=int(digits) if at else None)

    def __str__(self) -> str:
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"

    @property
    def needs_relevant(self) -> bool:
        """Whether a query without a relevant document says nothing in it: all but nDCG, which has gains, and Judged."""
        return self.name not in _OF_GRADES

    @property
    def is_of_prompt(self) -> bool:
        """Whether the cutoff counts the tokens of a prompt, for ``measure.context``, and not ranks."""
        return self.name in OF_PROMPTS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Qrels:
    """Judgments compiled for rows of queries and documents.

    ``keys_J`` (int64) is query_row * num_documents + doc_row of the judged documents in the corpus, ascending, and
    ``grades_J`` their grades. ``gains_J`` are the positive grades of all judged documents, those outside the corpus
    too, by query and from the highest; ``gain_queries_J`` and ``gain_ranks_J`` (from 0) say whose and where.
    ``num_relevant_Q`` counts the relevant documents of every query, found or not.
    """

    num_queries: int
    num_documents: int
    relevant_from: int
    keys_J: Ints
    grades_J: Ints
    gains_J: Ints
    gain_queries_J: Ints
    gain_ranks_J: Ints
    num_relevant_Q: Ints

    @classmethod
    def build(
        cls,
        query_ids: Sequence[str],
        doc_ids: Sequence[str],
        judgments: Iterable[Judgment],
        *,
        relevant_from: int,
    ) -> "Qrels":
        """Judgments for the queries of ``query_ids`` and the documents of ``doc_ids``, whose order defines rows.

        A judged document that is not in ``doc_ids`` cannot be found, and still counts as one that should have been.
        Judgments of other queries are ignored. A document is relevant from grade ``relevant_from``. One of a negative
        grade counts as unjudged, as in trec_eval.

        Raises InputError for an id or judgment given twice, or ``relevant_from`` below 1.
        """
        if relevant_from < 1:
            raise InputError(f"relevant_from is {relevant_from}", hint="grade 0 means not relevant: use 1 or more")
        query_rows, doc_rows = _rows(query_ids, "query_id"), _rows(doc_ids, "doc_id")
        seen: dict[tuple[str, str], int] = {}
        for judgment in judgments:
            if judgment.query_id not in query_rows:
                continue
            pair = judgment.query_id, judgment.doc_id
            if pair in seen:
                reason = f"document {pair[1]!r} is judged twice for query {pair[0]!r}"
                raise InputError(reason, hint="correct the judgments")
            seen[pair] = max(judgment.grade, UNJUDGED)
        queries_J = np.array([query_rows[query_id] for query_id, _ in seen], np.int64)
        docs_J = np.array([doc_rows.get(doc_id, -1) for _, doc_id in seen], np.int64)
        return cls._compile(
            queries_J=queries_J,
            docs_J=docs_J,
            grades_J=np.array(list(seen.values()), np.int64),
            num_queries=len(query_rows),
            num_documents=len(doc_rows),
            relevant_from=relevant_from,
        )

    @classmethod
    def _compile(
        cls, *, queries_J: Ints, docs_J: Ints, grades_J: Ints, num_queries: int, num_documents: int, relevant_from: int
    ) -> "Qrels":
        known_J = docs_J >= 0
        keys_J = queries_J[known_J] * num_documents + docs_J[known_J]
        by_key = np.argsort(keys_J)
        ideal = np.lexsort((-grades_J, queries_J))
        ideal = ideal[grades_J[ideal] > 0]
        gain_queries_J = queries_J[ideal]
        first_J = np.searchsorted(gain_queries_J, gain_queries_J)
        return cls(
            num_queries=num_queries,
            num_documents=num_documents,
            relevant_from=relevant_from,
            keys_J=keys_J[by_key],
            grades_J=grades_J[known_J][by_key],
            gains_J=grades_J[ideal],
            gain_queries_J=gain_queries_J,
            gain_ranks_J=np.arange(len(ideal)) - first_J,
            num_relevant_Q=np.bincount(queries_J[grades_J >= relevant_from], minlength=num_queries),
        )

    def with_unjudged(self, num_more: int) -> "Qrels":
        """The same judgments for a corpus that has ``num_more`` documents after these, on which nobody judged."""
        num_documents = self.num_documents + num_more
        queries_J, docs_J = np.divmod(self.keys_J, max(self.num_documents, 1))
        return replace(self, num_documents=num_documents, keys_J=queries_J * num_documents + docs_J)

    def grades(self, rows_QK: Ints) -> Ints:
        """The grade of every ranked document (int64, Q x K), or ``UNJUDGED``; ``NOTHING`` where the row is -1."""
        without_QK = np.where(rows_QK >= 0, UNJUDGED, NOTHING)
        if not len(self.keys_J):
            return without_QK
        keys_QK = np.arange(self.num_queries)[:, None] * self.num_documents + rows_QK
        at_QK = np.searchsorted(self.keys_J, keys_QK).clip(max=len(self.keys_J) - 1)
        judged_QK = (self.keys_J[at_QK] == keys_QK) & (rows_QK >= 0)
        return np.where(judged_QK, self.grades_J[at_QK], without_QK)


def _rows(ids: Sequence[str], name: str) -> dict[str, int]:
    rows = {each: row for row, each in enumerate(ids)}
    if len(rows) != len(ids):
        twice = next(each for row, each in enumerate(ids) if rows[each] != row)
        raise InputError(f"{name} {twice!r} is given twice", hint=f"every {name} must be unique")
    return rows


def score(measures: Iterable[Measure], rows_QK: Ints, qrels: Qrels) -> dict[Measure, Floats64]:
    """The value of every measure for every query (float64, Q, in [0, 1]), each equal to trec_eval's if it has it.

    ``rows_QK`` (int64) holds document rows from the best, distinct within a query, with -1 at the end of a line that
    is shorter. A query that returned nothing, or that has nothing relevant, scores 0.

    Raises InputError for measures of a prompt, which need the lengths of texts: ``measure.context.score_prompts``.

    Source: trec_eval 9.0, m_ndcg_cut.c, m_recip_rank.c, m_map.c, m_recall.c, m_P.c and m_success.c. nDCG's gain
    is the grade and its discount log2(rank + 1), after Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR
    Techniques (2002), section 2. Judged, which trec_eval lacks: ir_measures, judged_provider.py.
    """
    measures = list(measures)
    if of_prompts := [str(each) for each in measures if each.is_of_prompt]:
        raise InputError(
            f"{', '.join(of_prompts)}: ranks alone do not tell how long texts are",
            hint="measure it with nearer evaluate",
        )
    assert rows_QK.ndim == 2, "rows are queries x ranks"
    assert len(rows_QK) == qrels.num_queries, "one line of rows for every query"
    assert not np.any((rows_QK[:, :-1] < 0) & (rows_QK[:, 1:] >= 0)), "padding comes last"
    sorted_QK = np.sort(rows_QK, axis=1)
    assert not np.any((sorted_QK[:, 1:] == sorted_QK[:, :-1]) & (sorted_QK[:, 1:] >= 0)), "a document ranked twice"
    assert rows_QK.max(initial=-1) < qrels.num_documents, "rows of the documents the judgments were compiled for"
    grades_QK = qrels.grades(rows_QK)
    return {
        measure: _FORMULAS[measure.name](grades_QK[:, : measure.cutoff], measure.cutoff, qrels) for measure in measures
    }


def _divide(values_Q: Floats64, by_Q: NDArray[np.float64 | np.int64]) -> Floats64:
    """A quotient that is 0 where there was nothing to find."""
    return np.divide(values_Q, by_Q, out=np.zeros(len(values_Q)), where=by_Q > 0)


def _ndcg(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    discounts_K = 1 / np.log2(np.arange(grades_QK.shape[1]) + 2)
    in_reach_J = slice(None) if cutoff is None else qrels.gain_ranks_J < cutoff
    ideal_J = qrels.gains_J[in_reach_J] / np.log2(qrels.gain_ranks_J[in_reach_J] + 2)
    ideal_Q = np.bincount(qrels.gain_queries_J[in_reach_J], weights=ideal_J, minlength=qrels.num_queries)
    return _divide(grades_QK.clip(min=0) @ discounts_K, ideal_Q)


def _mrr(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    reciprocals_K = 1 / (np.arange(grades_QK.shape[1]) + 1)
    found: Floats64 = np.where(grades_QK >= qrels.relevant_from, reciprocals_K, 0.0).max(axis=1, initial=0.0)
    return found


def _map(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    relevant_QK = grades_QK >= qrels.relevant_from
    precision_QK = relevant_QK.cumsum(axis=1) / (np.arange(grades_QK.shape[1]) + 1)
    return _divide(np.where(relevant_QK, precision_QK, 0.0).sum(axis=1), qrels.num_relevant_Q)


def _num_found(grades_QK: Ints, qrels: Qrels) -> Floats64:
    found: Floats64 = (grades_QK >= qrels.relevant_from).sum(axis=1, dtype=np.float64)
    return found


def _recall(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    return _divide(_num_found(grades_QK, qrels), qrels.num_relevant_Q)


def _precision(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    assert cutoff is not None, "Measure demands one"
    return _num_found(grades_QK, qrels) / cutoff


def _hit_rate(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    return (_num_found(grades_QK, qrels) > 0).astype(np.float64)


def _judged(grades_QK: Ints, cutoff: int | None, qrels: Qrels) -> Floats64:
    """Of the documents returned down to the cutoff, the share on which somebody judged, whatever the grade."""
    return _divide((grades_QK > UNJUDGED).sum(axis=1, dtype=np.float64), (grades_QK > NOTHING).sum(axis=1))


_FORMULAS: dict[str, Callable[[Ints, int | None, Qrels], Floats64]] = {
    "nDCG": _ndcg,
    "MRR": _mrr,
    "MAP": _map,
    "Recall": _recall,
    "Precision": _precision,
    "HitRate": _hit_rate,
    "Judged": _judged,
}
_UNCUT = ("nDCG", "MRR", "MAP")
_OF_GRADES = ("nDCG", "Judged")
OF_PROMPTS = ("ContextRecall", "ContextPrecision")
"""Measured on what of a ranking reaches a prompt, in ``measure.context``; the cutoff is the prompt's tokens."""


def evaluate_run(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    measures: Iterable[Measure],
    *,
    relevant_from: int = 1,
) -> dict[Measure, dict[str, float]]:
    """The value of every measure for every query of ``qrels``, for a run of query_id -> doc_id -> score.

    Scores are compared as float32, and equal ones by doc_id, descending, as trec_eval does. A query that the run
    lacks scores 0; a query without judgments cannot be measured and is excluded.

    Raises InputError for a score that is not a finite float32 and for judgments that ``Qrels.build`` refuses.

    Source: trec_eval 9.0, comp_sim_docno in form_res_rels.c.

    >>> evaluate_run({"q": {"a": 1.0, "b": 1.0}}, {"q": {"a": 1}}, [Measure.parse("MRR")])
    {Measure(name='MRR', cutoff=None): {'q': 0.5}}
    """
    query_ids = list(qrels)
    doc_ids = sorted({doc_id for query_id in query_ids for doc_id in run.get(query_id, ())})
    judgments = (
        Judgment(query_id=query_id, doc_id=doc_id, grade=grade)
        for query_id, grades in qrels.items()
        for doc_id, grade in grades.items()
    )
    compiled = Qrels.build(query_ids, doc_ids, judgments, relevant_from=relevant_from)
    values = score(measures, _rank(run, query_ids, doc_ids), compiled)
    return {measure: dict(zip(query_ids, values_Q.tolist(), strict=True)) for measure, values_Q in values.items()}


def _rank(run: Mapping[str, Mapping[str, float]], query_ids: Sequence[str], doc_ids: Sequence[str]) -> Ints:
    """The document rows of every query from the best, padded with -1 (int64, Q x K)."""
    doc_rows = _rows(doc_ids, "doc_id")
    rows_QK = np.full((len(query_ids), max((len(run.get(each, ())) for each in query_ids), default=0)), -1, np.int64)
    for row, query_id in enumerate(query_ids):
        ranked = run.get(query_id, {})
        with np.errstate(over="ignore"):
            scores = np.array(list(ranked.values()), dtype=np.float64).astype(np.float32)
        if not np.isfinite(scores).all():
            raise InputError(f"the run of query {query_id!r} has a score that is not finite", hint="correct the run")
        found = np.array([doc_rows[doc_id] for doc_id in ranked], np.int64)
        rows_QK[row, : len(found)] = found[np.lexsort((found, scores))[::-1]]
    return rows_QK
