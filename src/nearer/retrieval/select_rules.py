"""Which filter rules earn their place: found on tuning queries, from rankings that are there already.

Shapes: Q queries, N documents, K ranked documents, R pairs of a query and a document that is relevant to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.records import Metadata
from nearer.retrieval.rules import Pairs, Rule, passing_pairs
from nearer.vectors.topk import NO_ROW, TopK

MIN_GAIN = 0.01
"""A rule must raise the mean by more: as much as remedies may differ in nDCG@10 and count as equal."""

MAX_LOST = 0.01
"""The largest share of the relevant documents that the rules together may keep from being found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrial:
    """What one candidate does alone: to the mean, to the relevant documents, and to how many queries it applies."""

    rule: Rule
    gain: float
    share_lost: float
    num_queries: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRules:
    """The rules that are worth it, in the order they were found, and what they do on the queries they were found on.

    ``trials`` has every candidate alone. ``remaining_Q`` (int64) counts what is left of every query's ranking, which is
    exact only that deep.
    """

    rules: tuple[Rule, ...]
    mean_before: float
    mean_after: float
    share_lost: float
    trials: tuple[RuleTrial, ...]
    remaining_Q: Ints


def select_rules(
    run: TopK,
    *,
    candidates: Sequence[Rule],
    queries: Sequence[Metadata],
    documents: Sequence[Metadata],
    relevant: Pairs,
    measure: Callable[[Ints], Floats64],
    min_gain: float = MIN_GAIN,
    max_lost: float = MAX_LOST,
) -> FittedRules:
    """The candidates that, added one by one, best first, raise the mean over the queries by more than ``min_gain``.

    A rule is left out when, with those kept before, more than ``max_lost`` of the relevant documents would not pass.
    ``measure`` gives every query's value (float64, Q) for rows (int64, Q x K); ``relevant`` are the query rows and
    document rows of what is relevant. Of equal gains the first candidate's counts.

    The filters remove rows of ``run``, which is what ranking again would give as deep as rows remain: what it lacks can
    only raise a measure, so a gain is never too high. Give runs at least 100 deep, and rank the chosen rules again with
    ``top_k_where``. What is chosen here is not judged here: cross-fit, or measure on other queries.

    Raises InputError for no queries, none with a relevant document, other numbers of them, and as ``condition_of`` and
    ``passing`` do.
    """
    _refuse_nothing(run, queries, relevant)

    def mean_of(kept: _Kept) -> float:
        return float(measure(_rows_left(run.rows_QK, kept.ranked_QK)).mean())

    tried = {rule: _kept(rule, run, queries=queries, documents=documents, relevant=relevant) for rule in candidates}
    chosen: list[Rule] = []
    whole = best = _Kept(ranked_QK=np.ones(run.rows_QK.shape, np.bool_), relevant_R=np.ones(len(relevant[0]), np.bool_))
    mean_before = mean_after = mean_of(whole)
    while True:
        further = {rule: best.and_(kept) for rule, kept in tried.items() if rule not in chosen}
        means = {rule: mean_of(kept) for rule, kept in further.items() if kept.share_lost <= max_lost}
        rule = max(means, key=means.__getitem__, default=None)
        if rule is None or means[rule] - mean_after <= min_gain:
            break
        chosen.append(rule)
        best, mean_after = further[rule], means[rule]
    return FittedRules(
        rules=tuple(chosen),
        mean_before=mean_before,
        mean_after=mean_after,
        share_lost=best.share_lost,
        trials=tuple(
            RuleTrial(
                rule=rule,
                gain=mean_of(kept) - mean_before,
                share_lost=kept.share_lost,
                num_queries=sum(rule.applies_to(query) for query in queries),
            )
            for rule, kept in tried.items()
        ),
        remaining_Q=(best.ranked_QK & (run.rows_QK != NO_ROW)).sum(axis=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kept:
    """What rules leave of the ranked documents, and of the relevant ones."""

    ranked_QK: Bools
    relevant_R: Bools

    @property
    def share_lost(self) -> float:
        return 1 - float(self.relevant_R.mean())

    def and_(self, other: "_Kept") -> "_Kept":
        return _Kept(ranked_QK=self.ranked_QK & other.ranked_QK, relevant_R=self.relevant_R & other.relevant_R)


def _kept(
    rule: Rule, run: TopK, *, queries: Sequence[Metadata], documents: Sequence[Metadata], relevant: Pairs
) -> _Kept:
    """What one rule leaves; only documents that are ranked or relevant are looked at."""
    num_queries, depth = run.rows_QK.shape
    ranked = np.repeat(np.arange(num_queries), depth), run.rows_QK.ravel()  # NO_ROW is looked up, and stays NO_ROW
    ranked_R, relevant_R = (
        passing_pairs(rule, each, queries=queries, documents=documents) for each in (ranked, relevant)
    )
    return _Kept(ranked_QK=ranked_R.reshape(num_queries, depth), relevant_R=relevant_R)


def _rows_left(rows_QK: Ints, kept_QK: Bools) -> Ints:
    """The rows that are kept, in their order, padded at the end of each line."""
    kept_QK = kept_QK & (rows_QK != NO_ROW)
    order_QK = np.argsort(~kept_QK, axis=1, kind="stable")
    left_QK: Ints = np.where(kept_QK, rows_QK, NO_ROW)
    return np.take_along_axis(left_QK, order_QK, axis=1)


def _refuse_nothing(run: TopK, queries: Sequence[Metadata], relevant: Pairs) -> None:
    if len(run.rows_QK) != len(queries):
        raise InputError(f"{len(run.rows_QK)} rankings have {len(queries)} queries", hint="give one ranking a query")
    if not len(relevant[0]):
        raise InputError(
            f"rules cannot be fitted on {len(queries)} queries without a relevant document",
            hint="import judgments of these queries: nearer add judgments FILE",
        )
