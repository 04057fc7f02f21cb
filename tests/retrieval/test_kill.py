"""A writer killed at any durable step leaves the index of before or the new one, and can be repeated."""

import pytest

from forked import die_apart_at
from nearer.retrieval.index import open_index
from retrieval.making import (
    AFTER,
    FIRST,
    POLICIES,
    SECOND,
    SPACE,
    brute_force,
    build,
    build_second,
    queries,
    same_ranking,
    update,
)

STEPS = {
    "exact": ("vectors", "passages", "manifest", "cleanup"),
    "lancedb": ("rows", "rows:2", "rows:3", "rows:4", "rows:5", "table", "manifest", "cleanup"),
    "pgvector": ("rows", "rows:2", "table", "manifest", "cleanup"),
}
EVERY = [(kind, step) for kind, steps in STEPS.items() for step in steps]


def holds(index, parts):
    found = index.search(queries(), space_id=SPACE, k=50)
    exact = [brute_force(parts, query_D, k=50) for query_D in queries()]
    return index.damage() == () and all(map(same_ranking, found, exact))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "step"), EVERY)
def test_an_update(tmp_path, postgres_url, kind, step):
    build(tmp_path, POLICIES[kind], FIRST)
    reader = open_index(tmp_path, space_id=SPACE)
    die_apart_at(f"index.{step}", update, tmp_path, kind)
    is_new = step in ("manifest", "cleanup")
    opened = open_index(tmp_path, space_id=SPACE)
    assert holds(opened, AFTER if is_new else [FIRST])
    assert opened.manifest.revision == (2 if is_new else 1)
    assert holds(reader, [FIRST])
    assert holds(update(tmp_path, kind), AFTER)
    assert holds(open_index(tmp_path, space_id=SPACE), AFTER)
    assert not list(tmp_path.glob(".tmp-*"))


BESIDE = [
    ("lancedb", "exact", "manifest"),
    ("lancedb", "exact", "cleanup"),
    ("exact", "lancedb", "rows"),
    ("exact", "lancedb", "manifest"),
    ("lancedb", "lancedb", "table"),
    ("lancedb", "lancedb", "cleanup"),
    ("exact", "pgvector", "rows"),
    ("exact", "pgvector", "table"),
    ("pgvector", "pgvector", "table"),
    ("pgvector", "pgvector", "cleanup"),
    ("pgvector", "exact", "manifest"),
    ("pgvector", "lancedb", "manifest"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "kind", "step"), BESIDE)
def test_a_build_beside_an_index_of_either_kind(tmp_path, postgres_url, before, kind, step):
    build(tmp_path, POLICIES[before], FIRST)
    die_apart_at(f"index.{step}", build_second, tmp_path, kind, postgres_url)
    is_new = step in ("manifest", "cleanup")
    assert holds(open_index(tmp_path, space_id=SPACE), SECOND if is_new else [FIRST])
    assert holds(build_second(tmp_path, kind), SECOND)
    assert holds(open_index(tmp_path, space_id=SPACE), SECOND)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "manifest.json",
        "writer.holder",
        "writer.lock",
        *open_index(tmp_path, space_id=SPACE).manifest.names,
    }
