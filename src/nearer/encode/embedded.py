"""A corpus with the vectors of its passages: what documents are ranked, learned from and advised on by.

Arrays: N documents, P passages, Q queries, K ranked documents, D dimensions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from nearer.core.arrays import Floats32, Ints
from nearer.core.progress import Progress
from nearer.core.records import Document, Query
from nearer.core.sections import ChunkRecipe
from nearer.encode.chunk import Window
from nearer.encode.corpus import Corpus, cut, embed_passages, embed_queries, read_documents, refuse_edited, window_of
from nearer.encode.encoder import TextEncoder
from nearer.store.workspace import Workspace
from nearer.vectors.topk import TopK, best_passages, top_k


class EmbeddedCorpus:
    """A corpus cut for an encoder, and the vectors of its passages, which are made when they are first wanted."""

    def __init__(self, workspace: Workspace, encoder: TextEncoder, corpus: Corpus, *, progress: Progress) -> None:
        self.workspace, self.encoder, self.corpus, self.progress = workspace, encoder, corpus, progress
        self._passage_emb_PD: Floats32 | None = None

    @classmethod
    def read(
        cls, workspace: Workspace, encoder: TextEncoder, *, chunk: ChunkRecipe | None = None, progress: Progress
    ) -> "EmbeddedCorpus":
        """All documents, cut as the recipe (or ``chunk``) says. Raises InputError when there are none."""
        return Corpora(workspace, progress).embedded(encoder, chunk=chunk)

    @property
    def passage_emb_PD(self) -> Floats32:
        """The passages' vectors, shape (P, D), through the cache.

        No ``cached_property``: in Python 3.11 measurements in other threads would wait for the end of this one.
        """
        if self._passage_emb_PD is None:
            passages = self.corpus.passages
            self._passage_emb_PD, _ = embed_passages(self.workspace, self.encoder, passages, self.progress)
        return self._passage_emb_PD

    def encode(self) -> None:
        """Make the passages' vectors, where they are not made yet."""
        _ = self.passage_emb_PD

    def embed_queries(self, queries: Sequence[Query]) -> Floats32:
        """The queries' vectors, shape (Q, D), through the cache."""
        return embed_queries(self.workspace, self.encoder, queries, self.progress)

    def top_k(self, query_emb_QD: Floats32, *, k: int, excluded: tuple[Ints, Ints] | None = None) -> TopK:
        """The ``k`` best documents of each query by their best passages, but for ``excluded`` pairs of rows."""
        return top_k(query_emb_QD, self.passage_emb_PD, k=k, starts_N=self.corpus.starts_N, excluded=excluded)

    def best_passages(self, query_emb_QD: Floats32, rows_QK: Ints) -> Ints:
        """The passage of each ranked document that is nearest to the query (rows, Q x K), -1 where none is ranked."""
        return best_passages(query_emb_QD, self.passage_emb_PD, rows_QK, starts_N=self.corpus.starts_N)

    def passages_by_nearness(self, row: int, query_emb_D: Floats32) -> list[str]:
        """The passages of a document, the nearest first."""
        rows = self.corpus.passages_of(row)
        scores = self.passage_emb_PD[rows.start : rows.stop] @ query_emb_D
        return [self.corpus.passages[rows[place]] for place in (-scores).argsort(kind="stable")]


class Corpora:
    """A workspace's documents as one command sees them: read once, and cut once for all encoders that cut alike.

    The vectors of one encoder at a time are kept.
    """

    def __init__(self, workspace: Workspace, progress: Progress) -> None:
        self.workspace, self.progress = workspace, progress
        self._read: tuple[int, tuple[Document, ...]] | None = None
        self._cut: dict[tuple[str, Window | None], Corpus] = {}
        self._last: EmbeddedCorpus | None = None

    @property
    def documents(self) -> tuple[Document, ...]:
        """All documents in id order. Raises InputError when there are none."""
        return self.snapshot()[1]

    def corpus(self, encoder: TextEncoder, *, chunk: ChunkRecipe | None = None) -> Corpus:
        """All documents, cut as the recipe (or ``chunk``) says. Raises InputError when there are none."""
        revision, documents = self.snapshot()
        window = window_of(chunk or self.workspace.recipe.chunk, encoder)
        key = encoder.tokenizer_id, window
        if key not in self._cut:
            self._cut[key] = replace(cut(documents, encoder, window), revision=revision)
        return self._cut[key]

    def embedded(self, encoder: TextEncoder, *, chunk: ChunkRecipe | None = None) -> EmbeddedCorpus:
        """The same with the vectors of an encoder."""
        corpus, last = self.corpus(encoder, chunk=chunk), self._last
        if last is None or last.corpus is not corpus or last.encoder.encoder_id != encoder.encoder_id:
            last = self._last = EmbeddedCorpus(self.workspace, encoder, corpus, progress=self.progress)
        return last

    @contextmanager
    def at_one_moment(self) -> Iterator[Workspace]:
        """The workspace as one transaction sees it; at its end the documents are read in that transaction too.

        Raises InputError when there are none.
        """
        with self.workspace.at_one_moment() as moment:
            yield moment
            self._read, self._cut, self._last = read_documents(moment), {}, None

    def refuse_edited(self, revision: int) -> None:
        """Raises Conflict when what is read here is not what a measurement began with, at ``revision``.

        What is written afterwards is not seen by any system of the measurement, and loses none of it.
        """
        refuse_edited(self.snapshot()[0], revision)

    def snapshot(self) -> tuple[int, tuple[Document, ...]]:
        """All documents, and the revision that they are of. Raises InputError when there are none."""
        if self._read is None:
            self._read = read_documents(self.workspace)
        return self._read
