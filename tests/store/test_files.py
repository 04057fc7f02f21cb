import os
from pathlib import Path

import pytest

from nearer.core.errors import WorkspaceError
from nearer.store.files import fsync_tree, inside, move_into_place, remove_tree, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_replaces_the_content(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    write_atomic(path, "né")
    assert path.read_bytes() == "né".encode()
    write_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt"]


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_atomic(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_text_that_utf8_cannot_hold_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_atomic(tmp_path / "a.txt", "\ud800")
    assert names(tmp_path) == []


def make_tree(folder: Path, *, content: str = "x") -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text(content)
    return folder


def test_fsync_tree_reaches_every_file_and_folder(tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "tree")
    (tree / "dangling").symlink_to("nowhere")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    fsync_tree(tree)
    assert synced == [path.stat().st_ino for path in (tree / "inner" / "file", tree / "inner", tree)]


def test_fsync_tree_refuses_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        fsync_tree(tmp_path / "absent")


def test_move_gives_the_final_name(tmp_path):
    move_into_place(make_tree(tmp_path / "work"), tmp_path / "final")
    assert names(tmp_path) == ["final"]
    assert (tmp_path / "final" / "inner" / "file").read_text() == "x"


def test_move_onto_an_equal_target_removes_the_source(tmp_path):
    make_tree(tmp_path / "final")
    kept = (tmp_path / "final").stat().st_ino
    move_into_place(make_tree(tmp_path / "work"), tmp_path / "final")
    assert names(tmp_path) == ["final"]
    assert (tmp_path / "final").stat().st_ino == kept


def test_a_failed_move_keeps_the_source(tmp_path):
    source = make_tree(tmp_path / "work")
    (tmp_path / "final").write_text("a file")
    with pytest.raises(OSError, match="final"):
        move_into_place(source, tmp_path / "final")
    assert names(tmp_path) == ["final", "work"]


def test_remove_takes_folders_files_and_links_but_not_what_links_point_to(tmp_path):
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "link").symlink_to(tree)
    remove_tree(tmp_path / "link")
    assert (tree / "inner" / "file").exists()
    remove_tree(tree / "inner" / "file")
    remove_tree(tree)
    remove_tree(tree)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".tmp-1", "a/b", "../a", "/etc/passwd", r"a\b", "a\n", "a\0", "ä", "x" * 300, None, 7, ["a"]],
)
def test_a_name_that_is_not_plain_leads_nowhere(tmp_path, name):
    with pytest.raises(WorkspaceError, match="is no name of its own") as caught:
        inside(tmp_path, name)
    assert caught.value.hint


def test_a_plain_name_leads_into_the_folder_unless_it_is_a_link(tmp_path):
    assert inside(tmp_path, "vectors-0f.npy") == tmp_path / "vectors-0f.npy"
    (tmp_path / "linked").symlink_to("/etc")
    with pytest.raises(WorkspaceError, match="linked: a link"):
        inside(tmp_path, "linked")
