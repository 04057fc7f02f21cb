"""A process killed at each durable step leaves the state of before or the new one, and the verb can be repeated."""

import random
import re
import shutil
from pathlib import Path

import pytest

import nearer
from folders import write_jsonl
from nearer.store.workspace import Workspace
from processes import Running, run

SOURCE = Path(nearer.__file__).parent
STEPS = {
    step
    for path in SOURCE.rglob("*.py")
    for step in re.findall(r'failpoint\("([a-z]+\.[a-z_]+)"\)', path.read_text(encoding="utf-8"))
}
LANCE = ("--set", "index.kind=lancedb")
ONE_PASS = ("--set", "train.passes=1")
EDIT, REMOVE, INDEX, PROMOTE = (
    ("add", "corpus", "{edit}"),
    ("remove", "d003", "d004"),
    ("index",),
    ("promote", "{model}"),
)

KILLED = {
    "import.staged": [EDIT],
    "import.commit": [EDIT],
    "remove.commit": [REMOVE],
    "export.file": [("export", "run", "base", "{out}")],
    "export.model": [("export", "model", "base", "{out}")],
    "export.vectors": [("export", "vectors", "base", "{out}")],
    "cache.commit": [("train", *ONE_PASS)],
    "index.vectors": [INDEX, PROMOTE],
    "index.passages": [INDEX],
    "index.rows": [(*INDEX, *LANCE)],
    "index.table": [(*INDEX, *LANCE), (*PROMOTE, *LANCE)],
    "index.manifest": [INDEX, (*INDEX, *LANCE), PROMOTE],
    "index.cleanup": [INDEX, (*INDEX, *LANCE)],
    "registry.model": [("train", *ONE_PASS)],
    "registry.release": [PROMOTE],
    "registry.pointer": [PROMOTE],
}
"""The verbs that are killed at each step, in a workspace with an edit that its index does not know yet."""

ELSEWHERE = {
    **dict.fromkeys(("postgres.commit", "postgres.staged"), "store/test_postgres.py"),
    **dict.fromkeys(("copy.compared", "copy.kept"), "flows/test_copy_store.py"),
    "judge.commit": "flows/test_judge.py",
    "llm.answer": "flows/test_judge.py",
    "synthesize.commit": "flows/test_synthesize.py",
    "labels.rating": "store/test_labels.py",
    "labels.set": "store/test_labels.py",
    "registry.probe": "flows/test_api_encoder.py",
    "usage.commit": "flows/test_api_encoder.py",
    "lexical.kept": "systems/test_composed.py",
    "registry.use_test_split": "evaluation/test_tasks.py",
    "registry.suite": "evaluation/test_suite.py",
    **dict.fromkeys(("adapter.weights", "adapter.manifest"), "encode/test_adapter.py"),
    **dict.fromkeys(("reranker.model", "reranker.registered"), "training/test_train_reranker.py"),
    **dict.fromkeys(("adapt.model", "adapt.registered"), "training/test_adapt.py"),
    "compress.curve": "flows/test_compress.py",
    "compress.kept": "flows/test_int8.py",
    **dict.fromkeys(("distil.model", "distil.registered"), "flows/test_distil.py"),
    **dict.fromkeys(("objects.files", "objects.manifest"), "flows/test_object_storage.py"),
    "splits.commit": "evaluation/test_held_out.py",
    **dict.fromkeys(("events.written", "events.sealed"), "store/test_event_log.py"),
    **dict.fromkeys(("events.staged", "events.imported"), "flows/test_add_events.py"),
    "events.forgotten": "flows/test_forget.py",
    **dict.fromkeys(("events.noted", "events.shared"), "flows/test_shared_events.py"),
    "clicks.judged": "flows/test_judge_clicks.py",
    "documents.commit": "web/test_documents.py",
    **dict.fromkeys(("jobs.added", "jobs.claimed", "keys.commit"), "store/test_jobs_killed.py"),
    "checksums.written": "training/test_resume.py",
    "arms.started": "web/test_arms.py",
    **dict.fromkeys(("cycle.begun", "cycle.stage", "cycle.ended"), "flows/test_cycle.py"),
    **dict.fromkeys(("experiments.started", "experiments.ended"), "flows/test_experiment.py"),
    **dict.fromkeys(("shadow.started", "shadow.answers"), "web/test_shadow.py"),
    **dict.fromkeys(("backup.written", "backup.named", "restore.checked"), "flows/test_backup.py"),
    **dict.fromkeys(("train.examples", "train.mined", "train.checkpoint", "train.pass"), "training/test_resume.py"),
    **dict.fromkeys(("train.model", "train.registered"), "training/test_resume.py"),
    **dict.fromkeys(("train.budget", "train.part"), "training/test_budget.py"),
    **dict.fromkeys(("merge.model", "merge.registered"), "flows/test_merge.py"),
}


