"""Vectors kept on disk, looked up by the text they were made of; one file an encoder id, so spaces never mix."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.ids import text_hash
from nearer.core.progress import Progress
from nearer.encode.blocks import BLOCK_TEXTS, longest_first

_LOOKUP = 500


WORTH_SENDING = 4 * BLOCK_TEXTS
"""Texts below which other machines are not asked: beginning there takes seconds. Our rule."""

Elsewhere = Callable[[Sequence[Sequence[str]]], Iterator[tuple[int, Floats32]]]
"""Encodes blocks of texts on other machines: the number of each and its vectors, in the order they are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How many texts are encoded between two commits, in how many threads; or elsewhere, where that is worth it."""

    block_texts: int = BLOCK_TEXTS
    workers: int = 1
    elsewhere: Elsewhere | None = None


LOCAL = Batching()


class EmbeddingCache:
    """The vectors of one encoder's documents, or of its queries.

    ``kind`` keeps the two apart, since they may have different prompts.
    """

    def __init__(self, folder: Path, *, encoder_id: str, kind: str, dimension: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{encoder_id}.{kind}.sqlite"
        self._dimension = dimension
        with self._explained():
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (hash TEXT PRIMARY KEY, vector BLOB NOT NULL)")

    def __enter__(self) -> "EmbeddingCache":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def vectors(
        self,
        texts: Sequence[str],
        *,
        encode: Callable[[Sequence[str]], Floats32],
        progress: Progress,
        label: str,
        batching: Batching = LOCAL,
    ) -> tuple[Floats32, int]:
        """The vectors of ``texts``, shape (N, D) float32, and how many had to be encoded.

        Equal texts are encoded once, the longest first. New vectors are kept as they are made.
        """
        vectors_ND = np.zeros((len(texts), self._dimension), dtype=np.float32)
        rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            rows_of.setdefault(text_hash(text), []).append(row)
        found = set()
        with self._explained():
            for key, blob in self._look_up("hash, vector", list(rows_of)):
                vectors_ND[rows_of[key]] = self._vector(blob)
                found.add(key)
        keys = [key for key in rows_of if key not in found]
        distinct = [texts[rows_of[key][0]] for key in keys]
        blocks = longest_first(distinct, batching.block_texts)

        def work(block: list[int]) -> Floats32:
            return encode([distinct[row] for row in block])

        done = _worked_on(blocks, work, workers=batching.workers)
        if batching.elsewhere and len(distinct) >= WORTH_SENDING:
            sent = batching.elsewhere([[distinct[row] for row in block] for block in blocks])
            done = ((blocks[number], made_ND) for number, made_ND in sent)
        for block, made_ND in progress.track(done, label=label, total=len(keys), size=lambda made: len(made[0])):
            self._keep([keys[row] for row in block], made_ND)
            for row, vector_D in zip(block, made_ND, strict=True):
                vectors_ND[rows_of[keys[row]]] = vector_D
        return vectors_ND, len(keys)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that would have to be encoded, each once."""
        text_of = {text_hash(text): text for text in texts}
        with self._explained():
            for (key,) in self._look_up("hash", list(text_of)):
                del text_of[key]
        return list(text_of.values())

    def _look_up(self, columns: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of those keys that are kept, some at a time."""
        for start in range(0, len(keys), _LOOKUP):
            part = keys[start : start + _LOOKUP]
            marks = ",".join("?" * len(part))
            yield from self._connection.execute(f"SELECT {columns} FROM vectors WHERE hash IN ({marks})", part)

    def _vector(self, blob: object) -> Floats32:
        if isinstance(blob, bytes) and len(blob) == 4 * self._dimension:
            vector_D = np.frombuffer(blob, dtype="<f4")
            if np.isfinite(vector_D).all():
                return vector_D
        raise sqlite3.DatabaseError("a vector that is none")

    def _keep(self, keys: list[str], vectors_ND: Floats32) -> None:
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in zip(keys, vectors_ND, strict=True)]
        with self._explained(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        failpoint("cache.commit")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite raises into an error with its remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, read-only, disk full
            hint = "check that the folder is writable and the disk has room, then repeat"
            raise WorkspaceError(f"{self._path}: cannot be used: {error}", hint=hint) from error
        except sqlite3.DatabaseError as error:
            hint = "delete this file; its vectors are made again"
            raise WorkspaceError(f"{self._path}: damaged: {error}", hint=hint) from error


def _worked_on(
    blocks: Sequence[list[int]], work: Callable[[list[int]], Floats32], *, workers: int
) -> Iterator[tuple[list[int], Floats32]]:
    """Each block and what ``work`` makes of it, in the order in which they are done; one worker is this thread.

    After a failure no more is begun; what was under way is still yielded, then the failure is raised.
    """
    if workers == 1:
        yield from ((block, work(block)) for block in blocks)
        return
    waiting, failure = iter(blocks), None
    pool = ThreadPoolExecutor(workers)
    try:
        running = {pool.submit(work, block): block for block in islice(waiting, workers)}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                block = running.pop(future)
                failure = failure or future.exception()
                if not failure:
                    running |= {pool.submit(work, following): following for following in islice(waiting, 1)}
                if not future.exception():
                    yield block, future.result()
    finally:
        pool.shutdown(wait=False)
    if failure:
        raise failure
