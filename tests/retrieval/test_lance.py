"""What only the LanceDB index does: versions, writers side by side, damage, words, and recall."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forked import SERVER
from nearer.core.errors import WorkspaceError
from nearer.core.results.serving import Probes
from nearer.retrieval import lance_writer, manifest
from nearer.retrieval.index import open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.lance_table import open_table
from nearer.retrieval.manifest import read_manifest
from retrieval.making import (
    DIMENSION,
    SPACE,
    brute_force,
    build,
    entries,
    numbered,
    queries,
    same_ranking,
    write_four_times,
)

FLAT = IndexPolicy(kind="lancedb")
PROBED = IndexPolicy(kind="lancedb", exact_up_to=0, num_recall_queries=12)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


def update(folder, policy=FLAT, *, removed=(), changed=(), revision=2):
    index = open_index(folder, space_id=SPACE)
    return update_index(folder, index, removed=removed, changed=changed, policy=policy, revision=revision)


def table_of(folder):
    return open_table(folder, read_manifest(folder, space_id=SPACE).current)


def clustered(num, *, seed=0):
    """Documents in clusters, as real ones are, which is what a vector index is for."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(num // 20, DIMENSION))
    vectors = centres[rng.integers(0, len(centres), num)] + 0.5 * rng.normal(size=(num, DIMENSION))
    return entries(
        numbered(num), seed=seed, vectors=vectors / np.linalg.norm(vectors, axis=1)[:, None], sizes=[1] * num
    )


# Versions


def test_what_a_killed_writer_left_is_undone_by_the_next(folder):
    first, second = entries(numbered(30)), entries(numbered(5), seed=1)
    build(folder, FLAT, first)
    table = table_of(folder)
    from lancedb.expr import col

    table.delete(col("doc_id").isin(numbered(20)))  # a writer that dies before its manifest
    table.add(table.to_arrow())
    reader = open_index(folder, space_id=SPACE)
    assert reader.damage() == ()
    assert len(reader.hashes()) == 30
    made = update(folder, changed=[second])
    assert made.damage() == ()
    left = first.take(range(5, 30))
    for query_D, found in zip(queries(), made.search(queries(), space_id=SPACE, k=30), strict=True):
        assert same_ranking(found, brute_force([left, second], query_D, k=30))


def test_old_versions_and_tables_go_when_no_reader_can_hold_them(folder, monkeypatch):
    build(folder, FLAT, entries(numbered(30)))
    oldest = open_index(folder, space_id=SPACE)
    for revision in range(2, 6):
        update(folder, changed=[entries(numbered(9), seed=revision)], revision=revision)
    kept = read_manifest(folder, space_id=SPACE)
    assert len(kept.retired) == 4
    versions = {each["version"] for each in table_of(folder).list_versions()}
    assert versions >= {each.version for each in (*kept.retired, kept.current)}
    assert oldest.damage() == ()
    build(folder, FLAT, entries(numbered(30)), revision=6)
    assert len(list(folder.glob("*.lance"))) == 2
    assert oldest.damage() == ()

    monkeypatch.setattr(manifest, "HELD", timedelta(0))
    made = update(folder, changed=[entries(numbered(9), seed=9)], revision=7)
    assert len(made.manifest.retired) == 1, "only what this very update replaced"
    assert len(list(folder.glob("*.lance"))) == 1
    update(folder, changed=[entries(numbered(9), seed=10)], revision=8)
    assert len(update(folder, revision=9).manifest.retired) == 0


