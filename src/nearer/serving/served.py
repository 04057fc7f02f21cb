"""What a searcher serves at a time: a release's system, the index of its space, and the words of the documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from nearer.core.arrays import Floats32
from nearer.core.errors import NotFound
from nearer.core.filters import Fields
from nearer.core.records import Document, Passage
from nearer.encode.chunk import Window, passages
from nearer.encode.corpus import chunking_name, window_of
from nearer.retrieval.fields import columns, kept_values
from nearer.retrieval.index import Index, differences, open_index
from nearer.retrieval.manifest import MANIFEST, Manifest, read_manifest
from nearer.retrieval.masks import Column, columns_of
from nearer.serving.encode_queue import EncodeQueue
from nearer.store.collection import Collection
from nearer.store.registered import Release
from nearer.store.workspace import Workspace
from nearer.systems import LIVE, System, open_release
from nearer.systems.lexical import Bm25, read_bm25
from nearer.systems.pipeline import wants_bm25
from nearer.systems.space_index import entry_hashes, folder_of


class Lexical:
    """BM25 over the documents of one revision, and the values that may filter them; read when first wanted."""

    def __init__(self, workspace: Workspace, fields: Fields, *, language: str) -> None:
        self._workspace, self._fields, self.language = workspace, fields, language
        self._reading = Lock()

    @property
    def bm25(self) -> Bm25:
        """The index, whose rows are places in its ``doc_ids``."""
        with self._reading:
            return self._bm25

    @property
    def columns(self) -> dict[str, Column]:
        """The values of the fields that may filter, a row for each of the ``doc_ids``."""
        with self._reading:
            return self._columns

    @cached_property
    def _bm25(self) -> Bm25:
        return read_bm25(self._workspace, language=self.language)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        rows = self._workspace.collection.document_metadata()
        values = {doc_id: kept_values(metadata, self._fields) for doc_id, _, metadata in rows}
        none = (None,) * len(self._fields)  # of a document that was removed meanwhile
        return columns_of(
            columns([values.get(doc_id, none) for doc_id in self._bm25.doc_ids], self._fields), self._fields
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """A snapshot: queries that were asked of it are answered by it, whatever is opened after it.

    Metadata among ``texts`` is text whatever it looks like.
    With a ``queue`` the texts of many threads are encoded together; those of what is not ``is_urgent`` come last.
    """

    release: Release
    system: System
    index: Index
    lexical: Lexical
    revision: int
    texts: frozenset[str] = frozenset()
    queue: EncodeQueue | None = None
    is_urgent: bool = True

    @property
    def fields(self) -> Fields:
        """The fields that may filter."""
        return self.index.manifest.spec.fields

    @property
    def window(self) -> Window | None:
        """How documents are cut."""
        return window_of(self.system.chunk, self.system.encoder)

    def encode_queries(self, texts: Sequence[str], *, deadline: float | None = None) -> Floats32:
        """The vectors of queries, shape (Q, D). Raises what the queue raises."""
        encoder = self.system.encoder
        if self.queue is None:
            return encoder.encode_queries(texts)
        return self.queue.encode(encoder, texts, side="query", deadline=deadline, urgent=self.is_urgent)

    def encode_passages(self, texts: Sequence[str]) -> Floats32:
        """The vectors of passages, shape (P, D). Raises what the queue raises."""
        encoder = self.system.encoder
        if self.queue is None:
            return encoder.encode_documents(texts)
        return self.queue.encode(encoder, texts, side="document", urgent=self.is_urgent)

    def passages_of(self, document: Document) -> list[Passage]:
        """A document as the index cuts it."""
        return list(passages([document], window=self.window, token_spans=self.system.encoder.token_spans))

    def differences(self, collection: Collection) -> list[str]:
        """How the index differs from the documents; an equal revision tells without reading them that it follows."""
        manifest, cut = self.index.manifest, chunking_name(self.window)
        if manifest.spec.chunking != cut:
            return [f"passages cut as {manifest.spec.chunking!r}, now {cut!r}"]
        if manifest.revision == collection.revision():
            return []
        return list(differences(self.index.hashes(), entry_hashes(collection, self.fields)))

    def manifest_now(self, workspace: Workspace) -> Manifest:
        """What is current in the folder of its index. Raises what reading it raises."""
        space_id = self.release.space_id
        return read_manifest(folder_of(workspace, space_id), space_id=space_id)

    def warm_up(self) -> None:
        """Answer a first query, which takes longer than others."""
        vector_QD = self.encode_queries(["a query"])
        self.index.search(vector_QD, space_id=self.system.encoder.space_id, k=1)
        if wants_bm25(self.system.stages):
            self.lexical.bm25.index.search(["a query"], k=1)
        if self.system.reranker:
            self.system.reranker.scores([("a query", "a document")])


def live_release(workspace: Workspace) -> Release:
    """The release that answers queries now. Raises NotFound when nothing is live."""
    release = workspace.registry.live()
    if release is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    return release


def open_served(
    workspace: Workspace,
    release: Release,
    before: Served | None = None,
    *,
    queue: EncodeQueue | None = None,
    is_urgent: bool = True,
) -> Served:
    """A release as it is served now; of ``before`` everything is kept that is the same still.

    With a ``queue``, for a service, it has answered a first query. Raises what opening the release and its index raise.
    """
    same = before is not None and before.release.release_id == release.release_id
    system = before.system if before and same else open_release(workspace, release, name=LIVE)
    index = _index(workspace, release, before)
    revision = workspace.collection.revision()
    fields = index.manifest.spec.fields
    language = system.search.language if wants_bm25(system.stages) else workspace.recipe.search.language
    if before and (before.revision, before.fields, before.lexical.language) == (revision, fields, language):
        lexical = before.lexical
    else:
        lexical = Lexical(workspace, fields, language=language)
    served = Served(
        release=release,
        system=system,
        index=index,
        lexical=lexical,
        revision=revision,
        texts=workspace.recipe.columns.documents.texts,
        queue=queue,
        is_urgent=is_urgent,
    )
    if queue:
        served.warm_up()
    return served


def _index(workspace: Workspace, release: Release, before: Served | None) -> Index:
    """The index of a release's space: what was open before, if that is current still."""
    folder = folder_of(workspace, release.space_id)
    manifest = read_manifest(folder, space_id=release.space_id)
    if before and before.release.space_id == release.space_id and before.index.manifest == manifest:
        return before.index
    return open_index(folder, space_id=release.space_id)


def index_stamp(workspace: Workspace, space_id: str) -> object:
    """What differs once the index of a space was changed; None where there is none."""
    try:
        found = (folder_of(workspace, space_id) / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
