"""A backup of a workspace in use is whole, and what is made of it answers as the one it was made of."""

import json
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import pytest

from folders import write_jsonl
from nearer.core.errors import InputError
from nearer.core.records import Document
from nearer.flows.add import add
from nearer.flows.backup import backup, restore
from nearer.flows.documents import put
from nearer.flows.history import history
from nearer.flows.index import index, index_status
from nearer.flows.remove import remove
from nearer.flows.search import search
from nearer.store.backup import CONTENT
from nearer.store.events.log import EventLog
from nearer.store.events.reading import read_events
from nearer.store.events.records import Impression
from nearer.store.jobs import Jobs
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace
from processes import run

pytestmark = pytest.mark.slow


def seen(workspace):
    """What a user sees of a workspace."""
    texts = [query.text for query in workspace.collection.queries("dev")[:8]]
    return {
        "live": workspace.registry.live_id(),
        "previous": workspace.registry.previous(),
        "history": history(workspace).to_dict(),
        "documents": workspace.collection.documents(),
        "judgments": workspace.collection.judgments("dev"),
        "models": workspace.registry.models(),
        "keys": Keys(workspace.database).all(),
        "impressions": read_events(workspace.events).impressions.to_pylist(),
        "answers": [search(workspace, text).to_dict() for text in texts],
        "lexical": [search(workspace, text, lexical=True).to_dict() for text in texts],
    }


def record_one(workspace):
    """Write an impression, as the service does."""
    log = EventLog(workspace.events, locks=workspace.locks)
    shown = Impression(
        query_id="query-1",
        at=datetime(2026, 11, 30, tzinfo=UTC),
        query="rain",
        user="",
        session="",
        release_id="release-1",
        space_id="encoder-1",
        arm="live",
        doc_ids=("d1",),
        ordinals=(1,),
        propensities=(1.0,),
    )
    log.add([shown])
    log.close()


@pytest.fixture
def back(nearer):
    """``back(file, folder, code=0)``: what `nearer restore` answers."""

    def call(file, folder, *, code=0):
        outcome = nearer("restore", file, folder, "--json")
        assert outcome.exit_code == code, (outcome.out, outcome.err)
        return outcome.json

    return call


@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_what_is_restored_answers_as_what_was_backed_up(trained, ask, tmp_path, kind, back):
    ask(trained, "promote", "--force", "--reason", "to keep it", code=None)
    ask(trained, "index", "--set", f"index.kind={kind}")
    with Workspace.open(trained) as workspace:
        Keys(workspace.database).add("shop", scopes=["read"])
        Jobs(workspace).add("promote", {})
        record_one(workspace)
        before = seen(workspace)
    made = ask(trained, "backup", tmp_path / "shop.backup")
    assert made["release_id"] == before["live"]
    assert stat.S_IMODE((tmp_path / "shop.backup").stat().st_mode) == 0o600
    assert not list(trained.rglob(".tmp-*"))
    reported = back(tmp_path / "shop.backup", tmp_path / "again")
    assert (reported["release_id"], reported["faults"]) == (before["live"], [])
    with Workspace.open(tmp_path / "again") as workspace:
        assert seen(workspace) == before
        assert len(before["impressions"]) == 1
        assert [job.state for job in Jobs(workspace).all()] == ["lost"], "no second process does what the first does"
        add(workspace, "corpus", write_jsonl(tmp_path / "new.jsonl", [{"_id": "new", "text": "a zebra"}]))
        index(workspace)
        assert search(workspace, "a zebra", k=1)["results"][0]["doc_id"] == "new"
    ask(tmp_path / "again", "rollback")


@pytest.mark.exhaustive
def test_others_write_while_it_is_made(base_live, tmp_path):
    """Each writer writes two documents at once; a backup has all that was acknowledged before it, and no half."""
    stop = Event()
    acknowledged = []

    def write(worker):
        with Workspace.open(base_live) as workspace:
            for number in range(10_000):
                if stop.is_set():
                    return
                put(workspace, [Document(doc_id=f"{worker}-{number}-{part}", text=f"rain {number}") for part in "ab"])
                acknowledged.append(f"{worker}-{number}-a")
                if number % 3 == 0:
                    remove(workspace, [f"{worker}-{number}-a", f"{worker}-{number}-b"])
                if worker == 0 and number % 5 == 0:
                    index(workspace)

    with ThreadPoolExecutor(2) as threads, Workspace.open(base_live) as workspace:
        writing = [threads.submit(write, worker) for worker in range(2)]
        try:
            for turn in range(4):
                known = set(acknowledged)
                removed = {each for each in known if int(each.split("-")[1]) % 3 == 0}
                backup(workspace, tmp_path / f"{turn}.backup")
                reported = restore(tmp_path / f"{turn}.backup", tmp_path / str(turn))
                assert reported.faults == ()
                with Workspace.open(tmp_path / str(turn)) as restored:
                    ids = {each.doc_id for each in restored.collection.documents()}
                    written = {each for each in ids if each.count("-") == 2}
                    assert known - removed <= written
                    assert {each.replace("-b", "-a") for each in written} <= written, "both of a request, or none"
                    served = restored.registry.live().space_id
                    manifest = json.loads((restored.indexes / served / "manifest.json").read_text())
                    assert manifest["revision"] <= restored.collection.revision()
                    index(restored)
                    assert index_status(restored).verdict == "ok"
        finally:
            stop.set()
    for each in writing:
        each.result()
    assert len(acknowledged) > 8


