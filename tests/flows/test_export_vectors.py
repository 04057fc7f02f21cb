"""Vectors leave with their space: what another store loads ranks as the index here does."""

import json
import subprocess
from urllib.parse import urlsplit

import numpy as np
import pytest

from folders import write_jsonl
from nearer.flows.add import add
from nearer.flows.index import index
from nearer.retrieval.index import open_index
from nearer.serving.searcher import Searcher
from nearer.store.workspace import Workspace
from nearer.systems import open_system

HOSTILE = ["back\\slash", "quote's \"", "\\.", "\\N", "é 語", "; DROP TABLE x; --"]


@pytest.fixture
def workspace(base_live, tmp_path):
    rows = [{"_id": doc_id, "text": f"rain on the harbour {n} " * 40} for n, doc_id in enumerate(HOSTILE)]
    with Workspace.open(base_live) as opened:
        add(opened, "corpus", write_jsonl(tmp_path / "hostile.jsonl", rows))
        index(opened)
        yield opened


@pytest.fixture
def queries_QD(workspace):
    texts = [query.text for query in workspace.collection.queries("dev")[:12]] + ["rain on the harbour 3"]
    return open_system(workspace, "live").encoder.encode_queries(texts)


def indexed(workspace):
    space_id = workspace.registry.live().space_id
    return open_index(workspace.indexes / space_id, space_id=space_id)


def best(workspace, queries_QD, k=10):
    """What the index here finds: documents with their scores."""
    return indexed(workspace).search(queries_QD, space_id=workspace.registry.live().space_id, k=k)


