"""The exact index: every vector on disk in one NumPy file, every query compared with all of them.

    <folder>/manifest.json           which files are current, their checksums, and the space they belong to
    <folder>/vectors-<digest>.npy    P passages x D dimensions, float32
    <folder>/passages-<digest>.json  doc_ids with their text hashes, and the first passage of each

The manifest is replaced last and at once, so a killed build leaves the index of before.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearer.core.errors import NotFound, SpaceMismatch, WorkspaceError
from nearer.measure.topk import TopK, top_k
from nearer.store.files import write_atomic

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexContent:
    """What an index holds: N documents in id order, their text hashes, first passages and P vectors.

    ``chunking`` says how the passages were cut.
    """

    space_id: str
    chunking: str
    doc_ids: tuple[str, ...]
    text_hashes: tuple[str, ...]
    starts_N: Ints
    vectors_PD: Floats


class ExactIndex:
    """An open index, reading what was current when it was opened."""

    def __init__(self, content: IndexContent) -> None:
        self.content = content

    @classmethod
    def build(cls, folder: Path, content: IndexContent) -> "ExactIndex":
        """Write ``content`` and make it current. Raises WorkspaceError when a vector is not finite."""
        if not np.isfinite(content.vectors_PD).all():
            raise WorkspaceError("a document's vector is not finite", hint="rebuild: nearer index")
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(content.vectors_PD, dtype="<f4"), allow_pickle=False)
        passages = {
            "doc_ids": content.doc_ids,
            "text_hashes": content.text_hashes,
            "starts": content.starts_N.tolist(),
        }
        vectors = _write_digested(folder, "vectors", ".npy", buffer.getvalue())
        listing = _write_digested(folder, "passages", ".json", json.dumps(passages).encode())
        manifest = {
            "format_version": FORMAT_VERSION,
            "kind": "exact",
            "space_id": content.space_id,
            "chunking": content.chunking,
            "num_documents": len(content.doc_ids),
            "num_passages": len(content.vectors_PD),
            "files": {"vectors": vectors, "passages": listing},
        }
        write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
        _remove_all_but(folder, {_MANIFEST, vectors["name"], listing["name"]})
        return cls(content)

    @classmethod
    def open(cls, folder: Path, *, space_id: str) -> "ExactIndex":
        """Open the current index of a space.

        Raises NotFound when none was built, SpaceMismatch when the folder holds another space, WorkspaceError
        when files are damaged or of a newer format.
        """
        manifest = _read_manifest(folder, space_id=space_id)
        try:
            return cls(_read_content(folder, manifest))
        except WorkspaceError:
            newer = _read_manifest(folder, space_id=space_id)
            if newer == manifest:
                raise
            return cls(_read_content(folder, newer))  # rebuilt while it was being read

    def search(self, query_emb_QD: Floats, *, space_id: str, k: int) -> TopK:
        """The ``k`` best documents of each query, as rows of ``content.doc_ids``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space.
        """
        if space_id != self.content.space_id:
            raise SpaceMismatch(
                f"a query of space {space_id} met an index of space {self.content.space_id}",
                hint="search with the release's own model",
            )
        return top_k(query_emb_QD, self.content.vectors_PD, k=k, starts_N=self.content.starts_N)

    def differences(self, text_hashes: dict[str, str], *, chunking: str) -> tuple[str, ...]:
        """How the index differs from the documents, given each one's text hash by id; empty when it follows them."""
        if chunking != self.content.chunking:
            return (f"passages cut as {self.content.chunking!r}, now {chunking!r}",)
        indexed = dict(zip(self.content.doc_ids, self.content.text_hashes, strict=True))
        missing = len(text_hashes.keys() - indexed.keys())
        gone = len(indexed.keys() - text_hashes.keys())
        changed = sum(indexed[doc_id] != text_hashes[doc_id] for doc_id in indexed.keys() & text_hashes.keys())
        counts = {"not in the index": missing, "in the index but removed": gone, "indexed with an older text": changed}
        return tuple(f"{count} documents {what}" for what, count in counts.items() if count)


def _read_manifest(folder: Path, *, space_id: str) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"no index of space {space_id}", hint="build it: nearer index") from error
    except ValueError as error:
        raise _damaged(folder / _MANIFEST) from error
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise _damaged(folder / _MANIFEST)
    if manifest["format_version"] != FORMAT_VERSION:
        raise WorkspaceError(
            f"{folder}: index format {manifest['format_version']}, this program reads {FORMAT_VERSION}",
            hint="rebuild: nearer index",
        )
    if not manifest.keys() >= {"space_id", "chunking", "files"}:
        raise _damaged(folder / _MANIFEST)
    if manifest["space_id"] != space_id:
        raise SpaceMismatch(
            f"{folder} holds space {manifest['space_id']}, not {space_id}", hint="rebuild: nearer index"
        )
    return manifest


def _read_content(folder: Path, manifest: dict[str, Any]) -> IndexContent:
    passages = json.loads(_read_digested(folder, manifest["files"]["passages"]))
    vectors_PD = np.load(io.BytesIO(_read_digested(folder, manifest["files"]["vectors"])), allow_pickle=False)
    return IndexContent(
        space_id=manifest["space_id"],
        chunking=manifest["chunking"],
        doc_ids=tuple(passages["doc_ids"]),
        text_hashes=tuple(passages["text_hashes"]),
        starts_N=np.asarray(passages["starts"], dtype=np.int64),
        vectors_PD=vectors_PD,
    )


def _write_digested(folder: Path, stem: str, suffix: str, data: bytes) -> dict[str, str]:
    digest = hashlib.sha256(data).hexdigest()
    name = f"{stem}-{digest[:16]}{suffix}"
    write_atomic(folder / name, data)
    return {"name": name, "sha256": digest}


def _read_digested(folder: Path, entry: dict[str, str]) -> bytes:
    path = folder / entry["name"]
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise _damaged(path) from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise _damaged(path)
    return data


def _damaged(path: Path) -> WorkspaceError:
    return WorkspaceError(f"{path}: missing or damaged", hint="rebuild: nearer index")


def _remove_all_but(folder: Path, names: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink(missing_ok=True)
