"""A folder in BEIR layout: ``corpus.jsonl``, ``queries.jsonl`` and one ``qrels/SPLIT.tsv`` a split.

Source: Thakur et al., BEIR (2021), and its repository's page on loading a custom dataset.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearer.core.errors import Fault, InputError
from nearer.core.records import Judgment
from nearer.store.lines import DEFAULT_MAX_GRADE, Row, check_grade, check_id, read_rows, shown, truncated

HEADER = ("query-id", "corpus-id", "score")

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEV_NAMES = ("val", "validation")
_LAYOUT = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"
_COLUMNS = "write query-id, corpus-id and score, separated by tabs"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeirFolder:
    """Where the files of a BEIR folder are; ``qrels`` maps split names, sorted, to files."""

    corpus: Path
    queries: Path
    qrels: dict[str, Path]


def find_beir(folder: Path) -> BeirFolder:
    """The files of a BEIR folder; ``val`` and ``validation`` are BEIR's ``dev``, any other split keeps its name.

    Raises InputError when something is missing, or a file in ``qrels`` cannot be a split; hidden files are ignored.
    """
    try:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder", hint="check the path")
        for name in ("corpus.jsonl", "queries.jsonl", "qrels"):
            if not (folder / name).exists():
                raise InputError(f"{folder}: no {name}", hint=_LAYOUT)
        qrels = _find_qrels(folder / "qrels")
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read: {error.strerror}", hint="check the path and permissions"
        ) from error
    return BeirFolder(corpus=folder / "corpus.jsonl", queries=folder / "queries.jsonl", qrels=qrels)


def read_qrels_tsv(path: Path, *, max_grade: int = DEFAULT_MAX_GRADE) -> Iterator[Row[Judgment] | Fault]:
    """Judgments from tab-separated ``query-id corpus-id score``, under a header of these names or without one.

    Grades are integers from 0 to ``max_grade``, and each pair occurs once. Nothing is quoted or stripped.
    """

    def judgment(text: str) -> Judgment:
        return _judgment(text, max_grade=max_grade)

    return read_rows(path, parse=judgment, is_header=_is_header, key=lambda each: f"{each.query_id}\t{each.doc_id}")


def _find_qrels(folder: Path) -> dict[str, Path]:
    qrels: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix != ".tsv":
            raise InputError(f"{path}: not a .tsv file", hint="unpack or convert it, or move it out of qrels")
        if not _SPLIT_NAME.fullmatch(path.stem):
            raise InputError(
                f"{path}: {shown(path.stem)} is no split name", hint="rename it with letters, digits, _ and - only"
            )
        split = "dev" if path.stem in _DEV_NAMES else path.stem
        if split in qrels:
            raise InputError(f"{path} and {qrels[split].name} are both {split}", hint="rename or remove one of the two")
        qrels[split] = path
    if not qrels:
        raise InputError(f"{folder}: no .tsv file", hint=_LAYOUT)
    return dict(sorted(qrels.items()))


def _is_header(first: str) -> bool:
    fields = _fields(first)
    if tuple(fields) == HEADER:
        return True
    if len(fields) != len(HEADER):
        raise _wrong_number(fields)
    if not _INTEGER.fullmatch(fields[2]):
        raise InputError(
            f"the first line is neither the header nor a judgment: {shown(first.strip())}",
            hint=f"{_COLUMNS}, and a whole number as score",
        )
    return False


def _judgment(text: str, *, max_grade: int) -> Judgment:
    fields = _fields(text)
    if len(fields) != len(HEADER):
        raise _wrong_number(fields) if text.endswith("\n") or len(fields) > len(HEADER) else truncated()
    query_id, doc_id, grade = fields
    if not grade and not text.endswith("\n"):
        raise truncated()
    if not _INTEGER.fullmatch(grade):
        raise InputError(f"the grade {shown(grade)} is not an integer", hint="write a whole number")
    return Judgment(
        query_id=check_id(query_id, key="query-id"),
        doc_id=check_id(doc_id, key="corpus-id"),
        grade=check_grade(int(grade), max_grade=max_grade),
    )


def _fields(text: str) -> list[str]:
    return text.rstrip("\r\n").split("\t")


def _wrong_number(fields: list[str]) -> InputError:
    return InputError(f"{len(fields)} tab-separated fields, not {len(HEADER)}", hint=_COLUMNS)
