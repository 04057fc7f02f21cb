"""What the failures of a split are held against, whichever system ranked: grades, rules on metadata, rare words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nearer.core.records import Document, Metadata, Query
from nearer.core.text import resemblance, shingles
from nearer.flows.embedding import own_documents
from nearer.flows.grades import scale_of
from nearer.flows.measuring.judged_split import JudgedSplit
from nearer.measure.diagnosis import Missed, missed_document
from nearer.measure.rules import QueryRules, Rule, document_rules, query_rules
from nearer.retrieval.identifiers import document_frequencies, shared_names, words
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A query that failed.

    ``relevant`` holds the rows of its relevant documents that may be ranked, ``missed`` is the one that should have
    stood higher, ``first`` the row of what was ranked first (-1: nothing, or nothing of the corpus).
    """

    query: Query
    relevant: tuple[int, ...]
    missed: Missed | None
    first: int = -1


class Background:
    """The documents of a judged split in id order, and what is known of them; most of it is made when first needed."""

    def __init__(self, workspace: Workspace, judged: JudgedSplit, documents: Sequence[Document]) -> None:
        self.documents = documents
        self.judged = judged
        self._workspace = workspace
        self._collection = Collection(workspace.database)
        self._relevant_from = scale_of(workspace).relevant_from
        self._shingles: dict[int, frozenset[str]] = {}

    def failure(self, query: Query, rows_K: Sequence[int]) -> Failure:
        """What a query missed, given the rows that were ranked for it, -1 at the end or for what no corpus holds."""
        own = self.own.get(query.query_id, frozenset())
        grades = self.grades.get(query.query_id, {})
        wanted = {row: grade for row, grade in grades.items() if grade > 0 and row not in own}
        end = max((place for place, row in enumerate(rows_K, start=1) if row >= 0), default=0)
        rows = [int(row) for row in rows_K[:end]]
        ranked = [grades.get(row, 0) for row in rows]
        return Failure(
            query=query,
            relevant=tuple(row for row, grade in wanted.items() if grade >= self._relevant_from),
            missed=missed_document(rows, ranked, wanted, relevant_from=self._relevant_from),
            first=rows[0] if rows else -1,
        )

    @cached_property
    def grades(self) -> dict[str, dict[int, int]]:
        """The grades of the judged documents, by query id and document row."""
        row_of = {document.doc_id: row for row, document in enumerate(self.documents)}
        found: dict[str, dict[int, int]] = {}
        for judgment in self._collection.judgments(self.judged.split):
            if judgment.doc_id in row_of:
                found.setdefault(judgment.query_id, {})[row_of[judgment.doc_id]] = judgment.grade
        return found

    @cached_property
    def own(self) -> dict[str, frozenset[int]]:
        """The rows of the documents whose text is the query's own, by query id; no run holds them."""
        queries = self.judged.queries
        found: dict[str, set[int]] = {}
        for query_row, row in zip(*own_documents(queries, self.documents), strict=True):
            found.setdefault(queries[query_row].query_id, set()).add(int(row))
        return {query_id: frozenset(rows) for query_id, rows in found.items()}

    @cached_property
    def query_rules(self) -> QueryRules:
        """The rules between queries and documents that training obeys, in fields that are known when one asks."""
        recipe = self._workspace.recipe
        queries = {query.query_id: query.metadata for query in self._collection.queries("train")}
        judged: dict[str, list[tuple[Metadata, Metadata]]] = {}
        for query_id, document in self._relevant_in_training:
            judged.setdefault(query_id, []).append((queries[query_id], document.metadata))
        return query_rules(recipe.search.query_time_fields, judged, min_share=recipe.diagnosis.rule_share)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, those of documents alone last."""
        relevant = {document.doc_id: document.metadata for _, document in self._relevant_in_training}
        corpus = [document.metadata for document in self.documents]
        share = self._workspace.recipe.diagnosis.rule_share
        return (*self.query_rules.rules, *document_rules(list(relevant.values()), corpus, min_share=share))

    @cached_property
    def _relevant_in_training(self) -> list[tuple[str, Document]]:
        """Each training query's id beside each document that is relevant to it."""
        document_of = {document.doc_id: document for document in self.documents}
        return [
            (judgment.query_id, document_of[judgment.doc_id])
            for judgment in self._collection.judgments("train")
            if judgment.grade >= self._relevant_from and judgment.doc_id in document_of
        ]

    @cached_property
    def lexical(self) -> LexicalIndex:
        """BM25 over the documents."""
        return LexicalIndex([document.full_text for document in self.documents])

    @cached_property
    def _frequencies(self) -> Counter[str]:
        """How many documents hold each word of the split's queries."""
        wanted = {word for query in self.judged.queries for word in words(query.text)}
        return document_frequencies(wanted, (document.full_text for document in self.documents))

    def names(self, query: Query, row: int) -> tuple[str, ...]:
        """The identifiers and rare words that a query shares with a document."""
        text = self.documents[row].full_text
        return shared_names(query.text, text, frequencies=self._frequencies, num_documents=len(self.documents))

    def resemblance(self, left: int, right: int) -> float:
        """How much the texts of two documents resemble each other, from 0 to 1."""
        for row in (left, right):
            if row not in self._shingles:
                self._shingles[row] = shingles(self.documents[row].full_text)
        return resemblance(self._shingles[left], self._shingles[right])

    def told_apart(self, query: Query, relevant: int, other: int) -> bool:
        """Whether a rule, or a name in the query, tells why one document answers it and the other does not."""
        asked, kept, passed = (each.metadata for each in (query, self.documents[relevant], self.documents[other]))
        if any(rule.admits(asked, kept) and not rule.admits(asked, passed) for rule in self.rules):
            return True
        held = words(self.documents[other].full_text)
        return any(name not in held for name in self.names(query, relevant))
