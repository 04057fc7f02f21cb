"""Build and verify the index of a system's space."""

import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from nearer.core.arrays import Floats32
from nearer.core.errors import Conflict, InputError, NearerError, WorkspaceBusy
from nearer.core.filters import Fields
from nearer.core.ids import text_hash
from nearer.core.progress import Progress, Silent
from nearer.core.results.serving import BuiltIndex
from nearer.core.spans import span
from nearer.encode.corpus import Corpus, chunking_name, cut, embed_passages, embed_queries, tell_cost, window_of
from nearer.encode.embedded import Corpora
from nearer.encode.engine import current_engine
from nearer.retrieval.entries import Entries
from nearer.retrieval.fields import FieldTypes, columns, entry_hash, kept_values
from nearer.retrieval.index import Index, build_index, differences, open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import Manifest, Spec
from nearer.store.collection import Collection, batches
from nearer.store.files import inside
from nearer.store.workspace import Workspace
from nearer.systems import System

DOCUMENTS_AT_ONCE = 1024
"""Documents that are read, cut and encoded together: what is in memory at once."""

_SENT_AT_ONCE = 2**17
"""The same where other machines encode: they are begun anew for each."""
_PATIENCE_S = 5.0
_AGAIN_S = 0.1


def build(workspace: Workspace, system: System, *, corpora: Corpora | None = None, progress: Progress) -> BuiltIndex:
    """Bring the index of one system's space up to the documents; those of ``corpora``, if unchanged, are not cut again.

    It is built anew where there is none, where it is damaged, and where it was made for another recipe. A service may
    be at the same index for a moment: it waits for that. Raises WorkspaceBusy or Conflict when that was not enough.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _build(workspace, system, corpora=corpora, progress=progress)
        except (WorkspaceBusy, Conflict):
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def _build(workspace: Workspace, system: System, *, corpora: Corpora | None, progress: Progress) -> BuiltIndex:
    with span("index", space_id=system.model.space_id):
        return _built(_Source(workspace, system, progress, corpora=corpora), system)


def _built(source: "_Source", system: System) -> BuiltIndex:
    made = source.update() or source.build()
    if source.outdated(made.manifest):  # it outgrew its kind
        made = source.build()
    return BuiltIndex(
        system=system.name,
        space_id=system.model.space_id,
        num_documents=made.manifest.num_documents,
        num_passages=made.manifest.num_passages,
        num_encoded=source.num_encoded,
        index=made.manifest.summary,
    )


def changed_documents(workspace: Workspace, system: System) -> list[str]:
    """The ids of the documents that the index of a system's space lacks, or has as they were before an edit.

    Raises what opening the index raises.
    """
    index = open_index(folder_of(workspace, system.model.space_id), space_id=system.model.space_id)
    indexed = index.hashes()
    hashes = entry_hashes(workspace.collection, index.manifest.spec.fields)
    return [doc_id for doc_id, each in hashes.items() if indexed.get(doc_id) != each]


def verify(workspace: Workspace, system: System) -> tuple[str, ...]:
    """What is wrong with the index of a system's space; empty when it is whole and follows documents and recipe."""
    try:
        source = _Source(workspace, system, Silent())
        opened = source.open()
        faults = [*opened.damage(), *source.outdated(opened.manifest)]
        if short := source.policy.shortfall(source.with_own_recall(opened)):
            faults.append(short)
        fields = opened.manifest.spec.fields
        return (*faults, *differences(opened.hashes(), entry_hashes(workspace.collection, fields)))
    except NearerError as error:
        return (error.message,)


def entry_hashes(collection: Collection, fields: Fields) -> dict[str, str]:
    """What every document would be indexed as, by id."""
    if not fields:
        return collection.document_hashes()
    rows = collection.document_metadata()
    return {doc_id: entry_hash(text, metadata, fields) for doc_id, text, metadata in rows}


