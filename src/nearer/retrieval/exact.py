"""The exact index: every vector on disk in one NumPy file, every query compared with all of them.

    <folder>/vectors-<digest>.npy    P passages x D dimensions, float32
    <folder>/passages-<digest>.json  doc_ids with their hashes, the first passage of each, and what may filter it

The manifest is replaced last and at once, so a killed build leaves the index of before.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nearer.core.errors import InputError
from nearer.core.filters import Filter, matches
from nearer.core.steps import reached
from nearer.measure.topk import top_k
from nearer.retrieval.entries import Entries, Floats, Ranking, checked_entries, checked_queries, joined, without
from nearer.retrieval.manifest import (
    MANIFEST,
    File,
    Manifest,
    Spec,
    damaged,
    keep_current,
    refresh_manifest,
    same_space,
    still_held,
    write_manifest,
)
from nearer.store.files import inside, write_atomic


class ExactIndex:
    """An open index: all in memory, what was current when it was opened."""

    def __init__(self, manifest: Manifest, content: Entries) -> None:
        self.manifest = manifest
        self.content = content

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "ExactIndex":
        """Read what ``manifest`` names. Raises WorkspaceError when it is missing or damaged."""
        try:
            passages = json.loads(_read_digested(folder, manifest.files["passages"]))
            vectors = _read_digested(folder, manifest.files["vectors"])
            content = Entries(
                doc_ids=tuple(passages["doc_ids"]),
                hashes=tuple(passages["hashes"] if "hashes" in passages else passages["text_hashes"]),  # format 1
                starts_N=np.asarray(passages["starts"], dtype=np.int64),
                vectors_PD=np.load(io.BytesIO(vectors), allow_pickle=False),
                values={name: tuple(values) for name, values in passages.get("values", {}).items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise damaged(folder / MANIFEST) from error
        return cls(manifest, content)

    def search(self, query_emb_QD: Floats, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space, InputError when they are near nothing.
        """
        same_space(self.manifest.spec, space_id)
        queries_QD = checked_queries(query_emb_QD, dimension=self.content.vectors_PD.shape[1], k=k)
        content = self.content if where is None else self.content.take(self._matching(where))
        wanted = max(1, min(k, len(content.doc_ids)))
        found = top_k(queries_QD, content.vectors_PD, k=wanted, starts_N=content.starts_N)
        return [
            [(content.doc_ids[row], float(score)) for row, score in zip(rows_K, scores_K, strict=True) if row >= 0]
            for rows_K, scores_K in zip(found.rows_QK.tolist(), found.scores_QK.tolist(), strict=True)
        ]

    def search_text(self, text: str, *, k: int, where: Filter | None = None) -> Ranking:
        """Raises InputError: this kind keeps no texts."""
        raise InputError(
            "the index is exact, which keeps no texts to search",
            hint='set index.kind = "lancedb" in nearer.toml, then: nearer index',
        )

    def hashes(self) -> dict[str, str]:
        """What each document was made of, by id."""
        return dict(zip(self.content.doc_ids, self.content.hashes, strict=True))

    def damage(self) -> tuple[str, ...]:
        """What is not as it was written: nothing, since opening compares the checksums."""
        return ()

    def recall(self, query_emb_QD: Floats) -> None:
        """Nothing to measure: search is exact."""
        return

    def _matching(self, where: Filter) -> list[int]:
        names, columns = list(self.content.values), list(self.content.values.values())
        rows = enumerate(zip(*columns, strict=True))
        return [row for row, values in rows if matches(where, dict(zip(names, values, strict=True)))]


def build_exact(
    folder: Path, *, spec: Spec, content: Entries, revision: int, before: Manifest | None = None
) -> ExactIndex:
    """Make ``content`` current. Raises WorkspaceError for a vector that is zero or not finite."""
    checked_entries(content)
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(content.vectors_PD, dtype="<f4"), allow_pickle=False)
    passages = {
        "doc_ids": content.doc_ids,
        "hashes": content.hashes,
        "starts": content.starts_N.tolist(),
        "values": dict(content.values),
    }
    files = {"vectors": _write_digested(folder, "vectors", ".npy", buffer.getvalue())}
    reached("index.vectors")
    files["passages"] = _write_digested(folder, "passages", ".json", json.dumps(passages).encode())
    reached("index.passages")
    manifest = Manifest(
        kind="exact",
        spec=spec,
        num_documents=len(content.doc_ids),
        num_passages=len(content.vectors_PD),
        revision=revision,
        files=files,
        retired=still_held(before, None),
    )
    write_manifest(folder, manifest)
    keep_current(folder, manifest)
    reached("index.cleanup")
    return ExactIndex(manifest, content)


def update_exact(
    folder: Path, index: ExactIndex, *, removed: Collection[str], changed: Iterable[Entries], revision: int
) -> ExactIndex:
    """Write the index anew, with what did not change taken over from it."""
    parts = [replace(entries, texts=()) for entries in changed]
    if not parts and not removed:
        return ExactIndex(refresh_manifest(folder, index.manifest, revision=revision), index.content)
    content = joined([without(index.content, removed), *parts])
    return build_exact(folder, spec=index.manifest.spec, content=content, revision=revision, before=index.manifest)


def _write_digested(folder: Path, stem: str, suffix: str, data: bytes) -> File:
    digest = hashlib.sha256(data).hexdigest()
    file = File(name=f"{stem}-{digest[:16]}{suffix}", sha256=digest)
    write_atomic(folder / file.name, data)
    return file


def _read_digested(folder: Path, file: File) -> bytes:
    path = inside(folder, file.name)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise damaged(path) from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise damaged(path)
    return data
