"""The metadata fields that may filter: their types, read from the documents, and the values an index keeps."""

import math
from collections.abc import Iterable, Sequence

from nearer.core.errors import InputError
from nearer.core.filters import Fields, FieldType, Value
from nearer.core.ids import canonical_json, text_hash
from nearer.core.records import Metadata

_LARGEST = 2**63


class FieldTypes:
    """Finds the type of every field, document by document; only an example of each type is remembered."""

    def __init__(self, names: Sequence[str]) -> None:
        self._first: dict[str, dict[FieldType, str]] = {name: {} for name in names}

    def see(self, doc_id: str, metadata: Metadata) -> None:
        """Take note of one document. Raises InputError for a list, an object, or a number that no index can hold."""
        for name, first in self._first.items():
            value = metadata.get(name)
            if value is not None:
                first.setdefault(_type_of(value, name=name, doc_id=doc_id), doc_id)

    def found(self) -> dict[str, FieldType]:
        """The type of every field that a document has. Raises InputError, naming two documents, for mixed types."""
        return {name: _common_type(name, first) for name, first in self._first.items() if first}


def kept_values(metadata: Metadata, fields: Fields) -> tuple[Value | None, ...]:
    """What an index keeps of a document's metadata, in the order of ``fields``.

    >>> kept_values({"year": 2020, "lang": "en"}, {"year": "number", "topic": "text"})
    (2020.0, None)
    """
    return tuple(_as_kept(metadata.get(name), field_type) for name, field_type in fields.items())


def entry_hash(hash_of_text: str, metadata: Metadata, fields: Fields) -> str:
    """What changes when an indexed document must be written again: its text, or a value that may filter.

    Without fields it is the text's own hash.
    """
    values = [metadata.get(name) for name in fields]
    return text_hash(canonical_json([hash_of_text, values])) if values else hash_of_text


def columns(rows: Iterable[Sequence[Value | None]], fields: Fields) -> dict[str, tuple[Value | None, ...]]:
    """Rows of values as one tuple a field.

    >>> columns([(2020, "en"), (2021, None)], {"year": "integer", "lang": "text"})
    {'year': (2020, 2021), 'lang': ('en', None)}
    """
    by_field = list(zip(*rows, strict=True)) or [()] * len(fields)
    return dict(zip(fields, by_field, strict=True))


def _type_of(value: object, *, name: str, doc_id: str) -> FieldType:
    match value:
        case bool():
            return "boolean"
        case str():
            return "text"
        case int() if -_LARGEST <= value < _LARGEST:
            return "integer"
        case float() if math.isfinite(value):
            return "number"
    raise InputError(
        f"field {name!r} of document {doc_id!r} cannot filter: it holds {str(value)[:40]}, which is no text, "
        "number of 64 bits, true or false",
        hint="take the field out of index.filter_fields, or give it one plain value a document",
    )


def _common_type(name: str, first: dict[FieldType, str]) -> FieldType:
    if first.keys() == {"integer", "number"}:
        return "number"
    if len(first) == 1:
        return next(iter(first))
    (left, left_id), (right, right_id), *_ = first.items()
    raise InputError(
        f"field {name!r} cannot filter: document {left_id!r} has {left}, document {right_id!r} has {right}",
        hint="give the field one type in all documents, or take it out of index.filter_fields",
    )


def _as_kept(value: object, field_type: FieldType) -> Value | None:
    if isinstance(value, int) and field_type == "number":
        return float(value)
    assert value is None or isinstance(value, Value)
    return value + 0.0 if isinstance(value, float) else value  # -0.0 and 0.0 are one number
