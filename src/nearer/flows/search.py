"""One query against the live release."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.errors import InputError, NotFound
from nearer.core.filters import Fields, Filter, all_of, matches, parse_filter, parse_where
from nearer.core.progress import Silent
from nearer.core.records import Document, Metadata, Query
from nearer.core.text import normalise
from nearer.encode.corpus import chunking_name, cut, embed_corpus, window_of
from nearer.retrieval.entries import Ranking
from nearer.retrieval.fields import kept_values
from nearer.retrieval.index import Index, differences, open_index
from nearer.retrieval.rules import condition_of, unused
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace
from nearer.systems import LIVE, System, open_release, spent
from nearer.systems.filtering import known_of, rules_of
from nearer.systems.lexical import read_words
from nearer.systems.pipeline import Found, combine, passage_of, wants_vectors, wants_words
from nearer.systems.space_index import entry_hashes, folder_of
from nearer.vectors.topk import NO_ROW, TopK

Where = Mapping[str, object] | Sequence[str] | None
DEFAULT_K = 10
Scored = list[tuple[Document, float]]


def search(
    workspace: Workspace,
    text: str,
    *,
    k: int | None = None,
    where: Where = None,
    known: Metadata | None = None,
    lexical: bool = False,
) -> dict[str, Any]:
    """The ``k`` best documents for ``text`` (10, or as many as a reranker keeps); removed documents are left out.

    ``where`` is a filter in the grammar of OpenAI's vector stores, or conditions such as "year>=2020" that must all
    hold. ``known`` has what else is known of the query, for the rules of a system that filters; ``unused_rules`` names
    those that lacked a field. ``lexical`` ranks by today's words (BM25) instead of what the release does.

    Raises InputError for a blank query, a ``k`` below 1, and a filter that cannot be used; NotFound when nothing is
    live.
    """
    if not normalise(text):
        raise InputError("the query is blank", hint='for example: nearer search "rotate a log file"')
    if k is not None and k < 1:
        raise InputError(f"-k {k}: at least one result must be asked for", hint="for example: -k 10")
    release = workspace.registry.live()
    if release is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    system = open_release(workspace, release, name=LIVE)
    index = open_index(folder_of(workspace, release.space_id), space_id=release.space_id)
    fields = index.manifest.spec.fields
    rules = rules_of(system.search, fields) if "filter" in system.stages and not lexical else ()
    query = Query(query_id="asked", text=text, metadata=known_of(_refuse_unknown(known or {}, system), system.search))
    condition = all_of([_condition(where, fields), condition_of(rules, query.metadata)])
    asked = _Asked(workspace, system, index, query, condition)
    wanted = k or (system.search.rerank.keep if system.reranker else DEFAULT_K)
    if lexical:
        results = asked.by_words(k=wanted)
    else:
        results = asked.composed(k=wanted) if system.stages else asked.by_vector(k=wanted)
    return {
        "release_id": release.release_id,
        "space_id": release.space_id,
        "stale": _stale(index, workspace.collection, system),
        "unused_rules": [str(rule) for rule in unused(rules, query.metadata)],
        "results": [
            {"doc_id": document.doc_id, "score": score, "text": document.full_text} for document, score in results
        ],
        **spent([system]),
    }


class _Asked:
    """One query of a system, whose documents must pass ``condition``."""

    def __init__(
        self, workspace: Workspace, system: System, index: Index, query: Query, condition: Filter | None
    ) -> None:
        self._workspace, self._system, self._index, self._query = workspace, system, index, query
        self._condition = condition
        self._collection = workspace.collection

    @cached_property
    def _vector_1D(self) -> Floats32:
        return self._system.encoder.encode_queries([self._query.text])

    def by_vector(self, *, k: int) -> Scored:
        """The best documents by the vectors of the index."""

        def ranked(wanted: int) -> Ranking:
            space_id = self._system.encoder.space_id
            return self._index.search(self._vector_1D, space_id=space_id, k=wanted, where=self._condition)[0]

        return self.ranked_by(ranked, k=k)

    def by_words(self, *, k: int) -> Scored:
        """The best documents by today's words."""
        words = read_words(self._workspace)
        failing = self._failing(words.doc_ids)
        excluded = np.zeros(len(failing), np.int64), failing

        def ranked(wanted: int) -> Ranking:
            found = words.index.search([self._query.text], k=wanted, excluded=excluded)
            best = zip(found.rows_QK[0], found.scores_QK[0].tolist(), strict=True)
            return [(words.doc_ids[row], score) for row, score in best if row != NO_ROW]

        return self.ranked_by(ranked, k=k)

    def composed(self, *, k: int) -> Scored:
        """The best documents after all stages of the system."""
        stages, depth = self._system.stages, max(k, self._system.search.depth)
        dense = self.by_vector(k=depth) if wants_vectors(stages) else None
        lexical = self.by_words(k=depth) if wants_words(stages) else None
        pool = {document.doc_id: document for document, _ in [*(dense or ()), *(lexical or ())]}
        documents = [pool[doc_id] for doc_id in sorted(pool)]
        rows = {document.doc_id: row for row, document in enumerate(documents)}
        found = Found(
            queries=[self._query],
            documents=documents,
            dense=None if dense is None else _as_top_k(dense, rows),
            lexical=None if lexical is None else _as_top_k(lexical, rows),
            passage_of=lambda _, row: self._passage_of(documents[row]),
        )
        ranked = combine(self._system, found, k=k)
        best = zip(ranked.rows_QK[0], ranked.scores_QK[0].tolist(), strict=True)
        return [(documents[row], score) for row, score in best if row != NO_ROW]

    def _passage_of(self, document: Document) -> str:
        """The passage of a document that is nearest to the query."""
        encoder = self._system.encoder
        corpus = cut([document], encoder, window_of(self._system.chunk, encoder))
        if len(corpus.passages) == 1:
            return corpus.passages[0]
        passage_emb_PD, _ = embed_corpus(self._workspace, encoder, corpus, Silent())
        return passage_of(corpus, self._vector_1D, passage_emb_PD)(0, 0)

    def _failing(self, doc_ids: Sequence[str]) -> Ints:
        """The rows of the documents that do not pass the condition."""
        if self._condition is None:
            return np.empty(0, np.int64)
        fields = self._index.manifest.spec.fields
        values = {
            doc_id: dict(zip(fields, kept_values(metadata, fields), strict=True))
            for doc_id, _, metadata in self._collection.document_metadata()
        }
        passing = [doc_id in values and matches(self._condition, values[doc_id]) for doc_id in doc_ids]
        return np.flatnonzero(~np.array(passing, np.bool_))

    def ranked_by(self, ranked: Callable[[int], Ranking], *, k: int) -> Scored:
        """The ``k`` best documents that still exist; while too many of those found are gone, more are asked for."""
        wanted = k
        while True:
            ranking = ranked(wanted)
            found = {each.doc_id: each for each in self._collection.documents([doc_id for doc_id, _ in ranking])}
            present = [(found[doc_id], score) for doc_id, score in ranking if doc_id in found]
            if len(present) >= k or len(ranking) < wanted:
                return present[:k]
            wanted *= 2


