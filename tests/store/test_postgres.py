"""What is PostgreSQL's own: what it refuses, servers that go and come, and locks that go with their processes."""

import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from forked import die_at
from nearer.core.errors import InputError, NearerError, WorkspaceBusy, WorkspaceError
from nearer.core.records import Document
from nearer.flows.add import add
from nearer.store import changing
from nearer.store import database as either
from nearer.store.collection import Collection
from nearer.store.database import open_database
from nearer.store.tables import ledger
from nearer.store.workspace import Workspace
from store.postgres_work import enter_a_look, hold_a_lease, import_a_document

LOOK = {"at": "now", "split": "test", "systems": [], "purpose": "x"}
NUM_LOOKS = sa.select(sa.func.count()).select_from(ledger)


@pytest.fixture
def database(postgres_store):
    database = open_database(postgres_store)
    yield database
    database.close()


def put(database, *documents):
    with database.write() as connection:
        return changing.put_documents(connection, documents)


def until(is_so):
    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about in 10 s")


def sessions(address, pattern="nearer%"):
    with psycopg.connect(address, autocommit=True) as connection:
        statement = "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE %s"
        return connection.execute(statement, (pattern,)).fetchall()


def end_session(address, pid):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@pytest.mark.parametrize("text", ["a\0b", "\0", "\uffff", "\uffff0\0\uffff1", "x" * 3_000_000, "𝄞 ü \u200d"])
def test_texts_come_back_as_they_were(database, text):
    document = Document(doc_id="a", title=text[:10], text=text, metadata={"note": text[:10]})
    assert put(database, document).num_added == 1
    assert Collection(database).documents() == [document]
    assert put(database, document).num_unchanged == 1


def test_ids_come_in_the_order_of_their_bytes(database):
    ids = ["b", "a", "B", "ä", "Z", "_", "-", "é", "10", "9", "\U0001f600", "\ufb01"]
    put(database, *(Document(doc_id=each, text="x") for each in ids))
    ordered = sorted(ids, key=str.encode)
    assert [each.doc_id for each in Collection(database).documents()] == ordered
    assert [each.doc_id for each in Collection(database).each_document()] == ordered


def test_a_reader_sees_one_state_and_writes_nothing(database):
    with database.read() as reader:
        assert reader.scalar(NUM_LOOKS) == 0
        with database.write() as writer:
            writer.execute(ledger.insert(), [LOOK])
        assert reader.scalar(NUM_LOOKS) == 0
    with pytest.raises(WorkspaceError, match="read-only"), database.read() as reader:
        reader.execute(ledger.insert(), [LOOK])


def test_a_writer_waits_as_long_as_it_was_told_and_says_for_whom(database, postgres_store, monkeypatch, caplog):
    monkeypatch.setattr(either, "PATIENCE_S", 0.1)
    other, written = open_database(postgres_store), threading.Event()

    def write():
        with other.write() as connection:
            connection.execute(ledger.insert(), [LOOK])
        written.set()

    with database.write(holder="nearer add"):
        with pytest.raises(WorkspaceBusy, match=r"busy with nearer add \(process"), other.write(wait_s=0.1):
            pass
        waiting = threading.Thread(target=write)
        waiting.start()
        assert not written.wait(0.5)
    waiting.join(30)
    other.close()
    assert "waits for nearer add" in caplog.text
    with database.read() as reader:
        assert reader.scalar(NUM_LOOKS) == 1


def test_a_lease_is_one_persons_and_told_to_others(database, postgres_store):
    other = open_database(postgres_store)
    with database.lease("training-1", holder="nearer train"):
        assert "nearer train (process" in other.holder_of("training-1")
        with pytest.raises(WorkspaceBusy, match="nearer train"), other.lease("training-1", holder="x"):
            pass
        with other.lease("training-2", holder="x"):
            pass
    assert other.holder_of("training-1") is None
    other.close()


def test_a_lease_goes_with_the_process_that_was_killed(database, postgres_store):
    process = os.fork()
    if process == 0:
        hold_a_lease(postgres_store)
    until(lambda: database.holder_of("training-1"))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    until(lambda: database.holder_of("training-1") is None)
    with database.lease("training-1", holder="x"):
        pass


def test_killed_before_the_commit_nothing_is_there_and_nobody_waits(database, postgres_store):
    die_at("postgres.commit", enter_a_look, postgres_store)
    with database.write(wait_s=5) as connection:
        assert connection.scalar(NUM_LOOKS) == 0


def test_killed_after_its_rows_were_sent_an_import_left_nothing(tmp_path, postgres_store):
    folder = tmp_path / "shop"
    Workspace.init(folder, recipe={"store": {"url": postgres_store}}).close()
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"_id": "a", "text": "x"}\n')
    for step, found in (("postgres.staged", []), ("import.staged", []), ("import.commit", ["a"])):
        die_at(step, import_a_document, folder, file)
        with Workspace.open(folder) as workspace:
            assert [each.doc_id for each in workspace.collection.documents()] == found
            left = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'staged%%'"
            with workspace.database.read() as connection:
                assert connection.exec_driver_sql(left).scalar() == 0
    with Workspace.open(folder) as workspace:
        assert add(workspace, "corpus", file)["changes"]["documents"]["num_unchanged"] == 1


