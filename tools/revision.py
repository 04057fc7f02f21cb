"""Writes a revision of the database from what differs: ``python tools/revision.py NUMBER what_changes``.

It compares ``store/tables.py`` with the tables that the revisions before make. Read what it wrote: Alembic sees neither
that a column was renamed nor what becomes of its rows.
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from nearer.store import types
from nearer.store.migrations import FOLDER, HEAD, upgrade
from nearer.store.tables import metadata

_PAGE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from nearer.store import types

revision = "{number}"
down_revision = {before}


def upgrade() -> None:
    """Change the tables."""
    {body}
'''


def _named_type(kind: str, item: object, _: object) -> str | bool:
    """A type by its name in ``store/types.py``, where it has one."""
    names = [name for name in ("Text", "Json", "JsonOrNull", "Integer") if getattr(types, name) is item]
    return f"types.{names[0]}" if kind == "type" and names else False


def write(number: str, name: str, *, folder: Path = FOLDER) -> Path:
    """Write a revision after the newest; its file."""
    with sa.create_engine("sqlite://").connect() as connection:
        if is_first := number == "0001":
            connection.exec_driver_sql("BEGIN")
        else:
            upgrade(connection)
        found = produce_migrations(MigrationContext.configure(connection), metadata)
        assert found.upgrade_ops is not None
        body = render_python_code(found.upgrade_ops, render_as_batch=not is_first, render_item=_named_type)
    path = folder / "versions" / f"r{number}_{name}.py"
    title = name.replace("_", " ").capitalize()
    path.write_text(
        _PAGE.format(title=title, number=number, before=None if is_first else f'"{HEAD}"', body=body), encoding="utf-8"
    )
    return path


if __name__ == "__main__":
    print(write(*sys.argv[1:3]))  # noqa: T201
