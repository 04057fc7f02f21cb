"""BEIR folders that no import may take: a whole one, with one thing changed; and what is no file at all."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hostile.case import BEIR, Case

Damage = Callable[[Path], None]
Row = tuple[str, Damage, str, str]

LAYOUT = "a BEIR folder holds"
FAULTS = "import_faults"


def _without(name: str) -> Damage:
    def write(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return write


def _with(name: str, content: bytes = b"q0\td0\t1\n") -> Damage:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def _folder_at(name: str) -> Damage:
    def write(folder: Path) -> None:
        _without(name)(folder)
        (folder / name).mkdir()

    return write


def _link_at(name: str, target: str) -> Damage:
    def write(folder: Path) -> None:
        _without(name)(folder)
        (folder / name).symlink_to(target)

    return write


def _fifo_at(name: str) -> Damage:
    def write(folder: Path) -> None:
        _without(name)(folder)
        os.mkfifo(folder / name)

    return write


def _empty_qrels(folder: Path) -> None:
    shutil.rmtree(folder / "qrels")
    (folder / "qrels").mkdir()


def _lines(name: str, *lines: str) -> Damage:
    """Further lines in a file."""

    def write(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.writelines(lines)

    return write


REFUSED: list[Row] = [
    ("no-corpus", _without("corpus.jsonl"), "no corpus.jsonl", LAYOUT),
    ("no-qrels", _without("qrels"), "no qrels", LAYOUT),
    ("empty-qrels", _empty_qrels, "no .tsv file", LAYOUT),
    ("both-corpora", _with("corpus.jsonl.gz", gzip.compress(b"{}")), "both corpus.jsonl and corpus.jsonl.gz", "remove"),
    ("qrels-of-text", _with("qrels/test.txt"), "test.txt: not a .tsv file", "convert it"),
    ("qrels-is-a-file", lambda folder: _with("qrels")(_cleared(folder)), "cannot be read: Not a directory", "check"),
    ("two-devs", _with("qrels/validation.tsv"), "are both dev", "rename or remove"),
    ("split-of-dots", _with("qrels/a...tsv"), "'a..' is no split name", "rename it"),
    ("split-above", _with("qrels/~..%2f..%2fpasswd.tsv"), "'~..%2f..%2fpasswd' is no split name", "rename it"),
    ("split-of-markup", _with("qrels/<script>.tsv"), "'<script>' is no split name", "rename it"),
    ("split-reversed", _with("qrels/a\u202eb.tsv"), r"'a\u202eb' is no split name", "rename it"),
    ("corpus-loop", _link_at("corpus.jsonl", "corpus.jsonl"), "no corpus.jsonl", LAYOUT),
    ("qrels-loop", _link_at("qrels", "qrels"), "no qrels", LAYOUT),
]

FAULTY: list[tuple[str, Damage, int, str, str]] = [
    ("corpus-folder", _folder_at("corpus.jsonl"), 0, "is a folder, not a file", "name the file"),
    ("corpus-fifo", _fifo_at("corpus.jsonl"), 0, "not a regular file", "to a file first"),
    ("corpus-zero", _link_at("corpus.jsonl", "/dev/zero"), 0, "not a regular file", "to a file first"),
    ("split-fifo", _fifo_at("qrels/test.tsv"), 0, "not a regular file", "to a file first"),
    ("split-empty", _with("qrels/test.tsv", b""), 0, "the file is empty", "at least one row"),
    (
        "split-header",
        _with("qrels/test.tsv", b"query-id\tcorpus-id\tscore\n"),
        0,
        "no rows after the header",
        "one row",
    ),
    ("unknown-ids", _lines("qrels/test.tsv", "q2\tnone\t1\n"), 8, "unknown document 'none'", "add the document first"),
    ("second-corpus", _lines("corpus.jsonl", '{"_id": "d0", "text": "x"}\n'), 9, "already on line 1", "keep one"),
]


def _cleared(folder: Path) -> Path:
    shutil.rmtree(folder / "qrels")
    return folder


def _case(name: str, damage: Damage, reason: str, remedy: str, *, code: str, line: int = 0) -> Case:
    return Case(
        name=f"beir-{name}",
        content=damage,
        verb="add beir {path}",
        code=code,
        line=line,
        reason=reason,
        remedy=remedy,
        copy_of=BEIR,
    )


ALONE = [
    ("a-fifo.jsonl", os.mkfifo, "not a regular file", "to a file first"),
    ("a-loop.csv", lambda path: path.symlink_to(path.name), "Too many levels of symbolic links", "check the path"),
    ("nowhere.parquet", lambda path: path.symlink_to("nowhere"), "no such file", "check the path"),
    ("nothing.jsonl.gz", lambda path: None, "no such file", "check the path"),
]

CASES = [
    *(_case(*row, code="bad_input") for row in REFUSED),
    *(_case(name, damage, reason, remedy, code=FAULTS, line=line) for name, damage, line, reason, remedy in FAULTY),
    *(
        Case(name=name, content=content, verb="add corpus {path}", code=FAULTS, reason=reason, remedy=remedy)
        for name, content, reason, remedy in ALONE
    ),
]