def test_a_server_that_ends_sessions_is_connected_to_anew(database, postgres_store):
    put(database, Document(doc_id="a", text="x"))
    for pid, _ in sessions(postgres_store):
        end_session(postgres_store, pid)
    assert Collection(database).counts()["documents"] == 1

    def cut_off():
        with database.write() as writer:
            writer.execute(ledger.insert(), [LOOK])
            end_session(postgres_store, writer.exec_driver_sql("SELECT pg_backend_pid()").scalar())
            writer.execute(ledger.insert(), [LOOK])

    with pytest.raises(WorkspaceError, match="cannot be written") as caught:
        cut_off()
    assert "nothing was changed" in caught.value.hint
    with database.read() as reader:
        assert reader.scalar(NUM_LOOKS) == 0


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("postgresql://me@127.0.0.1:1/shop", WorkspaceError, "cannot be opened"),
        ("postgresql://me:s3cret@127.0.0.1:1/shop", WorkspaceError, "cannot be opened"),
        ("postgresql://me:s3@cret@127.0.0.1:1/shop", InputError, "no address"),
        ("postgresql://me@127.0.0.1:s3cret/shop", InputError, "no address"),
        ("postgresql://me@127.0.0.1/shop?s3cret=1", InputError, "no address"),
        ("s3cret", InputError, "no address"),
    ],
)
def test_a_server_that_is_not_there_is_reported_without_a_password(address, error, said):
    with pytest.raises(error, match=said) as caught:
        open_database(address)
    assert caught.value.hint
    assert "cret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_a_database_of_others_is_refused_and_left_alone(postgres_schema):
    with psycopg.connect(postgres_schema, autocommit=True) as connection:
        connection.execute("CREATE TABLE documents (x integer)")
    with pytest.raises(WorkspaceError, match="not a database of Nearer's"):
        open_database(postgres_schema)


def test_vectors_may_lie_beside(postgres_schema):
    with psycopg.connect(postgres_schema, autocommit=True) as connection:
        connection.execute("CREATE TABLE nearer_enc_1 (x integer)")
    open_database(postgres_schema).close()


def test_an_empty_database_is_no_workspace_until_it_is_made_one(postgres_schema, tmp_path):
    with pytest.raises(WorkspaceError, match="holds no workspace yet") as caught:
        open_database(postgres_schema, creates=False)
    assert "nearer store copy" in caught.value.hint
    Workspace.init(tmp_path / "shop", recipe={"store": {"url": postgres_schema}}).close()
    with Workspace.open(tmp_path / "shop") as workspace:
        assert workspace.database.num_bytes > 0
        assert not (workspace.state / "control.sqlite").exists()


def test_a_schema_that_is_not_there(postgres_schema):
    with pytest.raises(WorkspaceError, match="search_path"):
        open_database(f"{postgres_schema}_absent")


def test_a_user_who_may_only_read_reads(database, postgres_store):
    put(database, Document(doc_id="a", text="x"))
    schema = postgres_store.rpartition("%3D")[2]
    with psycopg.connect(postgres_store, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reader'").fetchone():
            connection.execute("CREATE ROLE reader LOGIN")
        connection.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader"
        )
    reading = open_database(postgres_store.replace("postgres@", "reader@"))
    assert Collection(reading).counts()["documents"] == 1
    with pytest.raises(WorkspaceError, match="may only be read"):
        reading.refuse_read_only()
    with pytest.raises(WorkspaceError, match="permission denied"):
        put(reading, Document(doc_id="b", text="x"))
    reading.close()


def test_an_address_in_the_environment(postgres_store, tmp_path, monkeypatch):
    recipe = {"store": {"url": "$SHOP_DATABASE"}}
    with pytest.raises(InputError, match="the environment has no SHOP_DATABASE"):
        Workspace.init(tmp_path / "shop", recipe=recipe)
    monkeypatch.setenv("SHOP_DATABASE", postgres_store.replace("postgres@", "postgres:s3cret@"))
    Workspace.init(tmp_path / "shop").close()
    with Workspace.open(tmp_path / "shop") as workspace:
        assert "s3cret" not in workspace.database.name
    with pytest.raises(NearerError, match="without a password") as caught:
        Workspace.init(tmp_path / "other", recipe={"store": {"url": "postgresql://me:s3cret@db/shop"}})
    assert "s3cret" not in str(caught.value)


def test_a_server_that_checks_passwords_takes_the_right_one_from_the_environment(
    postgres, database, postgres_store, monkeypatch
):
    with psycopg.connect(postgres_store, autocommit=True) as connection:
        rules = Path(connection.execute("SHOW hba_file").fetchone()[0])
        connection.execute("DROP ROLE IF EXISTS checked; CREATE ROLE checked LOGIN SUPERUSER PASSWORD 'right-w0rd'")
        before = rules.read_text()
        rules.write_text(f"local all checked scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    address = postgres_store.replace("postgres@", "checked@")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    try:
        for password, said in ((None, "no password supplied"), ("wrong-w0rd", "password authentication failed")):
            if password:
                monkeypatch.setenv("PGPASSWORD", password)
            with pytest.raises(WorkspaceError, match=said) as caught:
                open_database(address)
            assert "PGPASSWORD" in caught.value.hint
            assert "w0rd" not in f"{caught.value} {caught.value.hint}"
        monkeypatch.setenv("PGPASSWORD", "right-w0rd")
        opened = open_database(address)
        put(opened, Document(doc_id="a", text="x"))
        opened.close()
    finally:
        rules.write_text(before)
        with psycopg.connect(postgres_store, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")


def test_what_an_index_cannot_hold_is_reported(database):
    with pytest.raises(WorkspaceError, match="cannot be written: index row"):
        put(database, Document(doc_id=os.urandom(4000).hex(), text="x"))
