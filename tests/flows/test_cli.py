"""The command line itself: verbs, usage, exit codes, and what a failure looks like."""

import re
import subprocess
import sys

import pytest

VERBS = [
    "advise",
    "compress",
    "merge",
    "cost",
    "diagnose",
    "init",
    "add",
    "remove",
    "check",
    "evaluate",
    "suite",
    "export",
    "train",
    "index",
    "judge-sheet",
    "promote",
    "rollback",
    "status",
    "history",
    "lineage",
    "search",
    "prune",
    "report",
    "demo",
    "serve",
    "clicks",
    "key",
    "events",
    "forget",
    "backup",
    "restore",
    "shadow",
    "experiment",
    "arm",
    "simulate",
    "agreement",
    "label",
    "synthesize",
    "judge",
    "doctor",
    "mcp",
    "drift",
    "cycle",
    "store",
]


def test_help_lists_every_verb(nearer):
    for arguments in (["--help"], []):
        shown = nearer(*arguments)
        assert shown.exit_code == 0
        assert {line.split()[0] for line in shown.out.splitlines() if re.match(r"  [a-z]", line)} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(nearer, verb):
    shown = nearer(verb, "--help")
    assert shown.exit_code == 0
    assert "Usage: nearer" in shown.out
    assert ("--json" in shown.out) == (
        verb not in ("serve", "mcp", "clicks", "shadow", "experiment", "label", "store")
    )  # a service, and verbs of verbs


@pytest.mark.parametrize(
    "arguments",
    [["bogus"], ["status", "--bogus"], ["add"], ["search"], ["search", "text", "-k", "many"], ["--bogus"], ["init"]],
    ids=" ".join,
)
def test_wrong_usage_exits_2(nearer, arguments):
    plain, answered = nearer(*arguments), nearer(*arguments, "--json")
    assert plain.exit_code == answered.exit_code == 2
    assert plain.err.startswith("nearer: ")
    assert answered.json["error"]["code"] == "usage"


def test_set_errors_name_the_key(ask, new_workspace):
    folder = new_workspace()
    for setting, part in (
        ("train.epoch=1", "train.epoch: unknown key"),
        ("train.epochs=many", "train.epochs"),
        ("train.epochs=-1", "train.epochs"),
        ("train=1", "train"),
        ("train.epochs", "--set 'train.epochs' is not key=value"),
        ("name.first=a", "name"),
        ("=1", "is not key=value"),
    ):
        error = ask(folder, "check", "--set", setting, code=2)["error"]
        assert error["code"] == "bad_recipe"
        assert part in error["message"], error
        assert error["hint"]


def test_a_folder_that_is_no_workspace_is_told_how_to_become_one(ask, tmp_path):
    for verb in (["status"], ["train"], ["search", "text"], ["index"], ["rollback"]):
        error = ask(tmp_path, *verb, code=2)["error"]
        assert error["code"] == "workspace"
        assert f"nearer init {tmp_path}" in error["hint"]


def test_nearer_works_from_inside_the_folder(nearer, tmp_path, monkeypatch):
    assert nearer("init", tmp_path / "shop", "--json").json == {"workspace": str(tmp_path / "shop")}
    assert nearer("init", tmp_path / "shop").exit_code == 2
    monkeypatch.chdir(tmp_path / "shop")
    assert nearer("status", "--json").json["live"] is None
    assert nearer("status").out.startswith("live: none\nprevious: none\n")


def test_verbs_on_an_empty_workspace_say_what_to_do_next(ask, new_workspace):
    folder = new_workspace()
    for verb, hint in (
        (["evaluate"], "nearer add"),
        (["train"], "nearer add"),
        (["promote"], "nearer train"),
        (["promote", "base"], "nearer add"),
        (["search", "text"], "nearer promote base"),
        (["index"], "nearer promote base"),
        (["rollback"], "nearer history"),
        (["promote", "release-0"], "nearer history"),
        (["evaluate", "model-0"], "nearer add"),
        (["lineage"], "nearer promote base"),
    ):
        assert hint in ask(folder, *verb, code=2)["error"]["hint"], verb
    assert ask(folder, "check", code=3)["verdict"] == "faults"
    assert ask(folder, "history") == {"events": []}


@pytest.fixture
def broken(monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("nearer.flows.status.status", fail)


@pytest.mark.usefixtures("broken")
def test_an_internal_failure_exits_1_and_asks_for_a_report(nearer, new_workspace):
    folder = new_workspace()
    plain, answered = nearer("status", "--dir", folder), nearer("status", "--json", "--dir", folder)
    assert plain.exit_code == answered.exit_code == 1
    assert "please report" in plain.err
    assert "Traceback" not in plain.err + plain.out + answered.err
    assert answered.json["error"]["code"] == "internal"
    assert answered.json["error"]["message"] == "ZeroDivisionError: a bug"


@pytest.mark.usefixtures("broken")
def test_debug_shows_the_traceback_on_stderr(nearer, new_workspace):
    outcome = nearer("status", "--json", "--debug", "--dir", new_workspace())
    assert "Traceback" in outcome.err
    assert outcome.json["error"]["code"] == "internal"


def test_a_wrong_path_shows_no_traceback_without_debug(nearer, tmp_path):
    assert "Traceback" not in nearer("status", "--dir", tmp_path).err
    assert "Traceback" in nearer("status", "--debug", "--dir", tmp_path).err


def test_an_interrupt_exits_130(nearer, new_workspace, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nearer.flows.status.status", interrupted)
    outcome = nearer("status", "--json", "--dir", new_workspace())
    assert outcome.exit_code == 130
    assert outcome.json["error"]["code"] == "interrupted"


@pytest.mark.parametrize(("encoding", "options"), [("ascii", []), ("utf-8", ["--json"])])
def test_text_that_the_terminal_cannot_show_is_no_failure(tmp_path, encoding, options):
    command = [sys.executable, "-m", "nearer", "status", "--dir", b"\xc3\xbc-\xff", *options]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
