"""The tables of a database: made where there are none, and those of an earlier version brought up to date."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import WorkspaceError
from nearer.store import migrations
from nearer.store.database import Database
from nearer.store.tables import metadata

_OF_INDEXES = "nearer_"
"""How the tables of an index in PostgreSQL begin: they may lie beside."""
_BEFORE_ALEMBIC, _FIRST = "migrations", "0001"
"""A table that the first databases had in place of Alembic's, and the revision that they are of."""
version = sa.Table(
    migrations.VERSION_TABLE,
    sa.MetaData(),
    sa.Column(migrations.VERSION_COLUMN, sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint(migrations.VERSION_COLUMN, name="alembic_version_pkc"),
)


def bring_up_to_date(database: Database, *, creates: bool) -> None:
    """Make the tables, or change older ones.

    Raises WorkspaceError for what is no database of Nearer's, was made by a newer version, or, unless ``creates``, is
    empty.
    """
    with database.read() as connection:
        found = _revision(connection, database.name)
    if found == migrations.HEAD:
        return
    if found is None and not creates:
        hint = "move the workspace there: nearer store copy --to URL; or make a new one: nearer init FOLDER"
        raise WorkspaceError(f"{database.name}: holds no workspace yet", hint=hint)
    with database.write(holder="nearer, which changes the tables") as connection:
        found = _revision(connection, database.name)  # another may have been first
        if found is None:
            metadata.create_all(connection, checkfirst=False)
            _stamp(connection, migrations.HEAD)
        elif found != migrations.HEAD:
            if not sa.inspect(connection).has_table(migrations.VERSION_TABLE):
                _stamp(connection, found)
            migrations.upgrade(connection)


def _stamp(connection: Connection, revision: str) -> None:
    """Note of which revision the tables are."""
    version.create(connection)
    connection.execute(version.insert().values({migrations.VERSION_COLUMN: revision}))


def _revision(connection: Connection, name: str) -> str | None:
    """The revision of the tables, None where there are none.

    Raises WorkspaceError where there are others, and for a revision that is not known.
    """
    there = {each for each in sa.inspect(connection).get_table_names() if not each.startswith(_OF_INDEXES)}
    if not there:
        return None
    if migrations.VERSION_TABLE in there:
        found = str(connection.scalar(sa.select(version.c[migrations.VERSION_COLUMN])))
    elif _BEFORE_ALEMBIC in there:
        found = _FIRST
    else:
        hint = "name a database, or a schema, of its own; a damaged file is restored from a backup"
        raise WorkspaceError(f"{name}: not a database of Nearer's", hint=hint)
    if found not in migrations.known_revisions():
        hint = "upgrade: pip install --upgrade nearer"
        raise WorkspaceError(f"the workspace was made by a newer version (its tables are {found[:40]!r})", hint=hint)
    return found