def test_a_week_old_version_that_is_current_survives_the_next_update(folder, monkeypatch):
    """The store removes versions of more than seven days whenever it optimises, unless it is told not to."""
    build(folder, FLAT, entries(numbered(30)))
    asked = []
    from lancedb.table import LanceTable

    optimize = LanceTable.optimize

    def noted(self, **options):
        asked.append(options["cleanup_older_than"])
        optimize(self, **options)

    monkeypatch.setattr(LanceTable, "optimize", noted)
    monkeypatch.setattr(lance_writer, "write_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        update(folder, changed=[entries(numbered(9), seed=1)])
    assert asked
    assert min(asked) > timedelta(days=3650)
    assert len(open_index(folder, space_id=SPACE).hashes()) == 30


def test_updates_keep_every_row_in_the_vector_index(folder, monkeypatch):
    monkeypatch.setattr(lance_writer, "_MOST_DELTAS", 3)
    build(folder, PROBED, clustered(400))
    for revision in range(2, 8):
        update(folder, PROBED, changed=[clustered(400, seed=revision).take(range(40))], revision=revision)
        statistics = table_of(folder).index_stats("vector_idx")
        assert statistics.num_unindexed_rows == 0
        assert statistics.num_indices <= 4


# Writers side by side


@pytest.mark.slow
def test_processes_that_write_the_same_keys_at_once_never_duplicate_one(folder):
    build(folder, FLAT, entries(numbered(25)))
    begin, outcomes = SERVER.Barrier(3, timeout=120), SERVER.Queue()
    writers = [SERVER.Process(target=write_four_times, args=(folder, seed, begin, outcomes)) for seed in range(3)]
    for writer in writers:
        writer.start()
    reported = [each for _ in writers for each in outcomes.get(timeout=120)]
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    assert "written" in reported
    assert any("busy with nearer index (process " in each or "changed while" in each for each in reported)
    index = open_index(folder, space_id=SPACE)
    assert index.damage() == ()
    assert index.hashes().keys() == set(numbered(25))
    seeds = {each.partition("-")[0] for doc_id, each in index.hashes().items() if doc_id in numbered(20)}
    assert len(seeds) == 1, "one writer's rows, not a mixture"


def test_rows_that_are_there_twice_are_reported(folder):
    build(folder, FLAT, entries(numbered(10), sizes=[1] * 10))
    table = table_of(folder)
    table.add(table.search().limit(3).to_arrow())  # what two writers without a lease would do
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["current"]["version"] = table.version
    content["num_passages"] = 13
    path.write_text(json.dumps(content))
    faults = open_index(folder, space_id=SPACE).damage()
    assert faults[0] == "3 passages are in the index twice"


# Damage


def files(folder, kind):
    return sorted(folder.glob(f"*.lance/{kind}/*"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("kind", ["data", "_versions"])
@pytest.mark.parametrize("damage", ["missing", "short", "empty"])
def test_damaged_tables_are_refused_or_reported(folder, kind, damage):
    build(folder, FLAT, entries(numbered(50)))
    for path in files(folder, kind):
        data = path.read_bytes()
        match damage:
            case "missing":
                path.unlink()
            case "short":
                path.write_bytes(data[: len(data) // 2])
            case "empty":
                path.write_bytes(b"")
    with pytest.raises(WorkspaceError, match=r"passages-1\.lance: cannot be read") as caught:
        open_index(folder, space_id=SPACE).damage()
    assert "rebuild: nearer index" in caught.value.hint


def test_one_bit_of_a_vector_is_reported(folder):
    part = entries(numbered(50))
    build(folder, FLAT, part)
    data = files(folder, "data")[-1]
    content = bytearray(data.read_bytes())
    content[content.find(part.vectors_PD[7].tobytes()) + 1] ^= 1
    data.write_bytes(content)
    assert open_index(folder, space_id=SPACE).damage() == ("1 vectors are not what was written",)


def test_a_table_that_is_gone_is_reported(folder):
    build(folder, FLAT, entries(numbered(5)))
    (folder / "passages-1.lance").rename(folder / "elsewhere")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        open_index(folder, space_id=SPACE)


def found(ranking):
    return [doc_id for doc_id, _ in ranking]


# Recall


def test_the_cheapest_probes_that_reach_the_recall_are_written_with_it(folder):
    part = clustered(2000)
    made = build(folder, replace(PROBED, num_recall_queries=50, queries=lambda: queries(30)), part)
    recall = made.manifest.recall
    assert (recall.k, recall.num_queries, recall.measured_on) == (10, 30, "queries")
    assert recall.value >= 0.98
    assert made.manifest.probes in lance_writer.LADDER
    assert open_index(folder, space_id=SPACE).manifest == made.manifest
    shares = [
        len(set(found(mine)) & set(found(brute_force([part], query_D, k=10)))) / 10
        for mine, query_D in zip(made.search(queries(30), space_id=SPACE, k=10), queries(30), strict=True)
    ]
    assert np.mean(shares) == pytest.approx(recall.value, abs=1e-9)
    assert made.recall(queries(30)) == recall
    assert made.recall(queries(5, seed=9)).num_queries == 5


def test_recall_that_cannot_be_reached_is_reported_and_measured_again_by_the_next_update(folder, monkeypatch):
    monkeypatch.setattr(lance_writer, "LADDER", (Probes(nprobes=1, refine=1),))
    rng = np.random.default_rng(0)
    part = entries(numbered(3000), vectors=rng.normal(size=(3000, DIMENSION)), sizes=[1] * 3000)
    made = build(folder, PROBED, part)
    short = PROBED.shortfall(made.manifest)
    assert short.startswith("recall@10 against exact search is 0.")
    assert short.endswith("on 12 passages, below index.min_recall = 0.98")
    assert replace(PROBED, min_recall=0.0).shortfall(made.manifest) is None
    monkeypatch.setattr(lance_writer, "LADDER", (Probes(nprobes=1, refine=1), Probes(nprobes=50, refine=50)))
    again = update(folder, PROBED)
    assert PROBED.shortfall(again.manifest) is None
    assert again.manifest.probes == Probes(nprobes=50, refine=50)


@pytest.mark.parametrize("dimension", [3, 20, 33])
def test_dimensions_that_cannot_be_quantised_are_indexed_all_the_same(folder, dimension):
    rng = np.random.default_rng(0)
    part = entries(numbered(300), vectors=rng.normal(size=(300, dimension)), sizes=[1] * 300)
    made = build(folder, PROBED, part)
    assert made.manifest.recall.value >= 0.98
    query_D = rng.normal(size=dimension).astype(np.float32)
    assert same_ranking(made.search([query_D], space_id=SPACE, k=5)[0], brute_force([part], query_D, k=5))
