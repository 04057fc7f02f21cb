"""Slices: the queries that share a value of a metadata field.

Shapes: Q queries.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from nearer.core.errors import InputError
from nearer.core.records import Metadata

Bools = NDArray[np.bool_]


def slices(metadata: Sequence[Metadata], fields: Collection[str], *, min_size: int = 1) -> dict[str, Bools]:
    """Which queries belong to each slice (bool, Q), by its name ``field=value``; largest first, then by name.

    A value is text, a number or true/false; a list puts its query into a slice for each of its values. A query without
    the field, or with None, NaN or empty text there, is in no slice of it. Slices of fewer than ``min_size`` queries
    are left out.

    Raises InputError for a field that no query has, and for a value of another type.

    >>> list(slices([{"lang": "en"}, {"lang": "de"}, {"lang": ["en", "fr"]}, {}], ["lang"]))
    ['lang=en', 'lang=de', 'lang=fr']
    """
    masks: dict[str, Bools] = {}
    for field in dict.fromkeys(fields):
        if metadata and not any(field in each for each in metadata):
            known = sorted({name for each in metadata for name in each})
            raise InputError(f"no query has the field {field!r}", hint=f"the fields are: {', '.join(known) or 'none'}")
        for row, each in enumerate(metadata):
            for value in _values(each.get(field), field):
                masks.setdefault(f"{field}={value}", np.zeros(len(metadata), np.bool_))[row] = True
    sizes = {name: int(mask_Q.sum()) for name, mask_Q in masks.items()}
    names = sorted((name for name in masks if sizes[name] >= min_size), key=lambda name: (-sizes[name], name))
    return {name: masks[name] for name in names}


def _values(value: object, field: str) -> list[str]:
    """The printed forms of a field's value, as JSON prints them but for the quotes of text."""
    match value:
        case None | "":
            return []
        case bool():
            return ["true" if value else "false"]
        case str():
            return [value]
        case int() | float():
            return [] if value != value else [str(value)]  # only NaN differs from itself
        case list() | tuple():
            return [text for each in value for text in _values(each, field)]
    raise InputError(
        f"field {field!r} holds a {type(value).__name__}, which makes no slice",
        hint="slice by text, numbers, true/false, or lists of these",
    )