def test_parquet_holds_every_passage_of_the_index_and_names_its_space(workspace, ask, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    reported = ask(workspace.folder, "export", "vectors", tmp_path / "v.parquet")
    live, here = workspace.registry.live(), indexed(workspace)
    assert (reported["space_id"], reported["store"]) == (live.space_id, "parquet")
    assert reported["num_vectors"] == here.manifest.num_passages > reported["num_documents"]
    table = pq.read_table(tmp_path / "v.parquet")
    said = {key.decode(): value.decode() for key, value in table.schema.metadata.items() if key.startswith(b"nearer.")}
    assert said["nearer.space_id"] == live.space_id
    assert said["nearer.query_encoder_id"] == workspace.registry.model(live.model_id).encoder_id
    assert said["nearer.chunking"] == here.manifest.spec.chunking
    assert set(table["space_id"].to_pylist()) == {live.space_id}
    rows = table.to_pylist()
    for doc_id, stored in here.stored([*HOSTILE, "d007"]).items():
        mine = sorted((row for row in rows if row["doc_id"] == doc_id), key=lambda row: row["ordinal"])
        assert np.array_equal(np.array([row["vector"] for row in mine], np.float32), stored.emb_PD)
        text = workspace.collection.documents([doc_id])[0].full_text
        assert [row["ordinal"] for row in mine] == list(range(len(mine)))
        assert mine[0]["start"] == 0
        assert mine[-1]["end"] <= len(text)


@pytest.mark.slow
def test_pgvector_finds_what_the_index_finds_and_follows_it(workspace, ask, postgres, queries_QD, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    psql = postgres.bin_path / "psql"

    def load():
        (tmp_path / "v.sql").unlink(missing_ok=True)
        ask(workspace.folder, "export", "vectors", "live", tmp_path / "v.sql", "--store", "pgvector")
        command = [psql, postgres.get_uri(), "--set", "ON_ERROR_STOP=1", "--quiet", "--file", tmp_path / "v.sql"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def found(connection, table):
        ranking = f"SELECT doc_id, max(-(embedding <#> %s::vector)) AS score FROM {table} GROUP BY doc_id"
        return [
            connection.execute(
                f"{ranking} ORDER BY score DESC, doc_id DESC LIMIT 10", [str(vector_D.tolist())]
            ).fetchall()
            for vector_D in queries_QD
        ]

    space_id = workspace.registry.live().space_id
    table = f"nearer_{space_id.replace('-', '_')}"
    for turn in range(3):  # the same again; then with documents changed, added and removed
        if turn == 2:
            rows = [{"_id": "back\\slash", "text": "snow"}, {"_id": "new", "text": "rain on the harbour 3"}]
            add(workspace, "corpus", write_jsonl(tmp_path / "more.jsonl", rows))
            ask(workspace.folder, "remove", "\\.")
            index(workspace)
        load()
        with psycopg.connect(postgres.get_uri()) as connection:
            for mine, other in zip(best(workspace, queries_QD), found(connection, table), strict=True):
                assert [score for _, score in other] == pytest.approx([score for _, score in mine], abs=1e-5)
                known = dict(mine)
                assert all(abs(known[doc_id] - score) < 1e-5 for doc_id, score in other if doc_id in known)
            [(number,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
            assert number == indexed(workspace).manifest.num_passages
            connection.execute("SET enable_seqscan = off")
            connection.execute("SET hnsw.iterative_scan = strict_order")
            near = f"SELECT doc_id FROM {table} ORDER BY embedding <#> %s::vector LIMIT 10"
            assert len(connection.execute(near, [str(queries_QD[0].tolist())]).fetchall()) == 10
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"UPDATE {table} SET space_id = 'another'")


@pytest.mark.parametrize("store", ["qdrant", "opensearch"])
def test_requests_carry_all_vectors_and_their_space(workspace, ask, tmp_path, queries_QD, store):
    """They are read as the store's interface describes them; no server was asked."""
    file = tmp_path / "v.jsonl"
    reported = ask(workspace.folder, "export", "vectors", "base", file, "--store", store)
    first, *others = [json.loads(line) for line in file.read_text().splitlines()]
    name = f"nearer-{reported['space_id']}"
    made = json.loads(first["body"])
    assert (first["method"], urlsplit(first["path"]).path.rpartition("/")[2]) == ("PUT", name)
    points = {}
    for each in others:
        bodies = [json.loads(line) for line in each["body"].splitlines()]
        if store == "qdrant" and each["path"].endswith("/points?wait=true"):
            points |= {each["id"]: (each["payload"], each["vector"]) for each in bodies[0]["points"]}
        elif store == "opensearch":
            assert each["content_type"] == "application/x-ndjson"
            assert each["body"].endswith("\n")
            for action, fields in zip(bodies[::2], bodies[1::2], strict=True):
                assert action["index"]["_index"] == name
                points[action["index"]["_id"]] = (fields, fields["embedding"])
                assert set(fields) <= set(made["mappings"]["properties"]), "the mapping is strict"
    dimension = (
        made["vectors"]["size"] if store == "qdrant" else made["mappings"]["properties"]["embedding"]["dimension"]
    )
    assert dimension == reported["dimension"]
    assert len(points) == reported["num_vectors"] == indexed(workspace).manifest.num_passages
    assert {fields["space_id"] for fields, _ in points.values()} == {reported["space_id"]}
    scores = {}
    for fields, vector in points.values():
        score = float(np.dot(np.array(vector, np.float32), queries_QD[0]))
        scores[fields["doc_id"]] = max(score, scores.get(fields["doc_id"], -1.0))
    ranked = sorted(scores.values(), reverse=True)[:10]
    assert ranked == pytest.approx([score for _, score in best(workspace, queries_QD)[0]], abs=1e-5)


def test_the_same_export_again_is_the_same_file(workspace, ask, tmp_path):
    for name in ("a", "b"):
        ask(workspace.folder, "export", "vectors", tmp_path / name, "--store", "qdrant")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["live", "v", "--store", "chroma"], "no store 'chroma'"),
        (["bm25", "v"], "has no vectors"),
        (["model-0", "v"], "no system 'model-0'"),
        (["no/v"], "cannot be written"),
        (["live", "v", "w"], "too many names"),
    ],
)
def test_what_cannot_be_exported_is_refused(workspace, ask, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    error = ask(workspace.folder, "export", "vectors", *arguments, code=2)["error"]
    assert said in error["message"]
    assert not (tmp_path / "v").exists()


def test_a_searcher_of_the_same_release_is_what_may_ask(workspace, ask, tmp_path):
    """The encoder whose id the file names answers in the space that it names."""
    reported = ask(workspace.folder, "export", "vectors", tmp_path / "v.parquet")
    with Searcher.open(workspace) as searcher:
        assert searcher.served.system.encoder.space_id == reported["space_id"]
