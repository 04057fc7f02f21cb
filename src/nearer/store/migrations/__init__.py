"""How the tables of an earlier version become those of ``store/tables.py``: by Alembic, one file a change in versions/.

A new database gets the tables as they are, and the number of the newest revision. A change of a table after a release
is a revision, which never mentions the live tables, so that changing those cannot change history. Make one with
``tools/revision.py``, and put its number into ``HEAD``.
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

HEAD = "0001"
"""The newest revision; here, so that Alembic is loaded only by what changes tables."""
FOLDER = Path(__file__).parent
version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table: the revision that a database is of."""


def known_revisions() -> set[str]:
    """Every revision that this program knows."""
    return {path.name[1:5] for path in (FOLDER / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py")}


def stamp(connection: Connection, revision: str) -> None:
    """Note of which revision the tables are."""
    version.create(connection)
    connection.execute(version.insert().values(version_num=revision))


def upgrade(connection: Connection) -> None:
    """Bring older tables up to date, in the transaction of ``connection``."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.upgrade(config, "head")
