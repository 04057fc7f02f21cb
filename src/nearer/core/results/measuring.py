"""Evaluations, suites, tasks: what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nearer.core.records import TRUSTED, CaseGroup, Severity
from nearer.core.results.base import JSON, OMITTED, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(Result):
    """A mean over queries, and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger(Result):
    """How often a test split was looked at, this time too; None for a split that may be looked at freely."""

    split: str
    num_test_uses: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiUse(Result):
    """What a run asked of services: requests, tokens, US dollars (None where a price is unknown).

    ``is_recorded`` is false where the sum of `nearer status` could not be written.
    """

    num_requests: int
    num_tokens: int
    cost_usd: float | None
    is_recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRows(Result):
    """What a run file holds beside the rankings that count."""

    num_unknown_documents: int
    num_queries_without_rows: int
    num_other_queries: int
    num_unknown_queries: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedDocuments(Result):
    """Documents that no ranking holds, by ``evaluate.exclude`` (``rule``) and the queries' ``excluded_ids``.

    ``num_named`` of them were named by their query. ``num_judged`` more are judged, so they stay. ``num_same_id`` have
    a query's id and another text, and stay too. ``num_unknown`` excluded ids are those of no document.
    """

    rule: str
    num_documents: int
    num_queries: int
    num_named: int
    num_judged: int
    num_same_id: int
    num_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceValues(Result):
    """A slice of queries in the first measure; ``metrics`` is None where it is too small for an interval."""

    num_queries: int
    num_groups: int | None
    metrics: Mapping[str, Interval] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemValues(Result):
    """A system on a split: every measure with its interval, by slice.

    ``num_queries_more`` judged queries are missing for an interval of ``evaluate.wanted_precision``. The ids are None
    for a run, whose model nobody knows; ``run`` counts what its file holds. ``by_query`` has the
    value of every query that a measure is taken over, by measure and query id.
    """

    system: str
    model_id: str | None
    encoder_id: str | None
    space_id: str | None
    run: RunRows | None
    metrics: Mapping[str, Interval]
    num_queries_needed: int | None
    num_queries_more: int | None
    slices: Mapping[str, SliceValues]
    num_truncated: int | None
    num_passages: int | None
    by_query: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Result):
    """A candidate against a baseline on the same queries.

    ``difference`` is the mean of candidate minus baseline, ``low`` and ``high`` the ends of its interval. Wins are
    queries on which the candidate is better.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    num_wins: int
    num_losses: int
    num_ties: int


ALPHA = 0.05
"""The p-value up to which a difference is called a gain or a loss: that of the gate, as it comes."""


def direction(low: float | None, high: float | None, p_value: float | None = None) -> str:
    """What an interval of a difference says, in a word; nothing where there is none, or where its p-value objects.

    Where few queries differ a bootstrap interval may leave zero out by chance, so a p-value has its say too.

    >>> direction(0.01, 0.05), direction(-0.05, -0.01), direction(-0.01, 0.05), direction(0.01, 0.05, 0.125)
    ('gain', 'loss', 'undecided', 'undecided')
    """
    if p_value is not None and p_value > ALPHA:
        return "undecided"
    if low is not None and low > 0:
        return "gain"
    return "loss" if high is not None and high < 0 else "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared(Comparison):
    """The same with the names of the two, and with Holm's p-value over all candidates."""

    baseline: str
    candidate: str
    p_adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSystems(Compared):
    """The same of a split: the difference that it would show with a power of 0.8, and how many queries are needed."""

    detectable: float | None
    num_queries_needed: int | None
    num_queries_more: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDocument(Result):
    """A document, and whether it is relevant to the query it is shown for, where that is in question."""

    doc_id: str
    text: str
    relevant: bool | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleCause(Result):
    """Why the worse of two systems failed."""

    system: str
    cause: str
    meaning: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryExample(Result):
    """A query that two systems differ much in, with what each put first."""

    kind: str
    candidate: str
    query_id: str
    query: str
    metric: str
    baseline_value: float
    candidate_value: float
    relevant: tuple[ShownDocument, ...]
    baseline_top: tuple[ShownDocument, ...]
    candidate_top: tuple[ShownDocument, ...]
    why: ExampleCause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Result):
    """Systems on a split, each compared with the first. ``settings`` are the recipe's, of [evaluate].

    ``num_queries`` have a document of a grade above 0, ``num_with_relevant`` of them one of ``relevant_from`` or more:
    nDCG and Judged are taken over the former, all else over the latter. Of the split's other queries
    ``num_without_gain`` have only grades of 0, ``num_unjudged`` no judgment; they are not measured. ``judged_by`` names
    the sources of the judgments.
    """

    split: str
    num_queries: int
    num_with_relevant: int
    num_without_gain: int
    num_unjudged: int
    relevant_from: int
    num_groups: int | None
    settings: JSON
    results: tuple[SystemValues, ...]
    comparisons: tuple[ComparedSystems, ...]
    excluded: ExcludedDocuments
    notes: tuple[str, ...]
    examples: tuple[QueryExample, ...]
    ledger: Ledger
    judged_by: tuple[str, ...] = TRUSTED
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskValues(Result):
    """A system in a task other than search; ``details`` says more of a measure where there is more to say."""

    system: str
    model_id: str
    encoder_id: str
    space_id: str
    metrics: Mapping[str, Interval]
    details: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvaluation(Result):
    """Systems in a task other than search, each compared with the first; ``chance`` is what random vectors reach."""

    task: str
    label: str
    split: str
    counts: Mapping[str, int]
    settings: JSON
    results: tuple[TaskValues, ...]
    chance: Mapping[str, float]
    comparisons: tuple[Compared, ...]
    notes: tuple[str, ...]
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCounts(Result):
    """How many cases there are, and how many failed."""

    num_cases: int
    num_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedDocument(Result):
    """A document and its rank; None where it was not ranked as deep as was looked."""

    doc_id: str
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCase(Result):
    """A case that failed: documents that are missing from its first ``k``, or forbidden among them."""

    name: str
    query: str
    k: int
    severity: Severity
    group: CaseGroup
    missing: tuple[PlacedDocument, ...]
    forbidden: tuple[PlacedDocument, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteValues(Result):
    """A system in the suite; ``counts`` are by group and severity."""

    system: str
    model_id: str
    encoder_id: str
    num_failed: int
    counts: Mapping[CaseGroup, Mapping[Severity, CaseCounts]]
    failed: tuple[FailedCase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteChange(Result):
    """The names of cases that a candidate newly fails, and mends, beside the first system."""

    baseline: str
    candidate: str
    newly_failing: tuple[str, ...]
    newly_passing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun(Result):
    """The regression suite, run for systems; the verdict is "faults" where the last fails a critical case."""

    file: str
    num_cases: int
    results: tuple[SuiteValues, ...]
    changes: tuple[SuiteChange, ...]
    verdict: Literal["ok", "faults"]
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedDocument(Result):
    """A relevant document, and the rank at which it was found; None where it was not."""

    doc_id: str
    text: str
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseExample(Result):
    """A query that failed for a cause: the relevant document that was missed (with its rank), and what came first."""

    query_id: str
    query: str
    relevant: MissedDocument | None
    first: ShownDocument | None
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause(Result):
    """A cause of failed queries: how many and which share have it, what it means, and what would mend it.

    ``is_proven`` is false where ranks alone suggest it.
    """

    cause: str
    num_queries: int
    share: float
    is_proven: bool
    meaning: str
    remedy: str
    examples: tuple[CauseExample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(Result):
    """The one cause of every failed query of a split; ``by_query`` names it by query id."""

    system: str
    model_id: str
    split: str
    num_queries: int
    num_failed: int
    causes: tuple[FailureCause, ...]
    by_query: Mapping[str, str]
    excluded: ExcludedDocuments
    notes: tuple[str, ...]
    ledger: Ledger
    api: ApiUse | None = field(default=None, metadata=OMITTED)
