"""Workspaces that were damaged: a copy of a whole one, with one thing changed in what Nearer keeps."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.case import WORKSPACE, Case

Damage = Callable[[Path], None]
Row = tuple[str, str, Damage, str, str, str]

DATABASE, VERSION = "control.sqlite", "format_version"
RESTORE, REBUILD, DELETE = "restore", "nearer index", "delete this file"
STATUS, SEARCH, MEASURE, INDEX = "status", "search rain", "evaluate base", "index"


def _state(name: str, content: bytes | str) -> Damage:
    """Another file in ``.nearer``."""

    def write(folder: Path) -> None:
        path = folder / ".nearer" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def _cut_database(folder: Path) -> None:
    path = folder / ".nearer" / DATABASE
    path.write_bytes(path.read_bytes()[:8192])


def _cache_as_database(folder: Path) -> None:
    cache = next((folder / ".nearer" / "embeddings").glob("*.documents.sqlite"))
    shutil.copy(cache, folder / ".nearer" / DATABASE)


def _sql(*statements: str) -> Damage:
    """Rows changed by hand."""

    def write(folder: Path) -> None:
        connection = sqlite3.connect(folder / ".nearer" / DATABASE)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return write


def _index(folder: Path) -> Path:
    [path] = (folder / ".nearer" / "indexes").iterdir()
    return path


def _manifest(**values: Any) -> Damage:
    """Other values in the manifest of the index."""

    def write(folder: Path) -> None:
        path = _index(folder) / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return write


def _manifest_text(text: str) -> Damage:
    def write(folder: Path) -> None:
        (_index(folder) / "manifest.json").write_text(text)

    return write


def _vectors_named(name: str) -> Damage:
    """A manifest that names another file of vectors."""

    def write(folder: Path) -> None:
        manifest = json.loads((_index(folder) / "manifest.json").read_text())
        files = manifest["files"]
        _manifest(files={**files, "vectors": {**files["vectors"], "name": name}})(folder)

    return write


def _linked_vectors(folder: Path) -> None:
    path = next(_index(folder).glob("vectors-*"))
    elsewhere = folder / "elsewhere.npy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _linked_index(folder: Path) -> None:
    path = _index(folder)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def _cut_vectors(folder: Path) -> None:
    path = next(_index(folder).glob("vectors-*"))
    path.write_bytes(path.read_bytes()[:100])


def _cache(change: Callable[[Path], None]) -> Damage:
    """A change of the file of the documents' cached vectors."""

    def write(folder: Path) -> None:
        change(next((folder / ".nearer" / "embeddings").glob("*.documents.sqlite")))

    return write


def _vector(blob: bytes) -> Damage:
    def write(path: Path) -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE vectors SET vector = ?", (blob,))
        connection.close()

    return _cache(write)


