"""What the failures of a split are held against, whichever system ranked: grades, rules on metadata, rare words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nearer.core.arrays import Bools
from nearer.core.records import Document, Query
from nearer.core.text import Shingle, resemblance, shingles
from nearer.evaluation.exclusions import Exclusions
from nearer.evaluation.grades import scale_of
from nearer.evaluation.judged_split import JudgedSplit
from nearer.measure.diagnosis import Missed, missed_document
from nearer.retrieval.identifiers import document_frequencies, shared_names, words
from nearer.retrieval.lexical import LexicalIndex
from nearer.retrieval.metadata_schema import MetadataSchema
from nearer.retrieval.rule_support import RuleSupport, rule_support
from nearer.retrieval.rules import Rule, passing_pairs
from nearer.store.workspace import Workspace

_RULE_SHARE = 0.95
"""Share of the relevant documents in training that must obey a rule on metadata for it to count. Our rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A query that failed.

    ``relevant`` holds the rows of its relevant documents in the corpus, or of the best there are; ``missed`` is the one
    that should have stood higher, ``first`` the row of what was ranked first (-1: nothing, or nothing of the corpus).
    """

    query: Query
    relevant: tuple[int, ...]
    missed: Missed | None
    first: int = -1


class Background:
    """The documents of a judged split in id order, and what is known of them; most of it is made when first needed."""

    def __init__(
        self, workspace: Workspace, judged: JudgedSplit, documents: Sequence[Document], exclusions: Exclusions
    ) -> None:
        self.documents = documents
        self.exclusions = exclusions
        self.judged = judged
        self._workspace = workspace
        self._collection = workspace.collection
        self._search = workspace.recipe.search
        self._relevant_from = scale_of(workspace).relevant_from
        self._shingles: dict[int, frozenset[Shingle]] = {}

    def failure(self, query: Query, rows_K: Sequence[int]) -> Failure:
        """What a query missed, given the rows that were ranked for it, -1 at the end or for what no corpus holds."""
        grades = self.grades.get(query.query_id, {})
        wanted = {row: grade for row, grade in grades.items() if grade > 0}
        end = max((place for place, row in enumerate(rows_K, start=1) if row >= 0), default=0)
        rows = [int(row) for row in rows_K[:end]]
        good_from = min(self._relevant_from, max(wanted.values(), default=self._relevant_from))
        ranked = [grades.get(row, 0) for row in rows]
        return Failure(
            query=query,
            relevant=tuple(row for row, grade in wanted.items() if grade >= good_from),
            missed=missed_document(rows, ranked, wanted, relevant_from=good_from),
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
    def excluded(self) -> dict[str, frozenset[int]]:
        """The rows of the documents that are excluded, by query id; no run holds them."""
        found: dict[str, set[int]] = {}
        for query_row, row in zip(*self.exclusions.pairs, strict=True):
            found.setdefault(self.judged.queries[query_row].query_id, set()).add(int(row))
        return {query_id: frozenset(rows) for query_id, rows in found.items()}

    @cached_property
    def _trained(self) -> tuple[Query, ...]:
        return tuple(self._collection.queries("train"))

    @cached_property
    def _schema(self) -> MetadataSchema:
        """What the documents' metadata offers to the queries of training and of the split."""
        queries = [query.metadata for query in (*self._trained, *self.judged.queries)]
        return MetadataSchema.read(
            self.documents,
            queries,
            query_time_fields=self._search.query_time_fields,
            texts=self._workspace.recipe.columns.documents.texts,
        )

    @cached_property
    def obeyed(self) -> RuleSupport:
        """The rules that training obeys."""
        place_of = {query.query_id: place for place, query in enumerate(self._trained)}
        row_of = {document.doc_id: row for row, document in enumerate(self.documents)}
        pairs = [
            (place_of[judgment.query_id], row_of[judgment.doc_id])
            for judgment in self._collection.judgments("train")
            if judgment.grade >= self._relevant_from and judgment.doc_id in row_of
        ]
        queries_R, documents_R = np.array(pairs, np.int64).reshape(-1, 2).T
        return rule_support(
            self._schema,
            queries=[query.metadata for query in self._trained],
            relevant=(queries_R, documents_R),
            query_time_fields=self._search.query_time_fields,
            min_share=_RULE_SHARE,
        )

    def passing(self, rule: Rule, query: Query, rows: Sequence[int]) -> Bools:
        """Which documents a rule lets through for a query (bool, one a row)."""
        pairs = np.zeros(len(rows), np.int64), np.array(rows, np.int64)
        return passing_pairs(rule, pairs, queries=[query.metadata], documents=self._schema.documents)

    @cached_property
    def lexical(self) -> LexicalIndex:
        """BM25 over the documents."""
        return LexicalIndex([document.full_text for document in self.documents], language=self._search.language)

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

    def distinguishes(self, query: Query, relevant: int, other: int) -> bool:
        """Whether a rule, or a name in the query, tells why one document answers it and the other does not."""
        pairs = (self.passing(each.rule, query, [relevant, other]).tolist() for each in self.obeyed.rules)
        if [True, False] in pairs:
            return True
        held = words(self.documents[other].full_text)
        return any(name not in held for name in self.names(query, relevant))
