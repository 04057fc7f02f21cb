"""How the tables of an earlier version become those of ``store/tables.py``: by Alembic, one file a change in versions/.

A new database gets the tables as they are, and the number of the newest revision. A change of a table after a release
is a revision, which never mentions the live tables, so that changing those cannot change history. Make one with
``tools/revision.py``, and put its number into ``HEAD``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

HEAD = "0001"
"""The newest revision; here, so that Alembic is loaded only by what changes tables."""
VERSION_TABLE, VERSION_COLUMN = "alembic_version", "version_num"
"""Alembic's own table: the revision that a database is of."""
FOLDER = Path(__file__).parent


def known_revisions() -> set[str]:
    """Every revision that this program knows."""
    return {path.name[1:5] for path in (FOLDER / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py")}


def upgrade(connection: "Connection") -> None:
    """Bring older tables up to date, in the transaction of ``connection``."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.upgrade(config, "head")