class _Source:
    """What the index of one system is made from, and where it is."""

    def __init__(
        self, workspace: Workspace, system: System, progress: Progress, *, corpora: Corpora | None = None
    ) -> None:
        recipe, files = workspace.recipe.index, workspace.recipe.store.files
        self.policy = IndexPolicy(
            kind=None if recipe.kind == "auto" else recipe.kind,
            url=recipe.url,
            files=f"{files.rstrip('/')}/indexes/{system.model.space_id}" if files else None,
            exact_up_to=recipe.exact_up_to,
            min_recall=recipe.min_recall,
            queries=self._query_vectors,
        )
        self.num_encoded = 0
        self._workspace, self._system, self._progress = workspace, system, progress
        self._collection = workspace.collection
        self._revision = self._collection.revision()
        self._folder = folder_of(workspace, system.model.space_id)
        self._window = window_of(system.chunk, system.encoder)
        self._cut_before = corpora.corpus(system.encoder, chunk=system.chunk) if corpora else None
        self._row_of = {doc_id: row for row, doc_id in enumerate(self._cut_before.doc_ids if self._cut_before else ())}
        self._spec = Spec(
            space_id=system.model.space_id,
            chunking=chunking_name(self._window),
            fields=_fields_of(workspace),
        )
        self._has_types = bool(self._spec.fields) or not recipe.filter_fields  # without documents there are none

    def open(self) -> Index:
        """The current index. Raises NearerError when there is none, or it cannot be used."""
        return open_index(self._folder, space_id=self._spec.space_id)

    def outdated(self, manifest: Manifest) -> tuple[str, ...]:
        """How an index was made otherwise than the recipe wants it, so that it must be built anew."""
        was, kind = manifest.spec, self.policy.kind_after(manifest)
        fields = self._spec.fields if self._has_types else was.fields
        choices: list[tuple[str, object, object]] = [
            ("passages cut as", was.chunking, self._spec.chunking),
            ("filter fields", dict(was.fields), dict(fields)),
            ("kind", manifest.kind, kind),
        ]
        if manifest.kind == kind == "lancedb":
            choices.append(("tables in", manifest.server or "the workspace", self.policy.files or "the workspace"))
        return tuple(f"{what} {then!r}, now {now!r}" for what, then, now in choices if then != now)

    def with_own_recall(self, index: Index) -> Manifest:
        """The manifest of an index; under a query adapter with the recall of its own queries, not of the base's."""
        manifest = index.manifest
        if manifest.recall is None or not self._system.encoder.shares_documents:
            return manifest
        vectors_QD = self._query_vectors()
        return manifest if vectors_QD is None else replace(manifest, recall=index.recall(vectors_QD))

    def update(self) -> Index | None:
        """The current index after writing what changed; none where that cannot be done."""
        try:
            current = self.open()
            if self.outdated(current.manifest) or current.damage():
                return None
        except NearerError:  # there is none, or it cannot be read
            return None
        indexed = current.hashes()
        hashes = entry_hashes(self._collection, self._spec.fields)
        changed = [doc_id for doc_id, each in hashes.items() if indexed.get(doc_id) != each]
        return update_index(
            self._folder,
            current,
            removed=indexed.keys() - hashes.keys(),
            changed=self._entries(changed),
            policy=self.policy,
            revision=self._revision,
        )

    def build(self) -> Index:
        """A new index of all documents. Raises InputError when there are none."""
        doc_ids = list(self._collection.document_hashes())
        if not doc_ids:
            raise InputError("the workspace holds no documents", hint="import some: nearer add corpus FILE")
        return build_index(
            self._folder, spec=self._spec, batches=self._entries(doc_ids), policy=self.policy, revision=self._revision
        )

    def _entries(self, doc_ids: Sequence[str]) -> Iterator[Entries]:
        """Documents as an index keeps them, a batch at a time."""
        is_sent = current_engine() is not None
        parts = list(batches(doc_ids, _SENT_AT_ONCE if is_sent else DOCUMENTS_AT_ONCE))
        encoder, fields = self._system.encoder, self._spec.fields
        passages = (self._cut(part).passages for part in parts)
        tell_cost(self._workspace, encoder, "documents", passages, self._progress)
        for part in self._progress.track(parts, label="encode documents", total=len(doc_ids), size=len):
            corpus = self._cut(part)
            within = self._progress if is_sent else Silent()
            vectors_PD, num_encoded = embed_passages(self._workspace, encoder, corpus.passages, within)
            self.num_encoded += num_encoded
            yield Entries(
                doc_ids=corpus.doc_ids,
                hashes=tuple(entry_hash(text_hash(d.full_text), d.metadata, fields) for d in corpus.documents),
                starts_N=corpus.starts_N,
                vectors_PD=vectors_PD,
                values=columns([kept_values(d.metadata, fields) for d in corpus.documents], fields),
            )

    def _cut(self, doc_ids: Sequence[str]) -> Corpus:
        """Some documents as passages: as they were cut before, where they are still the same."""
        before = self._cut_before
        if before is None or before.revision != self._revision:
            return cut(self._collection.documents(doc_ids), self._system.encoder, self._window)
        return before.some([self._row_of[doc_id] for doc_id in doc_ids])

    def _query_vectors(self) -> Floats32 | None:
        """Vectors of the workspace's queries, drawn by a hash so that the same ones judge every build."""
        queries = sorted(self._collection.queries(), key=lambda query: text_hash(query.query_id))
        drawn = queries[: self.policy.num_recall_queries]
        return embed_queries(self._workspace, self._system.encoder, drawn, self._progress) if drawn else None


def folder_of(workspace: Workspace, space_id: str) -> Path:
    """Where an index is: one folder a space."""
    return inside(workspace.indexes, space_id)


def refuse_unfilterable(workspace: Workspace) -> None:
    """Raise InputError for fields of index.filter_fields that no index can keep; no model is opened for that."""
    _fields_of(workspace)


def _fields_of(workspace: Workspace) -> Fields:
    recipe = workspace.recipe
    return _field_types(workspace.collection, recipe.index.filter_fields, recipe.columns.documents.texts)


def _field_types(collection: Collection, names: Sequence[str], texts: AbstractSet[str]) -> Fields:
    """The type of every field that may filter.

    Raises InputError for a field that no document has, and for values that cannot be compared with one another.
    """
    if not names:
        return {}
    types, num_documents = FieldTypes(names, texts=texts), 0
    for doc_id, _, metadata in collection.document_metadata():
        types.see(doc_id, metadata)
        num_documents += 1
    found = types.found()
    if missing := [name for name in names if name not in found and num_documents]:
        raise InputError(
            f"no document has the field {missing[0]!r} of index.filter_fields",
            hint="correct the name in nearer.toml, or take it out",
        )
    return found
