"""Boosts: what a document is worth for any query (recency, authority, popularity), added to how well it answers one.

Shapes: Q queries, N documents, K ranked documents.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from nearer.core import types
from nearer.core.arrays import Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.filters import DERIVED
from nearer.core.records import Metadata
from nearer.retrieval.fusion import Scaling, weighted_sum
from nearer.retrieval.rerank_window import rerank_window, with_rest
from nearer.retrieval.rules import refuse_derived
from nearer.vectors.topk import NO_ROW, TopK

GRID = (0.0, 0.05, 0.1, 0.2, 0.4)
"""The weights that ``fit_boosts`` tries: 1 is the whole range of the scores that a query's documents have."""

MIN_GAIN = 0.01
"""A boost must raise the mean by more: as much as remedies may differ in nDCG@10 and count as equal."""

_PERCENTILES = (5, 95)
_MOST_SWEEPS = 5
_TOO_LARGE = 1e300  # below it the difference of two numbers is finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Boost:
    """A document field that adds ``weight`` at ``high``, nothing at ``low``, and in between its part.

    ``low`` and ``high`` are numbers, or for dates seconds since 1970 (UTC).
    """

    field: str
    weight: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.high - self.low < math.inf:
            raise InputError(f"boost of {self.field!r}: from {self.low} to {self.high}", hint="low must be below high")
        if not 0 <= self.weight < math.inf:
            raise InputError(f"boost of {self.field!r}: the weight is {self.weight}", hint="use 0 or more, below 1")

    def share(self, values_N: Floats64) -> Floats64:
        """What each value adds to a weight of 1 (float64, N, from 0 to 1); nothing where it is missing (nan).

        >>> Boost(field="year", weight=0.1, low=2000, high=2020).share(np.array([1990, 2005, 2030, np.nan])).tolist()
        [0.0, 0.25, 1.0, 0.0]
        """
        with np.errstate(over="ignore"):
            shares_N = (values_N - self.low) / (self.high - self.low)
        return np.nan_to_num(shares_N, nan=0.0).clip(0.0, 1.0)


def as_number(value: float | str) -> float:
    """A number as it is, or an ISO 8601 date as seconds since 1970, in UTC without a zone.

    Raises InputError for text that is neither.

    >>> as_number(2.5), as_number("1970-01-02")
    (2.5, 86400.0)
    """
    for read in (_number, _date):
        if (number := read(value)) is not None:
            return number
    raise InputError(f"{value!r} is no number and no date", hint='write a number, or a date such as "2024-05-31"')


def values_of(
    field: str, *, doc_ids: Sequence[str], documents: Sequence[Metadata], texts: Collection[str] = ()
) -> Floats64:
    """A field as numbers (float64, N), nan where it is missing; dates are seconds since 1970, in UTC without a zone.

    Where every document that has the field has text, as from CSV, all of them may be numbers or all ISO 8601 dates, as
    filters read them.

    Raises InputError, naming documents, for mixed types and for what is no number or date; for a field that no document
    has, for one among ``texts``, which the recipe says is text, and for ``label_*``.
    """
    refuse_derived(field, where="boost")
    if field in texts and any(isinstance(each.get(field), str) for each in documents):
        raise InputError(
            f"field {field!r} cannot boost: it is text, as columns.documents.metadata says",
            hint='make it "number" or "date" there, or leave it out of search.boosts',
        )
    values_N = _read(field, doc_ids=doc_ids, documents=documents)
    if values_N is not None:
        return values_N
    held = {doc_id: each[field] for doc_id, each in zip(doc_ids, documents, strict=True) if _is_there(each.get(field))}
    if not held:
        raise InputError(f"no document has the field {field!r}, so it cannot boost", hint="name a field of documents")
    bad = next((doc_id for doc_id, value in held.items() if _number(value) is None and _date(value) is None), None)
    what = "some texts are numbers and some dates" if bad is None else f"document {bad!r} has {str(held[bad])[:40]!r}"
    if bad is None and _are_doubtful(list(held.values())):
        what = "its points may be decimal, or group thousands"
    raise InputError(
        f"field {field!r} cannot boost: {what}; a boost is by numbers, or by dates such as 2024-05-31",
        hint="correct the documents, or leave the field out of the boosts",
    )


def candidate_values(
    fields: Iterable[str], *, doc_ids: Sequence[str], documents: Sequence[Metadata]
) -> dict[str, Floats64]:
    """The values of those fields that can boost: of several numbers or dates, and not named ``label_*``.

    Raises InputError for a field of mixed types, naming two documents.
    """
    read = {
        field: _read(field, doc_ids=doc_ids, documents=documents) for field in fields if not field.startswith(DERIVED)
    }
    return {field: values_N for field, values_N in read.items() if values_N is not None and _range(values_N)}


def boost_of(field: str, values_N: Floats64, *, weight: float) -> Boost:
    """A boost from the 5th to the 95th percentile of the corpus, or over all values where these are equal.

    Outliers would press all others together. Raises InputError for fewer than two different values.
    """
    found = _range(values_N)
    if found is None:
        raise InputError(
            f"field {field!r} cannot boost: all documents that have it are equal", hint="leave it out of the boosts"
        )
    return Boost(field=field, weight=weight, low=found[0], high=found[1])


