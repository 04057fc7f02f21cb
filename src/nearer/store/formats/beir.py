"""A folder in BEIR layout: ``corpus.jsonl``, ``queries.jsonl`` and a ``qrels/SPLIT.tsv`` a split, plain or gzipped.

Source: Thakur et al., BEIR (2021), and its repository's page on loading a custom dataset.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from nearer.core.errors import InputError
from nearer.store.formats.rows import shown
from nearer.store.formats.source import GZIP

_SPLIT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEV_NAMES = ("val", "validation")
_LAYOUT = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"


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
        corpus, queries = _find(folder, "corpus.jsonl"), _find(folder, "queries.jsonl")
        if not (folder / "qrels").exists():
            raise InputError(f"{folder}: no qrels", hint=_LAYOUT)
        qrels = _find_qrels(folder / "qrels")
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read: {error.strerror}", hint="check the path and permissions"
        ) from error
    return BeirFolder(corpus=corpus, queries=queries, qrels=qrels)


def _find(folder: Path, name: str) -> Path:
    found = [path for path in (folder / name, folder / (name + GZIP)) if path.exists()]
    if not found:
        raise InputError(f"{folder}: no {name}", hint=_LAYOUT)
    if len(found) > 1:
        raise InputError(f"{folder}: both {name} and {name}{GZIP}", hint="remove one of the two")
    return found[0]


def _find_qrels(folder: Path) -> dict[str, Path]:
    qrels: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        inner = path.with_suffix("") if path.suffix == GZIP else path
        if inner.suffix != ".tsv":
            raise InputError(f"{path}: not a .tsv file", hint="convert it, or move it out of qrels")
        if not _SPLIT_NAME.fullmatch(inner.stem):
            raise InputError(
                f"{path}: {shown(inner.stem)} is no split name", hint="rename it with letters, digits, _ and - only"
            )
        split = "dev" if inner.stem in _DEV_NAMES else inner.stem
        if split in qrels:
            raise InputError(f"{path} and {qrels[split].name} are both {split}", hint="rename or remove one of the two")
        qrels[split] = path
    if not qrels:
        raise InputError(f"{folder}: no .tsv file", hint=_LAYOUT)
    return dict(sorted(qrels.items()))
