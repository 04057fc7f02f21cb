"""Filters as masks over columns of values: a whole corpus at once, where ``matches`` looks at one document.

Shapes: N documents.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearer.core.filters import Comparison, Fields, Filter
from nearer.core.types import FieldType, Value

Bools = NDArray[np.bool_]

_DTYPES: dict[FieldType, Any] = {
    "text": object,
    "integer": np.int64,
    "number": np.float64,
    "boolean": np.bool_,
    "date": np.float64,
    "list": object,
}
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One field of N documents; where a document lacks it, ``held_N`` is false and the value means nothing."""

    values_N: NDArray[Any]
    held_N: Bools


def columns_of(values: Mapping[str, Sequence[Any]], fields: Fields) -> dict[str, Column]:
    """The values that an index keeps of every field, as arrays."""
    made = {}
    for name, kept in values.items():
        if fields[name] == "list":
            array_N = np.fromiter(map(frozenset, (each or () for each in kept)), dtype=object, count=len(kept))
        else:
            filler: Value = "" if fields[name] == "text" else 0
            array_N = np.array([filler if each is None else each for each in kept], dtype=_DTYPES[fields[name]])
        made[name] = Column(values_N=array_N, held_N=np.array([each is not None for each in kept], dtype=np.bool_))
    return made


def mask_of(condition: Filter, columns: Mapping[str, Column]) -> Bools:
    """Which documents pass (bool, N), as ``matches`` says of each; the condition's fields must be among the columns."""
    if not isinstance(condition, Comparison):
        together = np.logical_and if condition.type == "and" else np.logical_or
        mask_N: Bools = together.reduce([mask_of(each, columns) for each in condition.filters], axis=0)
        return mask_N
    column, value = columns[condition.key], condition.value
    if isinstance(value, tuple):
        among_N = reduce(np.logical_or, [_compared("eq", column, each) for each in value])
        return column.held_N & (among_N if condition.type == "in" else ~among_N)
    if condition.type == "ne":
        return column.held_N & ~_compared("eq", column, value)
    return column.held_N & _compared(condition.type, column, value)


def _compared(kind: str, column: Column, value: Value) -> Bools:
    """The comparison as Python makes it: an integer meets a fraction exactly, without becoming a float itself."""
    if len(column.values_N) and isinstance(column.values_N[0], frozenset):
        return np.fromiter((value in each for each in column.values_N), np.bool_, count=len(column.values_N))
    if column.values_N.dtype == np.int64 and isinstance(value, float):
        if not value.is_integer() and kind == "eq":
            return np.zeros(len(column.values_N), np.bool_)
        whole = ceil(value) if kind in ("gte", "lt") else floor(value)
        largest = 2**63
        if not -largest <= whole < largest:
            return np.full(len(column.values_N), _COMPARED[kind](0, whole), np.bool_)
        value = whole
    found_N: Bools = np.asarray(_COMPARED[kind](column.values_N, value), dtype=np.bool_)
    return found_N
