import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from nearer.core.errors import WorkspaceBusy, WorkspaceError
from nearer.store import database as either
from nearer.store import migrations, schema
from nearer.store.database import open_database
from nearer.store.tables import ledger, metadata


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sqlite"


@pytest.fixture
def later(tmp_path, monkeypatch):
    """``later(body)``: this program one revision on, whose upgrade does that."""

    def add(body):
        folder = Path(shutil.copytree(migrations.FOLDER, tmp_path / "migrations"))
        text = f'import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = "0002", "0001"\n{body}\n'
        (folder / "versions" / "r0002_later.py").write_text(text)
        monkeypatch.setattr(migrations, "FOLDER", folder)
        monkeypatch.setattr(migrations, "HEAD", "0002")

    return add


def state(address):
    """The revision, and whether the later column is there."""
    database = open_database(address)
    with database.read() as connection:
        columns = {each["name"] for each in sa.inspect(connection).get_columns("ledger")}
        found = connection.scalar(sa.select(schema.version.c.version_num)), "later" in columns
    database.close()
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, path):
    """Where a new database may be, whose tables may be changed."""
    return path if request.param == "sqlite" else request.getfixturevalue("postgres_schema")


def test_a_revision_is_applied_once_and_alembic_loaded_by_it_alone(address, later):
    assert state(address) == ("0001", False)
    later(
        "def upgrade():\n    op.add_column('ledger', sa.Column('later', sa.Text, server_default='x'))\n"
        "    op.execute(\"INSERT INTO ledger (at, split, systems, purpose) VALUES ('', 'test', '[]', '')\")"
    )
    assert state(address) == state(address) == ("0002", True)
    database = open_database(address)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT split, later FROM ledger")).all() == [("test", "x")]
    database.close()


def test_a_revision_that_fails_leaves_the_database_of_before(address, later):
    assert state(address) == ("0001", False)
    with pytest.MonkeyPatch.context() as patch:
        later(
            "def upgrade():\n    op.add_column('ledger', sa.Column('later', sa.Text))\n"
            "    raise RuntimeError('power cut')"
        )
        with pytest.raises(RuntimeError, match="power cut"):
            open_database(address)
        patch.setattr(migrations, "HEAD", "0001")
        assert state(address) == ("0001", False)


def test_the_revisions_make_the_tables_that_the_code_uses(address):
    database = open_database(address)
    with database.read() as connection:
        wanted = schema_of(connection)
    with database.write() as connection:
        metadata.drop_all(connection)
        schema.version.drop(connection)
        migrations.upgrade(connection)
    with database.read() as connection:
        assert schema_of(connection) == wanted
    database.close()
    script = ScriptDirectory(str(migrations.FOLDER))
    assert script.get_current_head() == migrations.HEAD
    assert {each.revision for each in script.walk_revisions()} == migrations.known_revisions()


def test_a_database_from_before_alembic_is_of_the_first_revision(path, later):
    open_database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE alembic_version")
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO migrations VALUES ('m001_first_release')")
    open_database(path).close()
    later("def upgrade():\n    op.add_column('ledger', sa.Column('later', sa.Text))")
    assert state(path) == ("0002", True)


def test_a_database_from_the_future_is_refused(address):
    database = open_database(address)
    with database.write() as connection:
        connection.execute(schema.version.update().values(version_num="9998"))
    database.close()
    with pytest.raises(WorkspaceError, match="its tables are '9998'") as caught:
        open_database(address)
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
            (each["name"], str(each["type"]), each["nullable"], each["default"])
            for each in inspector.get_columns(table)
        ]
        references = sorted(
            (each["constrained_columns"], each["referred_table"], each["referred_columns"])
            for each in inspector.get_foreign_keys(table)
        )
        unique = sorted(each["column_names"] for each in inspector.get_unique_constraints(table))
        key = inspector.get_pk_constraint(table)["constrained_columns"]
        found[table] = (columns, key, references, unique, inspector.get_indexes(table))
    return found