@pytest.fixture
def made(base_live, tmp_path):
    with Workspace.open(base_live) as workspace:
        backup(workspace, tmp_path / "made.backup")
    return tmp_path / "made.backup"


def rewritten(made, change):
    """A copy of a backup whose files (by name) were changed."""
    with zipfile.ZipFile(made) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    target = made.with_name("changed.backup")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


def content_with(kept, **changes):
    kept[CONTENT] = json.dumps({**json.loads(kept[CONTENT]), **changes}).encode()


def rename(files, name):
    """Give the recipe another name, in the list too."""
    files[name] = files.pop("nearer.toml")
    listed = json.loads(files[CONTENT])["files"]
    listed[name] = listed.pop("nearer.toml")
    content_with(files, files=listed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"nearer.toml": files["nearer.toml"] + b"\n"}), "not as it was written"),
        (lambda files: files.pop("nearer.toml"), "lacks files"),
        (lambda files: files.update({".nearer/more": b""}), "has others"),
        (lambda files: files.pop(CONTENT), "no backup of a workspace"),
        (lambda files: files.update({CONTENT: b"[]"}), "no backup of a workspace"),
        (lambda files: content_with(files, format_version=2), "format 2"),
        (lambda files: content_with(files, release_id="release-0"), "another release is live"),
        (lambda files: rename(files, "../nearer.toml"), "a file of the name"),
        (lambda files: rename(files, "/etc/nearer.toml"), "a file of the name"),
        (lambda files: rename(files, ".nearer/../../x"), "a file of the name"),
        (lambda files: rename(files, ".nearer/recipe"), "holds no workspace"),
    ],
)
def test_what_is_not_whole_is_refused(made, back, tmp_path, change, said):
    error = back(rewritten(made, change), tmp_path / "again", code=2)["error"]
    assert said in error["message"]
    assert error["hint"]
    assert {each.name for each in tmp_path.iterdir()} & {"again", "etc", "x"} == set()
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_byte_or_a_cut_is_found(made, tmp_path, place):
    data = bytearray(made.read_bytes())
    with zipfile.ZipFile(made) as archive:
        end = archive.start_dir  # what follows tells where the files are, and holds nothing of them
    offset = int(end * place)
    data[offset] ^= 0xFF
    made.with_name("flipped.backup").write_bytes(data)
    made.with_name("cut.backup").write_bytes(made.read_bytes()[:offset])
    for name in ("flipped.backup", "cut.backup"):
        with pytest.raises(InputError):
            restore(made.with_name(name), tmp_path / "again")
        assert not (tmp_path / "again").exists()


def test_nothing_is_overwritten(made, base_live, ask, tmp_path, back):
    assert "is there already" in ask(base_live, "backup", made, code=2)["error"]["message"]
    assert "in the workspace" in ask(base_live, "backup", base_live / ".nearer" / "b", code=2)["error"]["message"]
    assert "cannot be" in ask(base_live, "backup", tmp_path / "no" / "b", code=2)["error"]["message"]
    assert "not empty" in back(made, base_live, code=2)["error"]["message"]
    (tmp_path / "empty").mkdir()
    back(made, tmp_path / "empty")
    assert ask(tmp_path / "empty", "status")["live"]


@pytest.mark.parametrize("step", ["backup.written", "backup.named"])
def test_a_killed_backup_is_whole_or_not_there(base_live, ask, tmp_path, step, back):
    file = tmp_path / "killed.backup"
    assert run("backup", file, "--dir", base_live, die_at=step).was_killed
    assert file.exists() == (step == "backup.named")
    ask(base_live, "index")
    assert not list(base_live.rglob(".tmp-*")), "the next verb sweeps what is left"
    if not file.exists():
        ask(base_live, "backup", file)
    back(file, tmp_path / "again")


def test_a_killed_restore_leaves_no_workspace(made, back, tmp_path):
    assert run("restore", made, tmp_path / "again", die_at="restore.checked").was_killed
    assert not (tmp_path / "again").exists()
    back(made, tmp_path / "again")


def test_an_index_that_is_damaged_is_left_out_and_reported(base_live, ask, tmp_path, back):
    [vectors] = base_live.glob(".nearer/indexes/*/vectors-*.npy")
    vectors.write_bytes(vectors.read_bytes()[:-1])
    reported = ask(base_live, "backup", tmp_path / "b")
    assert reported["indexes_left_out"] == [vectors.parent.name]
    restored = back(tmp_path / "b", tmp_path / "again")
    assert "no index" in restored["faults"][0]
    ask(tmp_path / "again", "index")
    assert ask(tmp_path / "again", "search", "rain")["results"]
