"""The columns of a file as the fields of a record: by their names, or as the recipe maps them.

The same for all formats. Files with a header (CSV, TSV, Parquet) may hold further columns beside a document or a
query, which become its metadata; in JSON Lines an unknown key stays a fault.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearer.core.errors import InputError
from nearer.core.sections import DocumentColumns, JudgmentColumns, PairColumns, QueryColumns
from nearer.core.types import as_date, is_missing
from nearer.store.formats import fields as names
from nearer.store.formats.naming import listed, missing, rename
from nearer.store.formats.rows import Fields, shown
from nearer.store.formats.source import Source, WholeFile

Section = DocumentColumns | QueryColumns | JudgmentColumns | PairColumns

_NONE = re.compile(r"(?!)")
_UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")
_OF_PAIRS = rf"source|score|negatives|negative_scores|{names.NEGATIVE_COLUMN.pattern}"
_LISTS = {"negatives": "negative", "negative_scores": "negative_score"}
_PARTING = re.compile(r"[\s-]+")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The fields of a kind of record: those it must have, each under one of several names, and others by pattern.

    In CSV and TSV files an empty cell of an ``optional`` field is no value, and ``numbers`` are read as such.
    """

    section: str
    required: tuple[tuple[str, ...], ...]
    optional: re.Pattern[str]
    numbers: re.Pattern[str] = _NONE
    has_metadata: bool = False

    def knows(self, name: str) -> bool:
        """Whether a column of this name is a field."""
        return any(name in group for group in self.required) or self.optional.fullmatch(name) is not None

    def spelled(self, name: str) -> str:
        """The field that a name is when letter case, spaces and hyphens do not count; else the name itself."""
        with_underscores = _PARTING.sub("_", name.strip().casefold())
        spellings = (with_underscores, with_underscores.replace("_", "-"))
        return name if self.knows(name) else next(filter(self.knows, spellings), name)


DOCUMENTS = Kind(
    section="documents",
    required=(names.DOC_ID, ("text",)),
    optional=re.compile("title|metadata"),
    has_metadata=True,
)
QUERIES = Kind(
    section="queries",
    required=(names.QUERY_ID, ("text",)),
    optional=re.compile("metadata"),
    has_metadata=True,
)
JUDGMENTS = Kind(
    section="judgments",
    required=(names.JUDGED_QUERY, names.JUDGED_DOCUMENT, names.GRADE),
    optional=_NONE,
    numbers=re.compile("grade|score"),
)
PAIRS = Kind(
    section="pairs",
    required=(names.ANCHOR, ("positive",)),
    optional=re.compile(_OF_PAIRS),
    numbers=re.compile(r"score|negative_score(_[0-9]+)?"),
)


