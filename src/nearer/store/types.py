"""The types of columns, which hold the same in SQLite and in PostgreSQL."""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

_ESCAPE, _NUL, _ITSELF = "\uffff", "0", "1"


def escaped(text: str) -> str:
    r"""A text as PostgreSQL holds it, which has no NUL; U+FFFF, which stands for it, is no character of any text.

    >>> escaped("a\0b"), unescaped(escaped("a\0b"))
    ('a\uffff0b', 'a\x00b')
    """
    if _ESCAPE in text:
        text = text.replace(_ESCAPE, _ESCAPE + _ITSELF)
    return text.replace("\0", _ESCAPE + _NUL) if "\0" in text else text


def unescaped(text: str) -> str:
    """The text that ``escaped`` was given."""
    if _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE + _NUL, "\0").replace(_ESCAPE + _ITSELF, _ESCAPE)


class PostgresText(sa.TypeDecorator[str]):
    """Any text, in the order of its UTF-8 bytes whatever the locale of the database is."""

    impl = sa.Text
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(collation="C")

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is kept of a text."""
        return None if value is None else escaped(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """The text that is kept."""
        return None if value is None else unescaped(value)


class PostgresJson(sa.TypeDecorator[Any]):
    """JSON as its text, byte for byte as SQLite keeps it."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, *, none_as_null: bool) -> None:
        super().__init__(collation="C")
        self.none_as_null = none_as_null

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """What is kept of a value."""
        return None if value is None and self.none_as_null else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value that is kept."""
        return None if value is None else json.loads(value)


def _json(*, none_as_null: bool = False) -> sa.JSON:
    return sa.JSON(none_as_null=none_as_null).with_variant(PostgresJson(none_as_null=none_as_null), "postgresql")


Text = sa.Text().with_variant(PostgresText(), "postgresql")
Json = _json()
JsonOrNull = _json(none_as_null=True)
Integer = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