def boosted(run: TopK, boosts: Sequence[Boost], values: Mapping[str, Floats64], *, depth: int) -> TopK:
    """The first ``depth`` documents of each query by their scaled score plus what the boosts add, then the rest.

    Scores are scaled over those documents as ``weighted_sum`` does by min-max, with weight 1: a boost is one more
    system over the same pool, on a scale of its own. ``values`` (float64, N) are those of ``values_of``. Equal sums are
    settled towards the higher row. Without boosts the run is returned as it is.

    Raises InputError for a depth below 1 and for fewer values than documents.
    """
    if not boosts:
        return run
    head = rerank_window(run, depth)
    parts = [_part(head, boost, values[boost.field]) for boost in boosts]
    scaling: list[Scaling] = ["min-max"]
    scaling += ["none" for _ in boosts]
    weights = [1.0, *(boost.weight for boost in boosts)]
    return with_rest(weighted_sum([head, *parts], weights, k=head.rows_QK.shape[1], scaling=scaling), run)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedBoosts:
    """The boosts of a weight above 0, and the mean of the measure on the queries they were found on."""

    boosts: tuple[Boost, ...]
    mean_before: float
    mean_after: float


def fit_boosts(
    run: TopK,
    *,
    values: Mapping[str, Floats64],
    measure: Callable[[Ints], Floats64],
    depth: int,
    grid: Sequence[float] = GRID,
    min_gain: float = MIN_GAIN,
) -> FittedBoosts:
    """The weight of each field that gives the highest mean, one field after the other until none changes.

    ``measure`` gives every query's value (float64, Q) for rows (int64, Q x K). A weight above 0 must raise the mean by
    more than ``min_gain`` over 0, the others being as they are; of equal means the smaller weight's counts. What is
    chosen here is not judged here: cross-fit, or measure on other queries.

    Raises InputError for a grid that is negative or not finite, and as ``boosted`` and ``boost_of`` do.

    Source: Wright, Coordinate Descent Algorithms (arXiv 1502.04759), section 1.
    """
    if not all(0 <= weight < math.inf for weight in grid):
        raise InputError(f"the grid of weights is {list(grid)}", hint="give weights of 0 or more")
    weights_G = sorted({0.0, *grid})
    boosts = {field: boost_of(field, values_N, weight=0.0) for field, values_N in values.items()}

    @cache
    def mean_of(*weights: float) -> float:
        weighed = [replace(boost, weight=weight) for boost, weight in zip(boosts.values(), weights, strict=True)]
        return float(
            measure(boosted(run, [each for each in weighed if each.weight], values, depth=depth).rows_QK).mean()
        )

    chosen = [0.0] * len(boosts)
    for _ in range(_MOST_SWEEPS):
        before = list(chosen)
        for place in range(len(chosen)):
            means_G = [mean_of(*chosen[:place], weight, *chosen[place + 1 :]) for weight in weights_G]
            best = means_G.index(max(means_G))
            chosen[place] = weights_G[best] if means_G[best] - means_G[0] > min_gain else 0.0
        if chosen == before:
            break
    return FittedBoosts(
        boosts=tuple(
            replace(boost, weight=weight) for boost, weight in zip(boosts.values(), chosen, strict=True) if weight
        ),
        mean_before=mean_of(*[0.0] * len(boosts)),
        mean_after=mean_of(*chosen),
    )


def _part(head: TopK, boost: Boost, values_N: Floats64) -> TopK:
    """A boost as a system that ranks the documents of the head."""
    if head.rows_QK.max(initial=NO_ROW) >= len(values_N):
        raise InputError(f"the boost by {boost.field!r} has {len(values_N)} values", hint="give one a document")
    shares_N = np.append(boost.share(values_N), 0.0)  # NO_ROW is the last place
    return TopK(rows_QK=head.rows_QK, scores_QK=shares_N[head.rows_QK].astype(np.float32))


def _range(values_N: Floats64) -> tuple[float, float] | None:
    known = values_N[~np.isnan(values_N)]
    if not len(known) or known.min() == known.max():
        return None
    low, high = np.percentile(known, _PERCENTILES)
    return (float(low), float(high)) if low < high else (float(known.min()), float(known.max()))


def _read(field: str, *, doc_ids: Sequence[str], documents: Sequence[Metadata]) -> Floats64 | None:
    """The values of a field, or None where they are all no numbers, or texts that are neither all numbers nor dates."""
    rows = [row for row, each in enumerate(documents) if _is_there(each.get(field))]
    held = [documents[row][field] for row in rows]
    first = dict(reversed([(_kind(value), doc_ids[row]) for row, value in zip(rows, held, strict=True)]))
    if len(first) > 1:
        (left, left_id), (right, right_id), *_ = sorted(first.items(), key=lambda each: each[1])
        raise InputError(
            f"field {field!r} cannot boost: document {left_id!r} has {left}, document {right_id!r} has {right}",
            hint="give the field one type in all documents, or leave it out of the boosts",
        )
    numbers = _all(_number, held) or _all(_date, held)
    if not numbers or _are_doubtful(held):
        return None
    values_N = np.full(len(documents), np.nan)
    values_N[rows] = numbers
    return values_N


def _is_there(value: object) -> bool:
    return value is not None and not types.is_missing(value)


def _are_doubtful(held: Sequence[object]) -> bool:
    """Whether all points in texts may group thousands, so that nobody knows which numbers they are."""
    pointed = [value for value in held if isinstance(value, str) and "." in value]
    return bool(pointed) and all(map(types.may_be_thousands, pointed))


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
    return "a list or an object"


def _all(read: Callable[[object], float | None], held: Sequence[object]) -> list[float]:
    """What all values read as; nothing as soon as one does not."""
    numbers: list[float] = []
    for value in held:
        number = read(value)
        if number is None:
            return []
        numbers.append(number)
    return numbers


def _number(value: object) -> float | None:
    if isinstance(value, str):
        value = types.as_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _TOO_LARGE else None


def _date(value: object) -> float | None:
    return types.as_date(value) if isinstance(value, str) else None
