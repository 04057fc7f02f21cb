"""Every hostile file is refused: with its reason, its line and a remedy, in little time, and nothing is imported."""

import json
import sqlite3
import time
import tracemalloc
from collections import Counter

import pytest

from hostile.case import WORKSPACE
from hostile.make import CASES, MANIFEST, write_all

MOST_SECONDS = 10  # of the processor, for one file
MOST_BYTES = 128 * 2**20
BOMBS = [case for case in CASES if any(word in case.name for word in ("bomb", "sparse", "long-line", "endless"))]


def held(workspace):
    """All files of a workspace and how many rows each table holds."""
    database = sqlite3.connect(workspace / ".nearer" / "control.sqlite")
    tables = [name for [name] in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    database.close()
    paths = {str(path) for path in workspace.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
    return rows, paths


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_hostile_is_refused(nearer, case, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = case.write(tmp_path, whole=whole)
    before, start = held(whole / WORKSPACE), time.process_time()
    outcome = nearer(*case.arguments(tmp_path, whole=whole), "--json")
    duration_s = time.process_time() - start
    error = outcome.json["error"]
    first = error.get("faults", [{"reason": error["message"], "remedy": error["hint"], "line": 0}])[0]
    assert (outcome.exit_code, error["code"], first["line"]) == (case.exit_code, case.code, case.line), error["message"]
    assert case.reason
    assert case.reason in first["reason"]
    assert case.remedy
    assert case.remedy in first["remedy"]
    assert "Traceback" not in outcome.err
    if "faults" in error:
        assert first["file"].startswith(str(path))
        assert (f"{first['file']}:{case.line}: " if case.line else f"{first['file']}: ") in error["message"]
    assert held(whole / WORKSPACE) == before
    assert not list(tmp_path.rglob("the-code-ran"))
    assert duration_s < MOST_SECONDS


@pytest.mark.parametrize("case", BOMBS, ids=lambda case: case.name)
def test_what_is_huge_takes_little_memory(nearer, case, whole, tmp_path):
    case.write(tmp_path, whole=whole)
    tracemalloc.start()
    outcome = nearer(*case.arguments(tmp_path, whole=whole), "--json")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.exit_code == case.exit_code
    assert peak_bytes < MOST_BYTES


def test_names_are_unique_and_there_are_more_than_a_hundred():
    assert len(CASES) > 100
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_files_and_their_manifest_can_be_written_for_others(nearer, tmp_path):
    write_all(tmp_path / "made")
    expected = json.loads((tmp_path / "made" / MANIFEST).read_text())
    assert len(expected) == len(CASES)
    for each in expected[:: len(expected) // 12]:
        assert nearer(*each["verb"]).exit_code == each["exit_code"], each["name"]
