"""The exact index: every vector on disk in one NumPy file, every query compared with all of them.

    <folder>/vectors-<digest>.npy    P passages x D dimensions, float32, float16, or int8 codes
    <folder>/ranges-<digest>.npy     of int8 codes: the least value and the step of each dimension, float32
    <folder>/bits-<digest>.npy       of binary: the signs, W words x P passages
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

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.filters import Filter, matches
from nearer.retrieval.entries import Entries, Ranking, checked_entries, checked_queries, joined, without
from nearer.retrieval.manifest import (
    MANIFEST,
    File,
    Manifest,
    Recall,
    Spec,
    damaged,
    keep_current,
    refresh_manifest,
    same_space,
    still_held,
    write_manifest,
)
from nearer.retrieval.policy import Policy
from nearer.retrieval.recall import K, recall_of
from nearer.store.files import inside, write_atomic
from nearer.vectors.quantise import Quantised, Ranges, quantise, search

RESCORE = (4, 8, 16, 32, 64)
"""Documents that signs find for each that is wanted, tried in order until recall is reached.

Source: the first is that of Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024).
"""


class ExactIndex:
    """An open index: all in memory, what was current when it was opened.

    ``kept`` holds the vectors. Those of ``content`` are the same, or below float32 have no columns.
    """

    def __init__(self, manifest: Manifest, content: Entries, kept: Quantised) -> None:
        self.manifest = manifest
        self.content = content
        self.kept = kept

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "ExactIndex":
        """Read what ``manifest`` names. Raises WorkspaceError when it is missing or damaged."""
        try:
            passages = json.loads(_read_digested(folder, manifest.files["passages"]))
            kept = _read_kept(folder, manifest)
            content = Entries(
                doc_ids=tuple(passages["doc_ids"]),
                hashes=tuple(passages["hashes"] if "hashes" in passages else passages["text_hashes"]),  # format 1
                starts_N=np.asarray(passages["starts"], dtype=np.int64),
                vectors_PD=_columns(kept),
                values={name: tuple(values) for name, values in passages.get("values", {}).items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise damaged(folder / MANIFEST) from error
        return cls(manifest, content, kept)

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space, InputError when they are near nothing.
        """
        same_space(self.manifest.spec, space_id)
        queries_QD = checked_queries(query_emb_QD, dimension=self.kept.dimension, k=k)
        content, kept = self.content, self.kept
        if where is not None:
            rows = self._matching(where)
            content, kept = content.take(rows), kept.take(content.passages_of(rows))
        wanted = max(1, min(k, len(content.doc_ids)))
        rescore = self.manifest.rescore or RESCORE[0]
        found = search(queries_QD, kept, k=wanted, starts_N=content.starts_N, rescore=rescore)
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

    def recall(self, query_emb_QD: Floats32) -> Recall | None:
        """What was measured when it was built, if anything was: the vectors that it was made of are not here."""
        return self.manifest.recall

    def _matching(self, where: Filter) -> list[int]:
        names, columns = list(self.content.values), list(self.content.values.values())
        rows = enumerate(zip(*columns, strict=True))
        return [row for row, values in rows if matches(where, dict(zip(names, values, strict=True)))]


def build_exact(
    folder: Path, *, spec: Spec, content: Entries, policy: Policy, revision: int, before: Manifest | None = None
) -> ExactIndex:
    """Make ``content`` current. Raises WorkspaceError for a vector that is zero or not finite.

    Below float32 its recall is measured beside the vectors as they were given.
    """
    checked_entries(content)
    kept = quantise(content.vectors_PD, spec.precision)
    recall, rescore = (None, None) if spec.precision == "float32" else _measured(kept, content, policy)
    passages = {
        "doc_ids": content.doc_ids,
        "hashes": content.hashes,
        "starts": content.starts_N.tolist(),
        "values": dict(content.values),
    }
    files = _write_kept(folder, kept)
    failpoint("index.vectors")
    files["passages"] = _write_digested(folder, "passages", ".json", json.dumps(passages).encode())
    failpoint("index.passages")
    manifest = Manifest(
        kind="exact",
        spec=spec,
        num_documents=len(content.doc_ids),
        num_passages=len(kept),
        revision=revision,
        files=files,
        retired=still_held(before, None),
        recall=recall,
        rescore=rescore,
    )
    write_manifest(folder, manifest)
    keep_current(folder, manifest)
    failpoint("index.cleanup")
    return ExactIndex(manifest, replace(content, vectors_PD=_columns(kept)), kept)


def update_exact(
    folder: Path,
    index: ExactIndex,
    *,
    removed: Collection[str],
    changed: Iterable[Entries],
    policy: Policy,
    revision: int,
) -> ExactIndex:
    """Write the index anew, with what did not change taken over from it; below float32 nothing may have changed."""
    parts = [replace(entries, texts=()) for entries in changed]
    if not parts and not removed:
        return ExactIndex(refresh_manifest(folder, index.manifest, revision=revision), index.content, index.kept)
    spec = index.manifest.spec
    assert spec.precision == "float32", "rounded vectors would be rounded again: build anew"
    content = joined([without(index.content, removed), *parts])
    return build_exact(folder, spec=spec, content=content, policy=policy, revision=revision, before=index.manifest)


def _columns(kept: Quantised) -> Floats32:
    """The vectors as entries hold them: without columns where float32 is not what is kept."""
    return kept.vectors_PD if kept.precision == "float32" else np.empty((len(kept), 0), np.float32)


def _measured(kept: Quantised, content: Entries, policy: Policy) -> tuple[Recall, int | None]:
    """The recall of what is kept and, of binary, by how much rescoring it is reached, or else the best."""
    queries_QD, measured_on = policy.queries(), "queries"
    if queries_QD is None:
        places = np.linspace(0, len(kept) - 1, policy.num_recall_queries).astype(np.int64)
        queries_QD, measured_on = content.vectors_PD[np.unique(places)], "passages"
    tried: list[tuple[float, int]] = []
    for rescore in RESCORE if kept.precision == "binary" else RESCORE[:1]:
        tried.append((recall_of(kept, content, queries_QD, rescore=rescore), rescore))
        if tried[-1][0] >= policy.min_recall:
            break
    value, rescore = max(tried, key=lambda each: each[0])
    recall = Recall(value=value, k=K, num_queries=len(queries_QD), measured_on=measured_on)
    return recall, rescore if kept.precision == "binary" else None


def _write_kept(folder: Path, kept: Quantised) -> dict[str, File]:
    arrays = {"vectors": kept.vectors_PD}
    if kept.ranges is not None:
        arrays["ranges"] = np.stack([kept.ranges.low_D, kept.ranges.step_D])
    if kept.bits_WP is not None:
        arrays["bits"] = kept.bits_WP
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        little = array.dtype.newbyteorder("<")
        np.save(buffer, np.ascontiguousarray(array, dtype=little), allow_pickle=False)
        files[name] = _write_digested(folder, name, ".npy", buffer.getvalue())
    return files


def _read_kept(folder: Path, manifest: Manifest) -> Quantised:
    arrays = {
        name: np.load(io.BytesIO(_read_digested(folder, manifest.files[name])), allow_pickle=False)
        for name in ("vectors", "ranges", "bits")
        if name == "vectors" or name in manifest.files
    }
    ranges = Ranges(low_D=arrays["ranges"][0], step_D=arrays["ranges"][1]) if "ranges" in arrays else None
    return Quantised(
        precision=manifest.spec.precision, vectors_PD=arrays["vectors"], ranges=ranges, bits_WP=arrays.get("bits")
    )


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
