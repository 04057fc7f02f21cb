"""What every result is: a frozen record that is read as attributes, by key, as JSON and as a table."""

from collections.abc import Iterator, KeysView, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from html import escape
from importlib import import_module
from typing import Any, Self

from nearer.core.errors import InputError

JSON = Mapping[str, Any]
"""What came from a file or the database as JSON, such as a recipe as it was written down."""

_Cell = str | float | None
OMITTED = {"omitted": True}
"""The metadata of a field that JSON leaves out where it is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a verb returns, or a part of it.

    Its keys are the names of its fields. A field whose metadata is ``OMITTED`` is no key while it is None.
    """

    def keys(self) -> KeysView[str]:
        """The keys that JSON has."""
        own = fields(self)
        kept = [each.name for each in own if not _is_omitted(each.metadata) or getattr(self, each.name) is not None]
        return dict.fromkeys(kept).keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __getitem__(self, key: str) -> Any:
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default`` where it is none."""
        return getattr(self, key) if key in self.keys() else default

    def to_dict(self) -> "dict[str, Any]":
        """The result as JSON has it: dicts, lists, texts, numbers."""
        return {key: _plain(self[key]) for key in self.keys()}

    @classmethod
    def read(cls, content: JSON) -> Self:
        """The record of what ``to_dict`` wrote. Raises ValueError when it is none."""
        adapter: Any = _adapter(cls)  # type: ignore[arg-type]
        found: Self = adapter.validate_python(content)
        return found

    def to_pandas(self) -> Any:
        """A DataFrame of the rows of the result: those of its first field that holds records, or of itself alone.

        Raises InputError without pandas.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise InputError("a table needs pandas, which is not installed", hint="pip install pandas") from error
        return pandas.json_normalize(self._rows())

    def _repr_html_(self) -> str:
        """The rows as a table in a notebook; no library is needed."""
        rows = [_flat(row) for row in self._rows()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td>{escape(_shown(row.get(n)))}</td>' for n in names)}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> list[JSON]:
        for key in self.keys():
            value = self[key]
            if isinstance(value, tuple) and value and all(isinstance(each, Result) for each in value):
                return [each.to_dict() for each in value]
        return [self.to_dict()]


def _is_omitted(metadata: Mapping[Any, Any]) -> bool:
    return bool(metadata.get("omitted"))


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _flat(row: JSON, prefix: str = "") -> dict[str, _Cell]:
    """A row without dicts in it; what lists hold is counted."""
    flat: dict[str, _Cell] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = len(value) if isinstance(value, list) else value
    return flat


def _shown(value: _Cell) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


@cache
def _adapter(record: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(record)
