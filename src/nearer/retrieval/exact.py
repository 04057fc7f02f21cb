"""The exact index: every vector on disk in one NumPy file, every query compared with all of them.

    <folder>/vectors-<digest>.npy    P passages x D dimensions, float32
    <folder>/passages-<digest>.json  doc_ids with their hashes, the first passage of each, and what may filter it

The manifest is replaced last and at once, so a killed build leaves the index of before.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.failpoints import failpoint
from nearer.core.filters import Filter
from nearer.core.results.serving import Recall
from nearer.retrieval.entries import Entries, Ranking, Stored, checked_entries, checked_queries, joined, without
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
from nearer.retrieval.masks import Column, columns_of, mask_of
from nearer.store.files import inside, write_atomic
from nearer.vectors.topk import top_k


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
            vectors = io.BytesIO(_read_digested(folder, manifest.files["vectors"]))
            content = Entries(
                doc_ids=tuple(passages["doc_ids"]),
                hashes=tuple(passages["hashes"]),
                starts_N=np.asarray(passages["starts"], dtype=np.int64),
                vectors_PD=np.load(vectors, allow_pickle=False),
                values={name: tuple(values) for name, values in passages["values"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise damaged(folder / MANIFEST) from error
        return cls(manifest, content)

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space, InputError when they are near nothing.
        """
        same_space(self.manifest.spec, space_id)
        content = self.content
        queries_QD = checked_queries(query_emb_QD, dimension=content.vectors_PD.shape[1], k=k)
        if where is not None:
            content = content.take(np.flatnonzero(mask_of(where, self._columns)))
        wanted = max(1, min(k, len(content.doc_ids)))
        found = top_k(queries_QD, content.vectors_PD, k=wanted, starts_N=content.starts_N)
        return [
            [(content.doc_ids[row], float(score)) for row, score in zip(rows_K, scores_K, strict=True) if row >= 0]
            for rows_K, scores_K in zip(found.rows_QK.tolist(), found.scores_QK.tolist(), strict=True)
        ]

    def stored(self, doc_ids: Sequence[str]) -> dict[str, Stored]:
        """What each document was made of, and its passages' vectors; those that are not in it are left out."""
        content, found = self.content, {}
        for doc_id in doc_ids:
            if (row := self._rows.get(doc_id)) is not None:
                passages = content.vectors_PD[content.passages_of([row])]
                found[doc_id] = Stored(hash=content.hashes[row], emb_PD=passages)
        return found

    def hashes(self) -> dict[str, str]:
        """What each document was made of, by id."""
        return dict(zip(self.content.doc_ids, self.content.hashes, strict=True))

    def damage(self) -> tuple[str, ...]:
        """What is not as it was written: nothing, since opening compares the checksums."""
        return ()

    def recall(self, query_emb_QD: Floats32) -> Recall | None:
        """None: every passage is compared."""
        return None

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return columns_of(self.content.values, self.manifest.spec.fields)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {doc_id: row for row, doc_id in enumerate(self.content.doc_ids)}


def build_exact(
    folder: Path, *, spec: Spec, content: Entries, revision: int, before: Manifest | None = None
) -> ExactIndex:
    """Make ``content`` current. Raises WorkspaceError for a vector that is zero or not finite."""
    checked_entries(content)
    passages = {
        "doc_ids": content.doc_ids,
        "hashes": content.hashes,
        "starts": content.starts_N.tolist(),
        "values": dict(content.values),
    }
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(content.vectors_PD, dtype="<f4"), allow_pickle=False)
    files = {"vectors": _write_digested(folder, "vectors", ".npy", buffer.getvalue())}
    failpoint("index.vectors")
    files["passages"] = _write_digested(folder, "passages", ".json", json.dumps(passages).encode())
    failpoint("index.passages")
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
    failpoint("index.cleanup")
    return ExactIndex(manifest, content)


def update_exact(
    folder: Path, index: ExactIndex, *, removed: Collection[str], changed: Iterable[Entries], revision: int
) -> ExactIndex:
    """Write the index anew, with what did not change taken over from it."""
    parts = list(changed)
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
