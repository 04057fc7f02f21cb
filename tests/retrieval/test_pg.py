"""What only the index in PostgreSQL does: its address, its settings, rows by version, copies of a folder, damage."""

import shutil
from datetime import timedelta

import numpy as np
import pytest

from nearer.core.errors import InputError, WorkspaceError
from nearer.retrieval import manifest as manifests
from nearer.retrieval.index import open_index, remove_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import MANIFEST, read_manifest
from nearer.retrieval.pg_server import Server, chosen_server
from retrieval.making import FIRST, POLICIES, SPACE, brute_force, build, entries, numbered, queries, same_ranking

POLICY = POLICIES["pgvector"]
PROBED = POLICIES["pgvector with a vector index"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def tables(postgres):
    """The tables that there are, of all tests."""
    psycopg = pytest.importorskip("psycopg")

    def found():
        with psycopg.connect(postgres.get_uri()) as connection:
            statement = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'nearer%'"
            return {name for (name,) in connection.execute(statement).fetchall()}

    return found


def test_the_server_outlives_other_sessions_of_pytest(postgres, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    for each in tmp_path.parents:
        if each.name.startswith("pytest-"):
            each.chmod(0o700)  # as every session leaves the folder that all share
    with psycopg.connect(postgres.get_uri()) as connection:
        connection.execute("CHECKPOINT")


def update(folder, *changed, removed=(), revision=2, policy=POLICY):
    index = open_index(folder, space_id=SPACE)
    return update_index(folder, index, removed=removed, changed=changed, policy=policy, revision=revision)


def holds(index, parts):
    found = index.search(queries(), space_id=SPACE, k=50)
    exact = [brute_force(parts, query_D, k=50) for query_D in queries()]
    return all(map(same_ranking, found, exact))


def test_the_manifest_has_the_address_without_a_password(folder, postgres_url, monkeypatch):
    with_password = postgres_url.replace("postgres:@", "postgres:s3cret-word@")
    monkeypatch.setenv("NEARER_POSTGRES_URL", with_password)
    build(folder, POLICY, FIRST)
    assert "s3cret-word" not in (folder / MANIFEST).read_text()
    monkeypatch.delenv("NEARER_POSTGRES_URL")
    assert holds(open_index(folder, space_id=SPACE), [FIRST]), "the manifest knows where it is"


@pytest.mark.parametrize(("url", "said"), [(None, "needs the address"), ("no address of any", "is no address")])
def test_without_an_address_it_says_how_to_name_one(monkeypatch, url, said):
    monkeypatch.delenv("NEARER_POSTGRES_URL", raising=False)
    with pytest.raises(InputError, match=said) as caught:
        chosen_server(url)
    assert "postgresql://USER@HOST/DATABASE" in caught.value.hint


def test_a_server_that_is_away_is_reported_without_the_password(folder, postgres_url, monkeypatch):
    build(folder, POLICY, FIRST)
    monkeypatch.setenv("NEARER_POSTGRES_URL", "postgresql://me:s3cret-word@127.0.0.1:9/none")
    with pytest.raises(WorkspaceError) as caught:
        open_index(folder, space_id=SPACE)
    assert "s3cret-word" not in f"{caught.value.message} {caught.value.hint}"
    assert "NEARER_POSTGRES_URL" in caught.value.hint


def test_iterative_scans_are_on_in_every_connection(folder, postgres_url):
    server = Server(folder, postgres_url)
    with server.transaction() as connection:
        assert connection.execute("SHOW hnsw.iterative_scan").fetchone() == ("strict_order",)
    server.close()


def test_the_vector_index_is_what_answers(folder, postgres_url):
    num = 3000
    rng = np.random.default_rng(0)
    index = build(folder, PROBED, entries(numbered(num), sizes=[1] * num))
    assert index.manifest.recall.value >= 0.98
    vector_D = rng.normal(size=16).astype(np.float32)
    with index.server.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                f"EXPLAIN SELECT doc_id FROM {index.table} WHERE since <= 1 AND (until IS NULL OR until > 1) "
                "ORDER BY (embedding::halfvec(16)) <#> %s::halfvec(16) LIMIT 10",
                [vector_D],
            )
        )
    assert f"{index.table}_hnsw" in plan


def test_a_copy_of_the_folder_reads_the_table_and_never_writes_it(folder, postgres_url, tables, tmp_path):
    build(folder, POLICY, FIRST)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert holds(open_index(copy, space_id=SPACE), [FIRST])
    [fault] = open_index(copy, space_id=SPACE).damage()
    assert "another folder's" in fault
    second = entries(numbered(9), seed=5)
    build(copy, POLICY, second, revision=2)
    assert holds(open_index(copy, space_id=SPACE), [second])
    assert holds(open_index(folder, space_id=SPACE), [FIRST])
    mine, other = (read_manifest(each, space_id=SPACE).current.table for each in (folder, copy))
    remove_index(copy, space_id=SPACE)
    assert mine in tables()
    assert other not in tables()


def test_rows_and_tables_go_when_no_reader_can_hold_them(folder, postgres_url, tables, monkeypatch):
    build(folder, POLICY, FIRST)
    made = update(folder, entries(numbered(30)[:9], seed=1))
    counted = f"SELECT count(*) FROM {made.table}"
    with made.server.transaction() as connection:
        [(num_rows,)] = connection.execute(counted).fetchall()
    assert num_rows > made.manifest.num_passages, "what a reader may hold stays"
    monkeypatch.setattr(manifests, "HELD", timedelta(0))
    made = update(folder, entries(numbered(30)[:9], seed=2), revision=3)
    made = update(folder, entries(numbered(30)[:9], seed=3), revision=4)
    with made.server.transaction() as connection:
        [(num_rows,)] = connection.execute(f"SELECT count(*) FROM {made.table} WHERE until < 3").fetchall()
    assert num_rows == 0
    before, exact = made.table, IndexPolicy(kind="exact")
    build(folder, exact, FIRST, revision=5)
    assert before in tables(), "what was just replaced may be held"
    update(folder, entries(numbered(30)[:9], seed=4), revision=6, policy=exact)
    assert before not in tables()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE {} SET crc = crc + 1 WHERE ordinal = 0", "vectors are not what was written"),
        ("DELETE FROM {} WHERE ordinal = 0", "holds other rows than were written"),
        ("DROP TABLE {}", "is gone"),
    ],
)
def test_damage_is_found(folder, postgres_url, change, said):
    index = build(folder, POLICY, FIRST)
    with index.server.transaction() as connection:
        connection.execute(change.format(index.table))
    try:
        reported = " ".join(open_index(folder, space_id=SPACE).damage())
    except WorkspaceError as error:
        reported = error.message
    assert said in reported


def test_many_threads_ask_at_once(folder, postgres_url):
    from concurrent.futures import ThreadPoolExecutor

    index = build(folder, PROBED, FIRST)
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(lambda _: holds(index, [FIRST]), range(24)))