class Columns:
    """A kind of record and what the recipe says of its columns."""

    def __init__(self, kind: Kind, recipe: Section | None = None, *, make_ids: bool = False) -> None:
        self.kind = kind
        self._required = kind.required[1:] if make_ids else kind.required
        self._ignore = frozenset(getattr(recipe, "ignore", ()))
        self._types: Mapping[str, str] | None = getattr(recipe, "metadata", None)
        given = recipe.model_dump(exclude_none=True, exclude={"ignore", "metadata"}) if recipe else {}
        self._mapped = frozenset(given)
        self._sources = _sources(given)
        self._named = {name for of in self._sources.values() for name in of} | set(self._types or ())

    @property
    def is_plain(self) -> bool:
        """Whether the recipe leaves everything under its own name."""
        return not (self._ignore or self._named or self._types is not None)

    def knows(self, name: str) -> bool:
        """Whether a column of this name would be read."""
        return self.kind.knows(name) or name in self._named

    def taken_as(self, header: Sequence[str]) -> dict[str, str]:
        """The columns whose names are a field's but for letter case, spaces and hyphens, with that field.

        Not those that the recipe names, nor where the field has a column already, or several.
        """
        given = self._named | self._ignore
        found = {name: self.kind.spelled(name) for name in header if name not in given}
        counts = Counter(found.values())
        taken = {name: field for name, field in found.items() if name != field and counts[field] == 1}
        return {name: field for name, field in taken.items() if not self._is_mapped(field) and field not in given}

    def is_unnamed(self, name: str) -> bool:
        """Whether a column has no name, or one that pandas gives to columns without, and the recipe knows no such."""
        return _UNNAMED.fullmatch(name) is not None and name not in self._named | self._ignore

    def suits(self, header: Sequence[str]) -> bool:
        """Whether a header has all the columns that are needed."""
        try:
            self.check_header(header)
        except WholeFile:
            return False
        return True

    def check_header(self, header: Sequence[str]) -> None:
        """Raises WholeFile when a name in a header is there twice, or a column that is needed is not there."""
        self._refuse([name for name in self._named if name not in header], header)
        lacking = [
            group for group in self._required if not any(name in header or name in self._mapped for name in group)
        ]
        if lacking:
            hint = rename(self.kind.section, lacking, header)
            if lacking[0] == self.kind.required[0] and self.kind.has_metadata:
                hint += "; or give rows ids by their content: --make-ids"
            if lacking == [*self._required] and "--set" not in hint:
                hint += "; or, where the first line is a row, write a header above it"
            raise WholeFile(missing(lacking, header), hint=hint)
        for name, count in Counter(header).items():
            if count > 1:
                raise WholeFile(f"the key {shown(name)} occurs twice", hint="keep one of the two")

    def check_first(self, keys: Sequence[str]) -> None:
        """Raises WholeFile when the first object of JSON Lines lacks all that the recipe names for a required field."""
        needed = [self._sources[name] for group in self.kind.required for name in group if name in self._mapped]
        self._refuse([name for of in needed if not any(each in keys for each in of) for name in of], keys)

    def plan(self, header: Sequence[str], *, has_header: bool, is_text: bool = False) -> "Plan":
        """What becomes of each column. Raises InputError for one that would be dropped and is not to be ignored."""
        others = [name for name in header if name not in self._named | self._ignore]
        kept: list[str] = []
        left: list[str] = []
        for name in others:
            (kept if self.kind.knows(name) and not self._is_mapped(name) else left).append(name)
        metadata = dict(self._types or {})
        if has_header and self.kind.has_metadata and self._types is None:
            metadata = dict.fromkeys(left, "")
        elif left and (has_header or any(self._is_mapped(name) for name in left)):
            hint = f"remove the column, or list it: ignore = [...] in [columns.{self.kind.section}]"
            raise (WholeFile if has_header else InputError)(f"unknown key {listed(left)}", hint=hint)
        else:
            kept += left  # keys of JSON Lines, for the record to refuse
        return Plan(kind=self.kind, kept=tuple(kept), sources=self._sources, metadata=metadata, is_text=is_text)

    def _refuse(self, lacking: Sequence[str], found: Sequence[str]) -> None:
        if lacking:
            reason = f"no {listed(lacking)} (found: {listed(found) or 'nothing'})"
            raise WholeFile(reason, hint=f"correct [columns.{self.kind.section}] in nearer.toml")

    def _is_mapped(self, name: str) -> bool:
        """Whether the recipe says that the field of this name is in another column."""
        if column := names.NEGATIVE_COLUMN.fullmatch(name):
            return ("negative_scores" if column[1] else "negatives") in self._mapped
        group = next((group for group in self.kind.required if name in group), (name,))
        return any(each in self._mapped for each in group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of the columns of a file: ``kept`` by name, ``sources`` of fields, ``metadata`` and its types.

    A type of "" leaves a value as it is. ``is_text``: the values are the text of a CSV or TSV file.
    """

    kind: Kind
    kept: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, str]
    is_text: bool

    @property
    def columns(self) -> frozenset[str]:
        """The columns of which something becomes."""
        return frozenset({*self.kept, *self.metadata, *(column for of in self.sources.values() for column in of)})

    def fields(self, row: Mapping[str, Any]) -> Fields:
        """The fields of a row. Raises InputError for a value that is not of its type."""
        fields = {name: row[name] for name in self.kept}
        for name, columns in self.sources.items():
            value = _joined([row[column] for column in columns if row.get(column) is not None])
            fields[_LISTS.get(name, name) if not isinstance(value, list) else name] = value
        if self.is_text:
            fields = {name: self._read(name, text) for name, text in fields.items()}
        if self.metadata:
            beside = fields.get("metadata")
            if isinstance(beside, dict | None):
                fields["metadata"] = {**(beside or {}), **self._beside(row, beside or {})}
        return fields

    def _read(self, name: str, text: str | None) -> int | float | str | None:
        if text == "" and self.kind.optional.fullmatch(name):
            return None
        return names.number(text.strip()) if text and self.kind.numbers.fullmatch(name) else text

    def _beside(self, row: Mapping[str, Any], metadata: Fields) -> Fields:
        """The columns that are metadata; an empty cell is no value."""
        found: Fields = {}
        for name, kind in self.metadata.items():
            value = row.get(name)
            if value is None or (value == "" and self.is_text):
                continue
            if name in metadata:
                raise InputError(f'{shown(name)} is a column and in "metadata" too', hint="keep one of the two")
            found[name] = self._typed(name, value, kind) if kind else value
        return found

    def _typed(self, name: str, value: Any, kind: str) -> Any:
        if kind != "text" and is_missing(value):
            return value
        match kind:
            case "number":
                value = names.number(value) if isinstance(value, str) else value
                is_right = isinstance(value, int | float) and not isinstance(value, bool)
            case "boolean":
                value = _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value
                is_right = isinstance(value, bool)
            case "date":
                is_right = isinstance(value, str) and as_date(value) is not None
            case _:
                value = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
                is_right = isinstance(value, str)
        if not is_right:
            what = shown(value) if isinstance(value, str) else names.type_name(value)
            hint = f"correct the value, or its type in metadata = {{...}} in [columns.{self.kind.section}]"
            raise InputError(f'"{name}" is {what}, not a {kind}', hint=hint)
        return value


def tell_taken(taken: Mapping[str, str], source: Source) -> None:
    """Note which columns are taken as fields of another spelling."""
    for name, field in taken.items():
        source.notes.say(source.path, f"the column {shown(name)} is taken as {field}")


def _sources(given: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Fields to their columns; several columns of negatives or of their scores are a field each."""
    sources: dict[str, tuple[str, ...]] = {}
    for name, of in given.items():
        columns = (of,) if isinstance(of, str) else tuple(of)
        if name in _LISTS and len(columns) > 1:
            sources |= {f"{_LISTS[name]}_{place}": (column,) for place, column in enumerate(columns, start=1)}
        else:
            sources[name] = columns
    return sources


def _joined(values: list[Any]) -> Any:
    """One value as it is, several texts joined by a line break without the empty ones; None when there is none."""
    if len(values) > 1 and all(isinstance(value, str) for value in values):
        return "\n".join(value for value in values if value)
    return next((value for value in values if not isinstance(value, str)), values[0] if values else None)
