"""Slices: the queries that have something in common, each slice a mask under the name ``what=value``.

Shapes: Q queries.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Bools
from nearer.core.errors import InputError
from nearer.core.records import Metadata
from nearer.core.types import one_form

Slices = dict[str, Bools]

LENGTHS = ((1, 4), (5, 12), (13, None))
"""Words of short, long and very long queries. Our rule: keywords are mostly below five, descriptions above twelve."""
MOST_YEARS = 8
"""More years than these are joined to periods. Our rule: a test set seldom has enough queries for more slices."""
NUM_PERIODS = 4
"""Periods that many years are joined to."""

_THIRDS = (1 / 3 + 1e-12, 2 / 3 + 1e-12)


def by_field(metadata: Sequence[Metadata], fields: Collection[str]) -> Slices:
    """The queries (bool, Q) that share a value of a metadata field, by ``field=value``.

    A value is text, a number or true/false; a list puts its query into a slice for each of its values. Values that
    print alike are one: 1, 1.0 and "1". A query without the field, or with None, NaN or empty text there, is in no
    slice of it.

    Raises InputError for a field that no query has, and for a value of another type.

    >>> list(by_field([{"lang": "en"}, {"lang": "de"}, {"lang": ["en", "fr"]}, {}], ["lang"]))
    ['lang=en', 'lang=de', 'lang=fr']
    """
    masks: Slices = {}
    for field in dict.fromkeys(fields):
        if metadata and not any(field in each for each in metadata):
            known = ", ".join(sorted({name for each in metadata for name in each})) or "none"
            raise InputError(f"no query has the field {field!r}", hint=f"the fields are: {known}")
        masks |= _masks(field, [_values(each.get(field), field) for each in metadata])
    return masks


def by_length(num_words_Q: Sequence[int]) -> Slices:
    """Queries by how many words they have, as ``core.analysis.words`` cuts them: ``length=1-4``, ``5-12`` and ``13+``.

    >>> {name: mask.tolist() for name, mask in by_length([3, 12, 30]).items()}
    {'length=1-4': [True, False, False], 'length=5-12': [False, True, False], 'length=13+': [False, False, True]}
    """
    words_Q = np.asarray(num_words_Q)
    return _filled(
        {
            f"length={least}-{most}" if most else f"length={least}+": (words_Q >= least) & (words_Q <= (most or np.inf))
            for least, most in LENGTHS
        }
    )


def by_overlap(share_Q: ArrayLike) -> Slices:
    """Queries by the share of their terms that a relevant document holds: ``overlap=none``, ``some`` and ``all``.

    With none, no search by words can find the document; with all, it can find it. A share of NaN is in no slice.

    >>> {name: mask.tolist() for name, mask in by_overlap([0.0, 0.2, 0.9]).items()}
    {'overlap=none': [True, False, False], 'overlap=some': [False, True, True]}
    """
    shares_Q = np.asarray(share_Q, dtype=np.float64)
    masks = {"none": shares_Q == 0, "some": (shares_Q > 0) & (shares_Q < 1), "all": shares_Q == 1}
    return _filled({f"overlap={name}": mask_Q for name, mask_Q in masks.items()})


def by_frequency(frequency_Q: ArrayLike, *, all_frequencies: ArrayLike) -> Slices:
    """Queries by how often they are asked: ``frequency=head``, ``torso`` and ``tail``.

    A frequency is head when all queries that are asked at least as often make up no more than a third of the traffic,
    torso up to two thirds, else tail; the largest is always head. ``all_frequencies`` (NaN where not known) are those
    of all queries that there are, so that the borders are the same in every split. Where all are equal there is no
    slice; a frequency of NaN is in none. The rule is ours.

    >>> {name: mask.tolist() for name, mask in by_frequency([90, 1, 2], all_frequencies=[90, 1, 2, 60, 60]).items()}
    {'frequency=head': [True, False, False], 'frequency=tail': [False, True, True]}
    """
    known = np.asarray(all_frequencies, dtype=np.float64)
    values, counts = np.unique(known[np.isfinite(known)], return_counts=True)
    if len(values) < 2:
        return {}
    shares = np.cumsum((values * counts)[::-1])[::-1] / (values * counts).sum()  # of all that are as frequent or more
    head_from, torso_from = (values[(shares <= border) | (values == values[-1])].min() for border in _THIRDS)
    asked_Q = np.asarray(frequency_Q, dtype=np.float64)
    head_Q, tail_Q = asked_Q >= head_from, asked_Q < torso_from
    masks = {"head": head_Q, "torso": (asked_Q >= torso_from) & ~head_Q, "tail": tail_Q}
    return _filled({f"frequency={name}": mask_Q for name, mask_Q in masks.items()})


def by_year(years_Q: Sequence[Collection[int]]) -> Slices:
    """Queries by year, ``time=2020``, or by periods of about as many queries each, ``time=1998-2004``.

    A query may have several years, or none. Up to ``MOST_YEARS`` years stand apart; more are joined, each going to the
    period in which the middle of its queries falls.

    >>> list(by_year([[2020], [2021, 2020], []]))
    ['time=2020', 'time=2021']
    """
    counts = Counter(year for years in years_Q for year in set(years))
    if len(counts) <= MOST_YEARS:
        return _masks("time", [[str(year) for year in years] for years in years_Q])
    period_of, before = {}, 0
    for year, count in sorted(counts.items()):
        period_of[year] = int(NUM_PERIODS * (before + count / 2) / counts.total())
        before += count
    members = {period: [year for year in period_of if period_of[year] == period] for period in period_of.values()}
    names = {
        period: str(years[0]) if len(years) == 1 else f"{years[0]}-{years[-1]}" for period, years in members.items()
    }
    return _masks("time", [[names[period_of[year]] for year in years] for years in years_Q])


def _masks(what: str, values_Q: Sequence[Collection[str]]) -> Slices:
    """A slice for every value, the largest first, then by name."""
    masks: Slices = {}
    for row, values in enumerate(values_Q):
        for value in values:
            masks.setdefault(f"{what}={value}", np.zeros(len(values_Q), np.bool_))[row] = True
    return {name: masks[name] for name in sorted(masks, key=lambda name: (-int(masks[name].sum()), name))}


def _filled(masks: Mapping[str, Bools]) -> Slices:
    return {name: mask_Q for name, mask_Q in masks.items() if mask_Q.any()}


def _values(value: object, field: str) -> list[str]:
    """The printed forms of a field's value, as JSON prints them but for the quotes of text."""
    match value:
        case None | "":
            return []
        case bool():
            return ["true" if value else "false"]
        case str():
            return [one_form(value)]
        case float() if value.is_integer() and abs(value) < 2**53:
            return [str(int(value))]
        case int() | float():
            return [] if value != value else [str(value)]  # only NaN differs from itself
        case list() | tuple():
            return [text for each in value for text in _values(each, field)]
    raise InputError(
        f"field {field!r} holds a {type(value).__name__}, which makes no slice",
        hint="slice by text, numbers, true/false, or lists of these",
    )
