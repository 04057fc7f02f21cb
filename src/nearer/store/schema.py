"""The tables of a database: made where there are none, and those of an earlier version brought up to date."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import WorkspaceError
from nearer.store.database import Database
from nearer.store.migrations import FIRST, MIGRATIONS
from nearer.store.tables import metadata, migrations

_OF_INDEXES = "nearer_"
"""How the tables of an index in PostgreSQL begin: they may lie beside."""


def bring_up_to_date(database: Database, *, creates: bool) -> None:
    """Make the tables, or change older ones.

    Raises WorkspaceError for what is no database of Nearer's, was made by a newer version, or, unless ``creates``, is
    empty.
    """
    with database.read() as connection:
        is_made = _is_made(connection, database.name)
        if is_made and _applied(connection) == set(_names()):
            return
    if not is_made and not creates:
        hint = "move the workspace there: nearer store copy --to URL; or make a new one: nearer init FOLDER"
        raise WorkspaceError(f"{database.name}: holds no workspace yet", hint=hint)
    with database.write(holder="nearer, which changes the tables") as connection:
        if not _is_made(connection, database.name):
            make_tables(connection)
            return
        applied = _applied(connection)
        if unknown := applied - set(_names()):
            raise WorkspaceError(
                f"the workspace was made by a newer version ({', '.join(sorted(unknown))})",
                hint="upgrade: pip install --upgrade nearer",
            )
        for migration in MIGRATIONS:
            if migration.__name__ not in applied:
                migration(connection)
                connection.execute(migrations.insert().values(name=migration.__name__))


def make_tables(connection: Connection) -> None:
    """Make all tables, as they are in this version."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(migrations.insert(), [{"name": name} for name in _names()])


def _is_made(connection: Connection, name: str) -> bool:
    """Whether the tables are there. Raises WorkspaceError where others are, and these are not."""
    there = {each for each in sa.inspect(connection).get_table_names() if not each.startswith(_OF_INDEXES)}
    if there and migrations.name not in there:
        hint = "name a database, or a schema, of its own; a damaged file is restored from a backup"
        raise WorkspaceError(f"{name}: not a database of Nearer's", hint=hint)
    return bool(there)


def _names() -> list[str]:
    return [FIRST, *(migration.__name__ for migration in MIGRATIONS)]


def _applied(connection: Connection) -> set[str]:
    return set(connection.scalars(sa.select(migrations.c.name)))
