"""How the tables of a database that is there already become those of ``store/tables.py``.

A new database gets the tables as they are. A change of a table after a release is a step here, with frozen tables of
its own: a step never mentions the live ones, so that changing those cannot change history.
"""

from collections.abc import Callable

from sqlalchemy.engine import Connection

Migration = Callable[[Connection], None]

FIRST = "m001_first_release"
"""The name under which the tables of the first release are noted."""


def m002_judgments_have_sources(connection: Connection) -> None:
    """What was judged before came from files, as far as anybody knows."""
    connection.exec_driver_sql("ALTER TABLE judgments RENAME TO judgments_before")
    connection.exec_driver_sql(
        "CREATE TABLE judgments ("
        "query_id TEXT NOT NULL REFERENCES queries (query_id), doc_id TEXT NOT NULL REFERENCES documents (doc_id), "
        "source TEXT NOT NULL, rater TEXT NOT NULL, grade INTEGER NOT NULL, weight FLOAT NOT NULL, at TEXT NOT NULL, "
        "document_hash TEXT NOT NULL, PRIMARY KEY (query_id, doc_id, source, rater))"
    )
    connection.exec_driver_sql(
        "INSERT INTO judgments SELECT query_id, doc_id, 'import', '', grade, 1.0, '', '' FROM judgments_before"
    )
    connection.exec_driver_sql("DROP TABLE judgments_before")


MIGRATIONS: tuple[Migration, ...] = (m002_judgments_have_sources,)
"""Applied in order, once each. Append; never change one that was released."""