def _folder_for_file(name: str) -> Damage:
    def write(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        path.mkdir()

    return write


def _file_for_folder(name: str) -> Damage:
    def write(folder: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).write_text("")

    return write


def _fifo_recipe(folder: Path) -> None:
    (folder / "nearer.toml").unlink()
    os.mkfifo(folder / "nearer.toml")


WORKSPACES: list[Row] = [
    ("version-garbage", STATUS, _state(VERSION, b"\xff\xfe\x00"), "workspace", "missing or damaged", RESTORE),
    ("version-newer", STATUS, _state(VERSION, "2\n"), "workspace", "format 2 is newer", "upgrade"),
    ("version-zero", STATUS, _state(VERSION, "0\n"), "workspace", "missing or damaged", RESTORE),
    ("version-folder", STATUS, _folder_for_file(f".nearer/{VERSION}"), "workspace", "missing or damaged", RESTORE),
    ("state-file", STATUS, _file_for_folder(".nearer"), "workspace", "is not a workspace", "nearer init"),
    ("database-garbage", STATUS, _state(DATABASE, b"garbage" * 999), "workspace", "not a database", RESTORE),
    ("database-empty", STATUS, _state(DATABASE, b""), "workspace", "is gone, or empty", RESTORE),
    (
        "database-gone",
        STATUS,
        lambda folder: (folder / ".nearer" / DATABASE).unlink(),
        "workspace",
        "is gone, or empty",
        RESTORE,
    ),
    ("database-cut", STATUS, _cut_database, "workspace", "malformed", RESTORE),
    ("database-swapped", STATUS, _cache_as_database, "workspace", "not a database of Nearer's", RESTORE),
    (
        "database-newer",
        STATUS,
        _sql("UPDATE alembic_version SET version_num = '9999'"),
        "workspace",
        "newer version (its tables are '9999')",
        "upgrade",
    ),
    ("no-documents-table", SEARCH, _sql("DROP TABLE documents"), "workspace", "no such table: documents", RESTORE),
    (
        "encoder-above",
        SEARCH,
        _sql("UPDATE models SET parent_model_id = 'x', encoder_id = '../../../etc'"),
        "workspace",
        "'../../../etc' is no name",
        RESTORE,
    ),
    ("space-above", SEARCH, _sql("UPDATE releases SET space_id = '..'"), "workspace", "'..' is no name", RESTORE),
    ("space-other", SEARCH, _sql("UPDATE releases SET space_id = 'enc-0'"), "not_found", "no index of space", REBUILD),
    ("live-nowhere", STATUS, _sql("UPDATE pointers SET release_id = 'x'"), "not_found", "no release 'x'", "history"),
    ("metadata-garbage", "check", _sql("UPDATE queries SET metadata = '{'"), "workspace", "not JSON", RESTORE),
    ("manifest-garbage", SEARCH, _manifest_text("\x00\x01"), "workspace", "missing or damaged", REBUILD),
    ("manifest-deep", SEARCH, _manifest_text("[" * 100_000), "workspace", "missing or damaged", REBUILD),
    ("manifest-newer", SEARCH, _manifest(format_version=99), "workspace", "index format 99", REBUILD),
    (
        "manifest-space",
        SEARCH,
        _manifest(spec={"space_id": "enc-other", "chunking": "", "fields": {}}),
        "space_mismatch",
        "holds space enc-other",
        REBUILD,
    ),
    ("manifest-kind", SEARCH, _manifest(kind="evil"), "workspace", "missing or damaged", REBUILD),
    (
        "manifest-table",
        SEARCH,
        _manifest(kind="lancedb", current={"table": "../../../x", "version": 1}),
        "workspace",
        "'../../../x.lance' is no name",
        RESTORE,
    ),
    ("manifest-no-files", SEARCH, _manifest(files={}), "workspace", "missing or damaged", REBUILD),
    ("manifest-above", SEARCH, _vectors_named("../../control.sqlite"), "workspace", "is no name", RESTORE),
    ("manifest-absolute", SEARCH, _vectors_named("/etc/passwd"), "workspace", "'/etc/passwd' is no name", RESTORE),
    ("manifest-newline", SEARCH, _vectors_named("a\nb"), "workspace", r"'a\nb' is no name", RESTORE),
    ("vectors-link", SEARCH, _linked_vectors, "workspace", ": a link", "in its place"),
    ("index-link", SEARCH, _linked_index, "workspace", ": a link", "in its place"),
    ("vectors-cut", SEARCH, _cut_vectors, "workspace", "missing or damaged", REBUILD),
    ("index-file", SEARCH, _file_for_folder(".nearer/indexes"), "system", "Not a directory", "check the path"),
    ("cache-garbage", MEASURE, _cache(lambda path: path.write_bytes(b"x" * 9999)), "workspace", "damaged", DELETE),
    ("cache-short-vector", MEASURE, _vector(b"\0" * 4), "workspace", "damaged", DELETE),
    ("cache-nan", MEASURE, _vector(b"\xff" * 32), "workspace", "damaged", DELETE),
    (
        "cache-folder",
        MEASURE,
        _cache(lambda path: (path.unlink(), path.mkdir())),
        "workspace",
        "cannot be used",
        "check",
    ),
    (
        "locks-file",
        INDEX,
        _file_for_folder(".nearer/locks"),
        "workspace",
        "cannot be written or removed",
        "make the folder writable",
    ),
    ("reports-file", "report", _state("reports", ""), "system", "File exists", "check the path"),
]

CASES = [
    Case(
        name=f"workspace-{name}",
        content=damage,
        verb=f"{verb} --dir {{path}}",
        code=code,
        reason=reason,
        remedy=remedy,
        copy_of=WORKSPACE,
    )
    for name, verb, damage, code, reason, remedy in WORKSPACES
]
