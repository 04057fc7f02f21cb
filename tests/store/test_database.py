import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa

from nearer.core.errors import WorkspaceBusy, WorkspaceError
from nearer.store import database as either
from nearer.store import schema
from nearer.store.database import open_database
from nearer.store.migrations import FIRST, MIGRATIONS
from nearer.store.tables import ledger, metadata

NAMES = [FIRST, *(each.__name__ for each in MIGRATIONS)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sqlite"


def names(path):
    with sqlite3.connect(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY rowid")]


def test_migrations_are_applied_once_and_in_order(path, monkeypatch):
    open_database(path).close()
    open_database(path).close()
    assert names(path) == NAMES
    calls = []

    def m999_later(connection):
        calls.append(1)
        connection.exec_driver_sql("CREATE TABLE later (x INTEGER)")

    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, m999_later))
    open_database(path).close()
    open_database(path).close()
    assert calls == [1]
    assert names(path)[-1] == "m999_later"


def test_a_migration_that_fails_leaves_the_database_of_before(path, monkeypatch):
    open_database(path).close()

    def m999_breaks(connection):
        connection.exec_driver_sql("CREATE TABLE half (x INTEGER)")
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, m999_breaks))
        with pytest.raises(RuntimeError):
            open_database(path)
    with sqlite3.connect(path) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    open_database(path).close()


def test_a_database_from_the_future_is_refused(path):
    open_database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations VALUES ('m998_from_the_future')")
    with pytest.raises(WorkspaceError, match="m998_from_the_future") as caught:
        open_database(path)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("content", [b"this is no database " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"control\.sqlite") as caught:
        open_database(path)
    assert caught.value.hint


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WorkspaceError):
        open_database(tmp_path / "absent" / "control.sqlite")


def test_a_reader_sees_one_state_however_many_statements_it_takes(path):
    database = open_database(path)
    statement = sa.select(sa.func.count()).select_from(ledger)
    row = {"at": "now", "split": "test", "systems": [], "purpose": "x"}
    with database.read() as reader:
        assert reader.scalar(statement) == 0
        with database.write() as writer:
            writer.execute(ledger.insert(), [row])
        assert reader.scalar(statement) == 0
    with database.read() as reader:
        assert reader.scalar(statement) == 1
    database.close()


def test_a_writer_waits_no_longer_than_it_was_told(path):
    database = open_database(path)
    with database.write():
        began = time.monotonic()
        with pytest.raises(WorkspaceBusy), database.write(wait_s=0.1):
            pass
        assert 0.1 <= time.monotonic() - began < 10
    database.close()


def test_what_was_measured_waits_as_long_as_another_writes_and_says_for_whom(path, monkeypatch, caplog):
    monkeypatch.setattr(either, "PATIENCE_S", 0.05)
    row = {"at": "now", "split": "test", "systems": [], "purpose": "x"}
    database, written = open_database(path), threading.Event()

    def keep():
        other = open_database(path)
        with other.write() as connection:
            connection.execute(ledger.insert(), [row])
        other.close()
        written.set()

    with database.write(holder="nearer add"):
        waiting = threading.Thread(target=keep)
        waiting.start()
        assert not written.wait(0.5)
    waiting.join(timeout=30)
    assert written.is_set()
    assert "waits for nearer add" in caplog.text
    with database.read() as reader:
        assert reader.scalar(sa.select(sa.func.count()).select_from(ledger)) == 1
    database.close()


def test_references_are_enforced_and_commits_durable(path):
    database = open_database(path)
    with database.read() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("foreign_keys", "synchronous")]
    assert pragmas == [1, 2]
    database.close()


def schema_of(connection):
    """Tables, columns with type and nullability, keys and unique constraints, as the database itself tells them."""
    inspector = sa.inspect(connection)
    found = {}
    for table in inspector.get_table_names():
        columns = [
            (each["name"], str(each["type"]), each["nullable"], each["primary_key"])
            for each in inspector.get_columns(table)
        ]
        references = sorted(
            (each["constrained_columns"], each["referred_table"], each["referred_columns"])
            for each in inspector.get_foreign_keys(table)
        )
        unique = sorted(each["column_names"] for each in inspector.get_unique_constraints(table))
        found[table] = (columns, references, unique, inspector.get_indexes(table))
    return found


def test_a_new_database_has_the_tables_that_the_code_uses(path):
    database = open_database(path)
    live = sa.create_engine("sqlite://")
    metadata.create_all(live)
    with database.read() as migrated, live.connect() as wanted:
        assert schema_of(migrated) == schema_of(wanted)
    live.dispose()
    database.close()