def test_every_durable_step_is_killed_somewhere():
    assert KILLED.keys() | ELSEWHERE.keys() == STEPS
    for step, file in ELSEWHERE.items():
        assert step in (Path(__file__).parents[1] / file).read_text(encoding="utf-8"), (step, file)


def seen(folder, ask):
    """All that a user sees, without times and the ids made of them; asking shows that it opens."""
    workspace = Workspace.open(folder)
    workspace.begin_writing()
    documents = workspace.collection.documents()
    workspace.close()
    status = ask(folder, "status")
    answers = ask(folder, "search", "music and water", "-k", 80)["results"]
    return {
        "documents": documents,
        "models": [each["model_id"] for each in status["models"]],
        "live": status["live"]["model_id"],
        "answers": [(each["doc_id"], pytest.approx(each["score"], abs=1e-6)) for each in answers],
        "moves": [(each["action"], bool(each["release_id"])) for each in ask(folder, "history")["events"]],
    }


@pytest.fixture
def edited(trained, ask, words) -> Path:
    """The trained workspace with one document edited since it was indexed."""
    rows = [{"_id": "d007", "text": " ".join(words[-9:])}]
    ask(trained, "add", "corpus", write_jsonl(trained.parent / "e.jsonl", rows))
    return trained


@pytest.fixture(scope="module")
def _kept():
    """What there was before and after each verb that was let finish, by verb: the same for every step of it."""
    return {}


@pytest.fixture
def finished(ask, edited, _kept):
    """``finished(verb, arguments)``: what a user sees before a verb, after it, and the verdict on the index then."""

    def finished(verb, arguments):
        if verb not in _kept:
            before = seen(edited, ask)
            whole = Path(shutil.copytree(edited, edited.parent / "whole"))
            assert run(*arguments, "--dir", whole).code == 0
            _kept[verb] = before, seen(whole, ask), verdict(whole, ask, verb)
        return _kept[verb]

    return finished


def verdict(folder, ask, verb):
    return ask(folder, "index", "--verify", *(LANCE if LANCE[1] in verb else ()), code=None)["verdict"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "verb"),
    [(step, verb) for step, verbs in KILLED.items() for verb in verbs],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:1] + value[-1:] * (LANCE[1] in value)),
)
def test_killed_at_a_step(ask, edited, finished, words, step, verb):
    fill = {
        "edit": write_jsonl(
            edited.parent / "more.jsonl", [{"_id": "d008", "text": words[-1]}, {"_id": "n", "text": "x"}]
        ),
        "model": ask(edited, "status")["models"][-1]["model_id"],
        "out": edited.parent / "out.run",
    }
    arguments = [part.format(**fill) for part in verb]
    before, new, sound = finished(verb, arguments)

    assert run(*arguments, "--dir", edited, die_at=step).was_killed
    after = seen(edited, ask)
    assert after in (before, new)
    if verb[0] == "promote" and after == new:
        assert "live already" in ask(edited, *arguments, code=2)["error"]["message"]
    elif verb[0] == "remove" and after == new:
        assert "no document d003, d004" in ask(edited, *arguments, code=2)["error"]["message"]
    else:
        assert run(*arguments, "--dir", edited).code == 0
    assert seen(edited, ask) == new
    assert verdict(edited, ask, verb) == sound
    assert not list(edited.rglob(".tmp-*")), "nothing is left behind"


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_killed_at_any_time(ask, edited, words, kind):
    """Kill verbs after random times: what was acknowledged is there, and nothing is half done."""
    rng = random.Random(0)
    acknowledged = {row.doc_id: row.text for row in documents_of(edited)}
    for round_number in range(12):
        changes = {f"k{rng.randrange(20)}": f"{rng.choice(words)} {round_number}" for _ in range(200)}
        rows = [{"_id": doc_id, "text": text} for doc_id, text in changes.items()]
        source = write_jsonl(edited.parent / "kill.jsonl", rows)
        verb = ("add", "corpus", source) if round_number % 2 == 0 else ("index", "--set", f"index.kind={kind}")
        ended = Running(*verb, "--dir", edited).kill(after_s=rng.uniform(0.05, 0.9))
        stored = {row.doc_id: row.text for row in documents_of(edited)}
        if verb[0] == "add" and (ended.code == 0 or stored != acknowledged):
            acknowledged |= changes
        assert stored == acknowledged
        answers = ask(edited, "search", words[0], "-k", 5)["results"]
        assert len(answers) == 5
    assert run("index", "--set", f"index.kind={kind}", "--dir", edited).code == 0
    verdict = ask(edited, "index", "--verify", "--set", f"index.kind={kind}")
    assert verdict["verdict"] == "ok", verdict
    [answer] = ask(edited, "search", acknowledged["k1"], "-k", 1)["results"]
    assert acknowledged[answer["doc_id"]] == answer["text"]


def documents_of(folder):
    workspace = Workspace.open(folder)
    try:
        return workspace.collection.documents()
    finally:
        workspace.close()
