"""Filter rules: conditions on documents whose value may be the query's own, written as they are on the command line.

    year>=query.year        the document's year against the query's
    in_stock=true           the same for every query

Shapes: N documents, R pairs of a query and a document.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.filters import (
    DERIVED,
    Comparator,
    Comparison,
    Compound,
    Fields,
    Filter,
    compared_type,
    matches,
    parts_of,
    typed_comparison,
    written,
)
from nearer.core.records import Metadata
from nearer.core.types import FieldType, Value

Pairs = tuple[Ints, Ints]
"""Rows of queries, and beside each the row of a document."""

_OF_THE_QUERY = "query."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A document field compared with a value, or with the query's field ``query_field``; it prints as it is written."""

    type: Comparator
    key: str
    field_type: FieldType
    value: Value | None = None
    query_field: str | None = None

    def __str__(self) -> str:
        if self.query_field is not None:
            return written(self.type, self.key, _OF_THE_QUERY + self.query_field)
        if self.field_type == "date" and isinstance(self.value, float):
            moment = datetime.fromtimestamp(self.value, UTC).isoformat().removesuffix("+00:00")
            return written(self.type, self.key, moment.removesuffix("T00:00:00"))
        return written(
            self.type, self.key, str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
        )

    def applies_to(self, query: Metadata) -> bool:
        """Whether the query has the field that the rule needs."""
        return self.query_field is None or query.get(self.query_field) is not None


def parse_rules(texts: Iterable[str], *, fields: Fields, query_time_fields: Collection[str]) -> tuple[Rule, ...]:
    """Rules as they are written: the conditions of ``--where``, in which ``query.year`` is the query's own field.

    ``fields`` are the document fields that may filter, ``query_time_fields`` those that are known of a query when it is
    asked.

    Raises InputError for what is no condition, an unknown document field, a value that the field never holds, a query
    field that is not in ``query_time_fields``, and a ``label_*`` field on either side.

    >>> [rule] = parse_rules(["year >= query.year"], fields={"year": "integer"}, query_time_fields=["year"])
    >>> str(rule)
    'year>=query.year'
    """
    return tuple(_rule(text, fields=fields, query_time_fields=query_time_fields) for text in texts)


def condition_of(rules: Iterable[Rule], query: Metadata) -> Filter | None:
    """What the rules demand of documents for a query with this metadata: all that apply to it; None where none does.

    A rule whose field the query lacks does not filter; ``unused`` tells which. A text is read as the document field's
    type: a year that came from CSV is a number where documents have numbers.

    Raises InputError for a query's value that the document field never holds.
    """
    conditions = tuple(_comparison(rule, query) for rule in rules if rule.applies_to(query))
    return Compound(type="and", filters=conditions) if len(conditions) > 1 else next(iter(conditions), None)


def unused(rules: Iterable[Rule], query: Metadata) -> tuple[Rule, ...]:
    """The rules that do not filter for this query, as it lacks the field that they need."""
    return tuple(rule for rule in rules if not rule.applies_to(query))


def passing(condition: Filter, documents: Sequence[Metadata]) -> Bools:
    """Which documents pass (bool, N); one that lacks a field passes no comparison of it.

    Raises InputError for a document's value that cannot be compared with the condition's.
    """
    if isinstance(condition, Compound):
        masks = [passing(each, documents) for each in condition.filters]
        together = np.logical_and if condition.type == "and" else np.logical_or
        together_N: Bools = together.reduce(masks, axis=0)
        return together_N
    known: dict[object, bool] = {}  # documents are many and their values few
    mask_N = np.zeros(len(documents), np.bool_)
    for row, document in enumerate(documents):
        value = document.get(condition.key)
        value = tuple(value) if isinstance(value, list) else value
        try:
            if value not in known:
                known[value] = matches(condition, {condition.key: value})
            mask_N[row] = known[value]
        except TypeError as error:
            raise InputError(
                f"field {condition.key!r} of a document holds {str(value)[:40]!r} of type {type(value).__name__}, "
                f"which cannot be compared with {condition.value!r}",
                hint="give the field one type in all documents, or take it out of the rules",
            ) from error
    return mask_N


def passing_pairs(rule: Rule, pairs: Pairs, *, queries: Sequence[Metadata], documents: Sequence[Metadata]) -> Bools:
    """Which documents pass for the query beside them (bool, R); all do for a query to which the rule does not apply.

    Raises InputError as ``condition_of`` and ``passing`` do.
    """
    queries_R, documents_R = pairs
    condition_of_row = {row: condition_of([rule], queries[row]) for row in set(queries_R.tolist())}
    places: dict[Filter | None, list[int]] = {}
    for place, row in enumerate(queries_R.tolist()):
        places.setdefault(condition_of_row[row], []).append(place)
    mask_R = np.ones(len(queries_R), np.bool_)
    for condition, here in places.items():
        if condition is not None:
            mask_R[here] = passing(condition, [documents[row] for row in documents_R[here]])
    return mask_R


def refuse_derived(field: str, *, where: str) -> None:
    """Raises InputError for a field ``label_*``."""
    if field.startswith(DERIVED):
        raise InputError(
            f"{where}: {field!r} was derived from the right answer, so it may slice and group, and do no more",
            hint="use a field that is known when a query is asked",
        )


def _rule(text: str, *, fields: Fields, query_time_fields: Collection[str]) -> Rule:
    parts = parts_of(text)
    if not parts:
        raise InputError(f"{text!r} is no rule", hint='for example: "year>=query.year" or "in_stock=true"')
    kind, key, value = parts
    refuse_derived(key, where=f"rule {text!r}")
    if not value.startswith(_OF_THE_QUERY):
        comparison = typed_comparison(kind, key, value, fields=fields)
        assert not isinstance(comparison.value, tuple), "written conditions have one value"
        return Rule(type=kind, key=key, field_type=fields[key], value=comparison.value)
    query_field = value.removeprefix(_OF_THE_QUERY)
    refuse_derived(query_field, where=f"rule {text!r}")
    if query_field not in query_time_fields:
        known = ", ".join(query_time_fields) or "none"
        raise InputError(
            f"rule {text!r}: the query's {query_field!r} may not filter; query_time_fields of the recipe are: {known}",
            hint="add it to query_time_fields only if it is known when a query is asked: "
            "imported query metadata often comes from the right answer, and makes any filter look perfect",
        )
    return Rule(type=kind, key=key, field_type=compared_type(kind, key, fields=fields), query_field=query_field)


def _comparison(rule: Rule, query: Metadata) -> Comparison:
    if rule.query_field is None:
        assert rule.value is not None, "a rule has a value or a query field"
        return Comparison(type=rule.type, key=rule.key, value=rule.value)
    value = query[rule.query_field]
    try:
        return typed_comparison(rule.type, rule.key, value, fields={rule.key: rule.field_type})
    except InputError as error:
        raise InputError(
            f"rule {str(rule)!r} cannot filter for a query whose {rule.query_field!r} is {str(value)[:40]!r}: "
            f"documents hold {rule.field_type} values in {rule.key!r}",
            hint="give the field one type in queries and documents, or take the rule out",
        ) from error