def _as_top_k(scored: Scored, rows: Mapping[str, int]) -> TopK:
    return TopK(
        rows_QK=np.array([[rows[document.doc_id] for document, _ in scored]], np.int64),
        scores_QK=np.array([[score for _, score in scored]], np.float32),
    )


def _refuse_unknown(known: Metadata, system: System) -> Metadata:
    """What was said of the query. Raises InputError for a field that no rule of the system may use."""
    fields = system.search.query_time_fields if "filter" in system.stages else ()
    if strange := [name for name in known if name not in fields]:
        raise InputError(
            f"the live system makes no use of the query's {strange[0]!r}",
            hint=f"it may know: {', '.join(fields)}" if fields else "it does not filter: leave --known out",
        )
    return known


def _condition(where: Where, fields: Fields) -> Filter | None:
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse_filter(where, fields)
    return parse_where([where] if isinstance(where, str) else where, fields)


def _stale(index: Index, collection: Collection, system: System) -> list[str]:
    """How the index differs from the documents; an equal revision tells without reading them that it follows."""
    manifest = index.manifest
    cut = chunking_name(window_of(system.chunk, system.encoder))
    if manifest.spec.chunking != cut:
        return [f"passages cut as {manifest.spec.chunking!r}, now {cut!r}"]
    if manifest.revision == collection.revision():
        return []
    return list(differences(index.hashes(), entry_hashes(collection, manifest.spec.fields)))
