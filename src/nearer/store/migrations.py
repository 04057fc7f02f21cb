"""How the tables of a database that is there already become those of ``store/tables.py``.

A new database gets the tables as they are. A change of a table after a release is a step here, with frozen tables of
its own: a step never mentions the live ones, so that changing those cannot change history.
"""

from collections.abc import Callable

from sqlalchemy.engine import Connection

Migration = Callable[[Connection], None]

FIRST = "m001_first_release"
"""The name under which the tables of the first release are noted."""
MIGRATIONS: tuple[Migration, ...] = ()
"""Applied in order, once each. Append; never change one that was released."""
