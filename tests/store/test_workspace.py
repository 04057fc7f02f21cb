import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from nearer.core.errors import RecipeError, WorkspaceBusy, WorkspaceError
from nearer.flows.status import status
from nearer.store import database
from nearer.store import workspace as module
from nearer.store.files import unfinished_name
from nearer.store.leases import is_held
from nearer.store.registered import Decision
from nearer.store.workspace import Workspace

HOLD = """
import sys, time
from pathlib import Path
from nearer.store.workspace import Workspace
with Workspace.open(Path(sys.argv[1])).lease("training-run-1", verb="train"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    Workspace.init(tmp_path / "shop", recipe={"encoder": {"query_prompt": 'say "hi"\r\n'}}).close()
    return tmp_path / "shop"


def test_init_keeps_the_recipe_and_the_folder_name(folder):
    workspace = Workspace.open(folder, overrides=("train.epochs=2",))
    assert workspace.recipe.name == "shop"
    assert workspace.recipe.encoder.query_prompt == 'say "hi"\r\n'
    assert workspace.recipe.train.epochs == 2
    assert {workspace.models.parent, workspace.indexes.parent, workspace.embeddings.parent} == {folder / ".nearer"}
    assert workspace.reports.parent == workspace.state
    workspace.close()


def test_a_workspace_is_opened_by_a_string_and_closed_at_the_end_of_its_block(folder):
    with Workspace.open(str(folder)) as workspace:
        assert workspace.collection.counts()["documents"] == 0
        assert workspace.registry.models() == []
    with Workspace.init(str(folder.parent / "other")) as other:
        assert other.folder == folder.parent / "other"


def test_who_only_looks_sees_the_same_and_leaves_nothing(folder):
    before = sorted(folder.rglob("*"))
    with Workspace.open(folder) as opened, Workspace.look(folder) as looked:
        assert status(looked) == status(opened)
        assert looked.unopened_file
        assert not opened.unopened_file
        assert looked.collection.counts() == opened.collection.counts()
        assert looked.unopened_file is None
    with Workspace.look(folder) as looked:
        status(looked)
    assert sorted(folder.rglob("*")) == before


def test_what_a_look_cannot_read_is_said_as_always(folder):
    (folder / ".nearer" / "control.sqlite").write_bytes(b"SQLite format 3\0" + bytes(4096))
    with Workspace.look(folder) as looked, pytest.raises(WorkspaceError, match="file is not a database"):
        status(looked)


def test_a_look_at_tables_of_a_newer_version_is_refused(folder):
    with closing(sqlite3.connect(folder / ".nearer" / "control.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with Workspace.look(folder) as looked, pytest.raises(WorkspaceError, match="made by a newer version"):
        status(looked)


def test_a_second_init_is_refused_and_changes_nothing(folder):
    before = (folder / "nearer.toml").read_bytes()
    for recipe in (None, {"name": "other"}):
        with pytest.raises(WorkspaceError, match="already"):
            Workspace.init(folder, recipe=recipe)
    assert (folder / "nearer.toml").read_bytes() == before


def test_a_killed_init_can_be_finished(tmp_path, monkeypatch):
    def killed(path, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            Workspace.init(tmp_path / "w")
    with pytest.raises(WorkspaceError, match="not a workspace") as caught:
        Workspace.open(tmp_path / "w")
    assert "nearer init" in caught.value.hint
    Workspace.init(tmp_path / "w").close()
    Workspace.open(tmp_path / "w").close()


def test_a_recipe_that_came_without_its_state_is_kept(tmp_path):
    (tmp_path / "nearer.toml").write_text('name = "from-git"\n')
    with pytest.raises(WorkspaceError, match="already"):
        Workspace.init(tmp_path, recipe={"name": "other"})
    workspace = Workspace.init(tmp_path)
    assert workspace.recipe.name == "from-git"
    workspace.close()


def test_what_is_no_workspace_is_refused(tmp_path, folder):
    with pytest.raises(WorkspaceError, match="not a workspace"):
        Workspace.open(tmp_path)
    with pytest.raises(WorkspaceError, match="not a workspace"):
        Workspace.open(tmp_path / "absent")
    (folder / "nearer.toml").write_text("[train]\nepochs = 'x'\n")
    with pytest.raises(RecipeError, match=r"train\.epochs"):
        Workspace.open(folder)


@pytest.mark.parametrize(("version", "wanted"), [("2\n", "newer"), ("x\n", "damaged"), (None, "missing")])
def test_other_formats_are_refused(folder, version, wanted):
    path = folder / ".nearer" / "format_version"
    path.unlink() if version is None else path.write_text(version)
    with pytest.raises(WorkspaceError, match=wanted) as caught:
        Workspace.open(folder)
    assert caught.value.hint


def test_a_folder_that_cannot_be_written_is_explained(tmp_path, monkeypatch):
    def refused(path, data):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomic", refused)
        with pytest.raises(WorkspaceError, match="Permission denied") as caught:
            Workspace.init(tmp_path / "w")
    assert "write" in caught.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError):
        Workspace.init(tmp_path / "file" / "w")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_read_only_workspace_refuses_writers(folder):
    workspace = Workspace.open(folder)
    (folder / ".nearer").chmod(0o500)
    try:
        with pytest.raises(WorkspaceError, match="Permission denied"), workspace.lease("index", verb="index"):
            pass
    finally:
        (folder / ".nearer").chmod(0o700)
        workspace.close()


def test_a_lease_has_one_holder_even_among_threads_and_others_are_free(folder):
    with Workspace.open(folder) as workspace, ThreadPoolExecutor(1) as thread:
        with workspace.lease("a", verb="add corpus"):

            def again():
                with workspace.lease("b", verb="index"), workspace.lease("a", verb="train"):
                    pass

            for meet in (again, lambda: thread.submit(again).result()):
                with pytest.raises(WorkspaceBusy, match=rf"nearer add corpus \(process {os.getpid()}\)"):
                    meet()
        with pytest.raises(RuntimeError, match="inside"), workspace.lease("a", verb="x"):
            raise RuntimeError("inside")
        with workspace.lease("a", verb="again"):
            pass


def test_another_process_holds_the_lease_until_it_is_killed(folder):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    with Workspace.open(folder) as workspace:
        try:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(WorkspaceBusy, match=rf"nearer train \(process {holder.pid}\)") as caught,
                workspace.lease("training-run-1", verb="train"),
            ):
                pass
            assert caught.value.hint
            assert is_held(workspace.locks / "training-run-1.lock")
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            holder.stdout.close()
        assert not is_held(workspace.locks / "training-run-1.lock")
        with workspace.lease("training-run-1", verb="add"):
            pass


def test_what_a_killed_process_left_is_removed_once_by_who_first_writes(folder, tmp_path):
    state, elsewhere = folder / ".nearer", tmp_path / "elsewhere"
    (elsewhere / ".tmp-theirs").mkdir(parents=True)
    (state / "models" / ".tmp-half" / "deep").mkdir(parents=True)
    (state / "models" / "whole").mkdir()
    (state / "training" / "run-1" / ".tmp-2").mkdir(parents=True)
    (state / "reports").mkdir()
    (state / "reports" / ".tmp-dead-3").touch()
    (state / ".tmp-4").touch()
    (state / ".tmp-5").symlink_to(elsewhere)
    (state / "linked").symlink_to(elsewhere)
    (state / "locks").mkdir(exist_ok=True)
    (state / "locks" / "process-dead.lock").touch()
    with Workspace.open(folder) as workspace:
        assert workspace.collection.documents() == []
        assert (state / ".tmp-4").exists(), "reading removes nothing"
        with workspace.write("add"):
            left = {str(path.relative_to(state)) for path in state.rglob("*")}
        (state / ".tmp-6").touch()
        with workspace.write("add"):
            assert (state / ".tmp-6").exists()
    assert {"models/whole", "training/run-1", "linked"} <= left
    assert not {path for path in left if ".tmp" in path or "dead" in path}
    assert (elsewhere / ".tmp-theirs").is_dir()


LIVE = """
import sys
from pathlib import Path
from nearer.store.files import unfinished_name
from nearer.store.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
(workspace.models / unfinished_name("x")).mkdir(parents=True)
print("at work", flush=True)
sys.stdin.read()
"""


def test_what_a_live_process_is_writing_stays_until_it_has_ended(folder):
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "at work\n"
        (folder / ".nearer" / "models" / unfinished_name("mine")).touch()
        with Workspace.open(folder) as workspace:
            workspace.begin_writing()
            assert len(list(workspace.models.iterdir())) == 2
        other.send_signal(signal.SIGKILL)
    with Workspace.open(folder) as workspace:
        workspace.begin_writing()
        assert [path.name for path in workspace.models.iterdir()] == [unfinished_name("mine")]


def test_who_waits_for_the_database_says_for_whom(folder, caplog, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_S", 0.05)
    with Workspace.open(folder) as workspace, ThreadPoolExecutor(1) as thread:
        with workspace.write("add corpus"):
            decision = Decision(action="refuse", model_id="model-a")
            waiting = thread.submit(workspace.registry.add_decision, decision)
            while not caplog.messages:
                time.sleep(0.01)
        waiting.result()
        assert [event.action for event in workspace.registry.history()] == ["refuse"]
    assert re.search(r"waits for nearer add corpus \(process \d+\) to end", caplog.messages[0])
