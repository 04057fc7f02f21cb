"""A writer killed at any durable step leaves the index of before or the new one, and can be repeated."""

import os
import signal
import subprocess
import sys

import pytest

from nearer.retrieval.index import open_index, update_index
from retrieval.making import POLICIES, SPACE, brute_force, build, entries, numbered, queries, same_ranking

WRITE = """
import sys
from pathlib import Path
from retrieval.making import POLICIES
from retrieval.test_kill import build_second, update
folder, kind, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
{"update": update, "build": build_second}[what](folder, POLICIES[kind])
"""
STEPS = {
    "exact": ("vectors", "passages", "manifest", "cleanup"),
    "lancedb": ("rows", "rows:2", "rows:3", "rows:4", "rows:5", "table", "manifest", "cleanup"),
}
EVERY = [(kind, step) for kind, steps in STEPS.items() for step in steps]
FIRST = entries(numbered(30))
EDITED = [entries([*numbered(30)[5:15], "new"], seed=1), entries(numbered(30)[18:20], seed=2)]
REMOVED = numbered(30)[20:25]
AFTER = [FIRST.take([*range(20), *range(25, 30)]), *EDITED]
SECOND = [entries(numbered(12), seed=3), entries(numbered(12, "e"), seed=4)]


def update(folder, policy):
    index = open_index(folder, space_id=SPACE)
    return update_index(folder, index, removed=REMOVED, changed=EDITED, policy=policy, revision=2)


def build_second(folder, policy):
    return build(folder, policy, *SECOND, revision=2)


def kill(folder, kind, step, what):
    environment = {**os.environ, "NEARER_DIE_AT": f"index.{step}", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", WRITE, str(folder), kind, what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def holds(index, parts):
    found = index.search(queries(), space_id=SPACE, k=50)
    exact = [brute_force(parts, query_D, k=50) for query_D in queries()]
    return index.damage() == () and all(map(same_ranking, found, exact))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "step"), EVERY)
def test_an_update(tmp_path, kind, step):
    build(tmp_path, POLICIES[kind], FIRST)
    reader = open_index(tmp_path, space_id=SPACE)
    kill(tmp_path, kind, step, "update")
    is_new = step in ("manifest", "cleanup")
    opened = open_index(tmp_path, space_id=SPACE)
    assert holds(opened, AFTER if is_new else [FIRST])
    assert opened.manifest.revision == (2 if is_new else 1)
    assert holds(reader, [FIRST])
    assert holds(update(tmp_path, POLICIES[kind]), AFTER)
    assert holds(open_index(tmp_path, space_id=SPACE), AFTER)
    assert not list(tmp_path.glob(".tmp-*"))


BESIDE = [
    ("lancedb", "exact", "manifest"),
    ("lancedb", "exact", "cleanup"),
    ("exact", "lancedb", "rows"),
    ("exact", "lancedb", "manifest"),
    ("lancedb", "lancedb", "table"),
    ("lancedb", "lancedb", "cleanup"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "kind", "step"), BESIDE)
def test_a_build_beside_an_index_of_either_kind(tmp_path, before, kind, step):
    build(tmp_path, POLICIES[before], FIRST)
    kill(tmp_path, kind, step, "build")
    is_new = step in ("manifest", "cleanup")
    assert holds(open_index(tmp_path, space_id=SPACE), SECOND if is_new else [FIRST])
    assert holds(build_second(tmp_path, POLICIES[kind]), SECOND)
    assert holds(open_index(tmp_path, space_id=SPACE), SECOND)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"manifest.json", "writer.lock", *open_index(tmp_path, space_id=SPACE).manifest.names}
