"""The metadata fields that may filter: their types, read from the documents, and the values an index keeps."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from nearer.core.errors import InputError
from nearer.core.filters import Fields
from nearer.core.ids import canonical_json, text_hash
from nearer.core.records import Metadata
from nearer.core.types import FieldType, Value, is_missing, items_of, may_be_thousands, read_as, type_of

Kept = Value | tuple[str, ...]
"""A value as an index keeps it: dates as seconds since 1970, lists as the texts of their items."""


class FieldTypes:
    """Finds the type of every field, record by record; only an example of each type is remembered.

    A field has the narrowest type that all its values have: texts that are all numbers are numbers, but where every
    point might group thousands, as in 1.200. Beside values of another type, what stands for a missing value (NA, null)
    is none. Those among ``texts`` are text whatever they look like. ``noun`` is what the records are.
    """

    def __init__(self, names: Sequence[str], *, texts: Collection[str] = (), noun: str = "document") -> None:
        self._first: dict[str, dict[tuple[FieldType, bool], str]] = {name: {} for name in names}
        self._texts, self._noun = texts, noun
        self._thousands: dict[str, str] = {}
        self._decimal: set[str] = set()
        self._missing: dict[str, str] = {}

    def see(self, key: str, metadata: Metadata) -> None:
        """Take note of one record. Raises InputError for an object, or a number that no index can hold."""
        for name, first in self._first.items():
            value = metadata.get(name)
            if is_missing(value) and name not in self._texts:
                self._missing.setdefault(name, str(value))
            elif value is not None:
                self._see_point(name, value)
                first.setdefault((self._type_of(value, name=name, key=key), isinstance(value, str)), key)

    def doubtful(self) -> dict[str, str]:
        """A value of each field of texts whose points may all group thousands, so that it is text."""
        return {
            name: text
            for name, text in self._thousands.items()
            if name not in self._decimal | set(self._texts)
            and all(kind in ("integer", "number") and is_text for kind, is_text in self._first[name])
        }

    def found(self) -> dict[str, FieldType]:
        """The type of every field that a record has. Raises InputError, naming two records, for mixed types."""
        doubtful = self.doubtful()
        return {
            name: self._common_type(name, first) if first and name not in doubtful else "text"
            for name, first in self._first.items()
            if first or name in self._missing
        }

    def missing(self) -> dict[str, str]:
        """What stands for a missing value in each field that is not text."""
        found = self.found()
        return {name: text for name, text in self._missing.items() if found[name] not in ("text", "list")}

    def _see_point(self, name: str, value: object) -> None:
        if not isinstance(value, str) or "." not in value:
            return
        if may_be_thousands(value):
            self._thousands.setdefault(name, value)
        else:
            self._decimal.add(name)

    def _type_of(self, value: object, *, name: str, key: str) -> FieldType:
        if isinstance(value, str) and name in self._texts:
            return "text"
        found = type_of(value)
        if found is None:
            raise InputError(
                f"field {name!r} of {self._noun} {key!r} cannot filter: it holds {str(value)[:40]}, which is no text, "
                "number of 64 bits, true or false, nor a list of these",
                hint="take the field out of index.filter_fields, or give it plain values",
            )
        return found

    def _common_type(self, name: str, first: Mapping[tuple[FieldType, bool], str]) -> FieldType:
        kinds = {kind for kind, _ in first}
        if "list" in kinds:
            return "list"
        if kinds == {"integer", "number"}:
            return "number"
        if len(kinds) == 1:
            return next(iter(kinds))
        if all(is_text for _, is_text in first):
            return "text"
        (left, left_id), (right, right_id), *_ = {kind: key for (kind, _), key in first.items()}.items()
        raise InputError(
            f"field {name!r} cannot filter: {self._noun} {left_id!r} has {left}, {self._noun} {right_id!r} has {right}",
            hint="give the field one type in all of them, or take it out of index.filter_fields",
        )


def kept_values(metadata: Metadata, fields: Fields) -> tuple[Kept | None, ...]:
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


def columns(rows: Iterable[Sequence[Kept | None]], fields: Fields) -> dict[str, tuple[Kept | None, ...]]:
    """Rows of values as one tuple a field.

    >>> columns([(2020, "en"), (2021, None)], {"year": "integer", "lang": "text"})
    {'year': (2020, 2021), 'lang': ('en', None)}
    """
    by_field = list(zip(*rows, strict=True)) or [()] * len(fields)
    return dict(zip(fields, by_field, strict=True))


def _as_kept(value: object, field_type: FieldType) -> Kept | None:
    if value is None:
        return None
    return items_of(value) if field_type == "list" else read_as(value, field_type)
