"""The types of metadata that an import brings, held against those that fields already have.

A field that filters, boosts or holds out keeps the type that it has: a value that does not fit is a fault of its row.
Any other field takes the narrowest type of all its values, and becomes text where a text comes that is no number.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from nearer.core.errors import Fault, InputError
from nearer.core.records import Document, Query
from nearer.core.types import FieldType, is_missing, type_of
from nearer.retrieval.fields import FieldTypes
from nearer.store.formats import Row

R = TypeVar("R", Document, Query)

_SHOWN = 20
_NUMBERS: tuple[FieldType, ...] = ("integer", "number")
_FITTING: Mapping[FieldType, tuple[FieldType, ...]] = {
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "date": ("date",),
    "boolean": ("boolean",),
}
_NAMES = {"boolean": "true or false"}


class ImportedTypes:
    """What an import brings of one kind of record; ``kept`` has the fields whose type must stay, with that type."""

    def __init__(self, kind: str, kept: Mapping[str, FieldType], *, texts: Collection[str]) -> None:
        self._kind, self._texts = kind, texts
        self._kept = {name: each for name, each in kept.items() if each in _FITTING and name not in texts}
        self._types: dict[str, FieldTypes] = {}
        self._odd: set[str] = set()

    def checked(self, rows: Iterator[Row[R] | Fault], path: Path) -> Iterator[Row[R] | Fault]:
        """The rows, each whose values do not fit as a fault."""
        for row in rows:
            fault = None if isinstance(row, Fault) else self._misfit(row, path)
            if fault is None and isinstance(row, Row):
                self._see(row.record)
            yield fault or row

    def note(self) -> str:
        """The types that were found; empty where there is no metadata."""
        found: dict[str, str] = {}
        doubtful: dict[str, str] = {}
        missing: dict[str, str] = {}
        for name, types in self._types.items():
            try:
                found[name] = "mixed" if name in self._odd else types.found()[name]
                doubtful |= types.doubtful()
                missing |= types.missing()
            except InputError:
                found[name] = "mixed"
        shown = [
            f"{name} {_NAMES.get(kind, kind)}{_why_text(name, doubtful)}"
            + (f" ({missing[name]!r} is no value)" if name in missing else "")
            for name, kind in list(found.items())[:_SHOWN]
        ]
        more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        return f"{self._kind}: types of metadata: {', '.join([*shown, *more])}" if found else ""

    def _see(self, record: Document | Query) -> None:
        for name, value in record.metadata.items():
            if value is None:
                continue
            types = self._types.setdefault(name, FieldTypes([name], texts=self._texts))
            try:
                types.see("", {name: value})
            except InputError:
                self._odd.add(name)

    def _misfit(self, row: Row[R], path: Path) -> Fault | None:
        for name, kind in self._kept.items():
            value = row.record.metadata.get(name)
            if value is not None and not is_missing(value) and type_of(value) not in _FITTING[kind]:
                said = "true or false" if kind == "boolean" else f"a {kind}".replace("a integer", "a number")
                reason = f'"{name}" is {str(value)[:40]!r}, and is {said} in the {self._kind} there are'
                section = f"[columns.{self._kind}] in nearer.toml"
                remedy = f'correct it; or make the field text: metadata = {{ {name} = "text" }} in {section}'
                return Fault(file=str(path), line=row.line, reason=reason, remedy=remedy)
        return None


def _why_text(name: str, doubtful: Mapping[str, str]) -> str:
    """Why a field of numbers is text; nothing for others."""
    if name not in doubtful:
        return ""
    how = f'if decimal, metadata = {{ {name} = "number" }}'
    return f" (the point in {doubtful[name]} may be decimal, or group thousands: {how})"
