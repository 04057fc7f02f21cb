"""What is installed, missing and misconfigured, each found where it is made so."""

import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from folders import write_jsonl
from nearer.core.results.doctor import Package
from nearer.flows.doctor import doctor
from nearer.store.leases import lease


def findings(reported, what, level):
    return [each for each in reported["findings"] if each["what"].startswith(what) and each["level"] == level]


def test_a_sound_workspace_is_ok(ask, nearer, trained):
    reported = ask(trained, "doctor")
    assert reported["verdict"] == "ok"
    assert reported["workspace"] == str(trained.resolve())
    assert {each["level"] for each in reported["findings"]} == {"ok"}
    assert {each["what"] for each in reported["findings"]} == {
        "packages",
        "recipe",
        "encoder",
        "models",
        "index",
        "disk",
    }
    shown = nearer("doctor", "--dir", trained).out
    assert "extra lance: lancedb 0.40" in shown
    assert shown.endswith("verdict: ok\n")


def test_anywhere_else_it_says_how_to_make_a_workspace(ask, tmp_path):
    reported = ask(tmp_path / "none", "doctor")
    assert (reported["verdict"], reported["workspace"]) == ("ok", None)
    [note] = findings(reported, "workspace", "note")
    assert note["command"] == f"nearer init {tmp_path / 'none'}"


@pytest.mark.parametrize(
    ("recipe", "what", "said"),
    [
        ("[train]\nepoch = 1\n", "recipe", "train.epoch: unknown key"),
        ("not toml", "recipe", "not valid TOML"),
        ('[encoder]\nmodel = "./nowhere"\n', "encoder", "no such model folder"),
        ('[encoder]\nmodel = "owner/not-here"\n', "encoder", "HF_HUB_OFFLINE is set"),
        ('[search.rerank]\nmodel = "reranker-0123456789ab"\n', "reranker", "no reranker 'reranker-0123456789ab'"),
        ('[search.rerank]\nmodel = "./nowhere"\n', "search.rerank.model", "no such model folder"),
        (
            '[encoder]\nmodel = "m"\napi = {endpoint = "http://localhost:1/v1", key_env = "NO_SUCH_KEY"}\n',
            "encoder",
            "NO_SUCH_KEY holds no key",
        ),
    ],
)
def test_what_is_misconfigured_is_found(ask, base_live, monkeypatch, recipe, what, said):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (base_live / "nearer.toml").write_text(recipe)
    reported = ask(base_live, "doctor", code=3)
    [fault] = findings(reported, what, "fault")
    assert said in fault["sentence"]
    assert fault["command"]


def test_a_model_that_will_be_downloaded_is_a_note(ask, base_live, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    reported = ask(base_live, "doctor", "--set", "encoder.model=owner/not-here")
    [note] = findings(reported, "encoder", "note")
    assert note["command"] == "hf download owner/not-here"


def test_an_extra_that_the_recipe_needs_is_a_fault_and_another_is_not(ask, base_live, monkeypatch):
    lacking = [
        Package(
            name=name, wanted=">=1", installed=None, fits=False, extra=extra, command=f"pip install 'nearer[{extra}]'"
        )
        for name, extra in (("lancedb", "lance"), ("openai", "api"))
    ]
    monkeypatch.setattr("nearer.flows.doctor.packages", lambda: tuple(lacking))
    assert ask(base_live, "doctor")["verdict"] == "ok"
    [fault] = findings(ask(base_live, "doctor", "--set", "index.kind=lancedb", code=3), "extras", "fault")
    assert fault["command"] == "pip install 'nearer[lance]'"


def test_a_requirement_of_another_version_is_a_fault(monkeypatch, tmp_path):
    wanted = [
        "numpy>=99",
        "no-such-package>=1 ; python_version > '3'",
        'lancedb<0.1; extra == "lance"',
        "x; extra == 'dev'",
    ]
    monkeypatch.setattr("nearer.core.installed.requires", lambda _: wanted)
    reported = doctor(tmp_path)
    assert reported.verdict == "faults"
    assert [(each.name, each.extra, each.fits) for each in reported.packages] == [
        ("no-such-package", None, False),
        ("numpy", None, False),
        ("lancedb", "lance", False),
    ]
    sentences = [each.sentence for each in reported.findings if each.level == "fault"]
    assert len(sentences) == 2
    assert "none is installed" in sentences[0]


def test_a_stale_missing_or_damaged_index_and_a_lost_model_are_faults(ask, trained):
    more = write_jsonl(trained.parent / "more.jsonl", [{"_id": "new", "text": "snow"}])
    ask(trained, "add", "corpus", more)
    [fault] = findings(ask(trained, "doctor", code=3), "index", "fault")
    assert (fault["sentence"], fault["command"]) == ("1 documents not in the index", "nearer index")
    [index] = trained.glob(".nearer/indexes/*")
    (index / "manifest.json").write_text("{}")
    assert "missing or damaged" in findings(ask(trained, "doctor", code=3), "index", "fault")[0]["sentence"]
    shutil.rmtree(index)
    assert "no index of space" in findings(ask(trained, "doctor", code=3), "index", "fault")[0]["sentence"]
    [model] = (trained / ".nearer" / "models").glob("enc-*")
    shutil.rmtree(model)
    assert "is gone" in findings(ask(trained, "doctor", code=3), "models", "fault")[0]["sentence"]


def test_unfinished_trainings_and_locks_are_notes(ask, base_live):
    (base_live / ".nearer" / "training" / "run-0123456789abcdef").mkdir(parents=True)
    with lease(base_live / ".nearer" / "locks" / "something.lock", holder="nearer something"):
        reported = ask(base_live, "doctor")
    [run] = findings(reported, "trainings", "note")
    assert "nearer train --discard run-0123456789abcdef" in run["command"]
    [lock] = findings(reported, "locks", "note")
    assert "held by nearer something" in lock["sentence"]


def test_a_full_disk_is_a_fault(ask, base_live, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 5)
    monkeypatch.setattr("nearer.flows.doctor.shutil.disk_usage", lambda _: usage)
    [fault] = findings(ask(base_live, "doctor", code=3), "disk", "fault")
    assert fault["command"] == "nearer prune --dry-run"


def test_a_damaged_database_is_a_fault(ask, base_live):
    for path in base_live.glob(".nearer/control.sqlite*"):
        path.write_bytes(b"\x00" * 20)
    reported = ask(base_live, "doctor", code=3)
    assert reported["verdict"] == "faults"


def test_it_writes_nothing(ask, trained):
    def state():
        return {str(path): path.stat().st_mtime_ns for path in Path(trained).rglob("*.json")}

    before = state()
    ask(trained, "doctor")
    assert state() == before


def test_verbs_are_completed_in_the_shell(nearer, monkeypatch):
    monkeypatch.setenv("_NEARER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "nearer ev")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert set(nearer().out.split()) == {"evaluate", "events"}
    monkeypatch.setenv("COMP_WORDS", "nearer export --pu")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert set(re.findall(r"--\S+", nearer().out)) == {"--push", "--public"}
