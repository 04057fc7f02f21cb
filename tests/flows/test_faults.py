"""A full disk, a folder that may not be written, a second process: a clear error, and nothing lost or half done."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest

import nearer
from folders import write_jsonl
from nearer.core.errors import WorkspaceError
from nearer.store.workspace import Workspace
from processes import Running, run

FAULTS = ("full", "written", "writable", "No space", "too large", "busy")


def seen(ask, folder):
    """All that a user sees of a workspace."""
    answers = ask(folder, "search", "music and water", "-k", 80)["results"]
    reported = {verb: ask(folder, verb) for verb in ("status", "history")}
    for name in ("bytes", "unfinished"):  # a training that was refused goes on later
        reported["status"].pop(name)
    return {**reported, "answers": [(each["doc_id"], each["score"], each["text"]) for each in answers]}


def refused(ended):
    """The one clear error that a process ended with."""
    assert ended.code == 2, ended.printed
    assert "Traceback" not in ended.printed
    assert "\n  -> " in ended.printed
    return ended.printed


# Disk full: no file may grow beyond a limit, as ulimit -f sets it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "limits"),
    [
        (("add", "corpus", "{new}"), (4096, 100_000, 200_000, 300_000, 400_000)),
        (("index",), (4096, 12_000, 24_000, 40_000, 60_000)),
        (("evaluate", "base", "--split", "test"), (4096, 20_000, 40_000)),
        (("promote", "{model}"), (4096, 12_000, 24_000, 40_000, 60_000)),
        (("train", "--set", "train.passes=1"), (4096, 200_000, 600_000)),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_a_full_disk_is_reported_and_nothing_is_half_done(ask, trained, words, verb, limits):
    many = [{"_id": f"new{n}", "text": " ".join(words[n % 900 : n % 900 + 40])} for n in range(1500)]
    new = write_jsonl(trained.parent / "new.jsonl", many)
    model = ask(trained, "status")["models"][-1]["model_id"]
    arguments = [each.format(new=new, model=model) for each in verb]
    before, num_refused = seen(ask, trained), 0
    for limit in limits:
        folder = Path(shutil.copytree(trained, trained.parent / f"limit-{limit}"))
        ended = run(*arguments, "--dir", folder, max_file_bytes=limit)
        if ended.code != 0:
            assert re.search("|".join(FAULTS), refused(ended)), ended.printed
            assert seen(ask, folder) == before
            num_refused += 1
            assert run(*arguments, "--dir", folder).code == 0, "with room again, the verb can be repeated"
        shutil.rmtree(folder)
    assert num_refused >= 1


# Two processes


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(ask, new_workspace, tmp_path):
    """Each import is acknowledged and there, or refused as busy and not there at all."""
    folder = new_workspace()
    processes = {}
    for number in range(6):
        rows = [{"_id": f"d{number}-{row}", "text": f"text {row}"} for row in range(300)]
        processes[number] = Running("add", "corpus", write_jsonl(tmp_path / f"{number}.jsonl", rows), "--dir", folder)
    codes = {number: process.wait().code for number, process in processes.items()}
    assert set(codes.values()) <= {0, 2}
    num_added = 300 * sum(code == 0 for code in codes.values())
    assert num_added > 0
    assert ask(folder, "check", code=3)["counts"]["documents"] == num_added


# A folder that may only be read


@pytest.fixture
def read_only(trained):
    """A workspace without a single permission to write, outside of the tests' own folder."""
    root = Path(tempfile.mkdtemp(prefix="nearer-read-only-"))
    folder = Path(shutil.copytree(trained, root / "workspace"))
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in paths:
        path.chmod(0o755)
    shutil.rmtree(root)


@pytest.mark.slow
def test_a_read_only_workspace_answers_and_refuses_to_change(ask, trained, read_only, tmp_path):
    for verb in (("status",), ("history",), ("lineage", "live"), ("search", "music and water"), ("index", "--verify")):
        ended = run(*verb, "--json", "--dir", read_only, unprivileged=True)
        assert ended.code == 0, ended.printed
        assert ended.json == ask(trained, *verb)
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"_id": "x", "text": "x"}])
    for verb in (
        ("add", "corpus", rows),
        ("train",),
        ("index",),
        ("promote",),
        ("evaluate",),
        ("report",),
        ("advise",),
    ):
        ended = run(*verb, "--dir", read_only, unprivileged=True)
        assert re.search("writable|Permission denied", refused(ended)), verb


LONG_JOBS = {
    "evaluate": lambda workspace: nearer.evaluate(workspace, ["live"]),
    "advise": nearer.advise,
    "suite": nearer.suite,
    "diagnose": lambda workspace: nearer.diagnose(workspace, "live", split="test"),
    "task": lambda workspace: nearer.evaluate_task(workspace, ["live"], task="dedup", label="topic", split="test"),
    "export": lambda workspace: nearer.export(workspace, "run", Path("run.trec"), system="live", split="test"),
}


@pytest.mark.parametrize("job", LONG_JOBS.values(), ids=LONG_JOBS)
def test_a_job_whose_end_writes_refuses_a_read_only_workspace_before_it_opens_a_model(base_live, monkeypatch, job):
    flows = (
        "flows.evaluate",
        "flows.suite",
        "flows.diagnose",
        "flows.evaluate_task",
        "flows.export",
        "advice.advice_data",
    )
    for place in flows:
        monkeypatch.setattr(f"nearer.{place}.open_system", lambda *_: pytest.fail("a model was opened"))
    monkeypatch.setattr("nearer.store.database_sqlite.is_writable", lambda path: False)
    workspace = Workspace.open(base_live)
    with pytest.raises(WorkspaceError, match="this folder may only be read") as caught:
        job(workspace)
    assert "make it writable" in caught.value.hint
    workspace.close()


def test_what_enters_nothing_is_done_in_a_read_only_workspace(base_live, monkeypatch, tmp_path):
    monkeypatch.setattr("nearer.store.database_sqlite.is_writable", lambda path: False)
    workspace = Workspace.open(base_live)
    assert nearer.diagnose(workspace, "live")["num_queries"] == 20
    assert nearer.export(workspace, "run", tmp_path / "run.trec", system="live")["num_lines"] > 0
    workspace.close()


def test_advice_that_could_not_be_written_is_refused_before_it_is_measured(base_live, monkeypatch):
    monkeypatch.setattr("nearer.flows.advise.AdviceData", lambda *_, **__: pytest.fail("it was measured"))
    monkeypatch.setattr("os.access", lambda path, *_, **__: path != base_live)
    workspace = Workspace.open(base_live)
    with pytest.raises(WorkspaceError, match=r"nearer.toml: the folder may not be written") as caught:
        nearer.advise(workspace, write=True)
    assert "omit --write" in caught.value.hint
    workspace.close()
