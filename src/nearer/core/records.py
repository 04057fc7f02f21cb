"""The nouns of retrieval, as frozen records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

Metadata = Mapping[str, object]
_NO_METADATA: Metadata = MappingProxyType({})

Severity = Literal["critical", "major", "minor"]
CaseGroup = Literal["common", "edge", "high_value"]
CASE_GROUPS: Mapping[CaseGroup, str] = {
    "common": "common queries",
    "edge": "edge cases",
    "high_value": "high-value workflows",
}
"""What the groups of the regression suite are called in print."""

EXCLUDED_IDS = "excluded_ids"
"""The query field that names documents which are no answers to it."""

DEFAULT_K = 10
"""How many of the best documents a case of the regression suite looks at, unless it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    r"""A document of the corpus.

    >>> Document(doc_id="d1", title="Rain", text="It falls.").full_text
    'Rain\nIt falls.'
    """

    doc_id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=lambda: _NO_METADATA)

    @property
    def full_text(self) -> str:
        """Title and text: what is encoded, compared and shown."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk of a document: the ``ordinal``-th, counted from 0.

    It is what stands from character ``start`` to before ``end`` of the document's full text; ``text`` may begin with
    the title, or the first sentence, repeated.
    """

    doc_id: str
    ordinal: int
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query. Metadata fields named ``label_*`` come from the right answer: they may slice and group, never filter."""

    query_id: str
    text: str
    metadata: Metadata = field(default_factory=lambda: _NO_METADATA)


JudgmentSource = Literal["human", "import", "llm", "clicks", "synthetic"]
"""Who judged, most trusted first: people here, a file, a language model, what users did, who wrote the query for it."""
JUDGMENT_SOURCES: tuple[JudgmentSource, ...] = get_args(JudgmentSource)
TRUSTED: tuple[JudgmentSource, ...] = ("human", "import")
"""The sources that systems are measured by, unless others are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """How relevant a document is to a query, as an integer grade from 0; and who says so.

    ``rater`` is a person, or the method of a source that is none. ``weight`` says how far it can be believed.
    ``document_hash`` is the text hash of the document that was judged; ``at`` is when.
    """

    query_id: str
    doc_id: str
    grade: int
    source: JudgmentSource = "import"
    rater: str = ""
    weight: float = 1.0
    at: str = field(default="", compare=False)
    document_hash: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeScale:
    """What the grades of a set of judgments mean.

    A document counts as relevant (Recall, Precision, MRR, MAP) from grade ``relevant_from`` and is a training
    positive from ``positive_from``; a grade between the two is neither positive nor negative.
    """

    max_grade: int
    relevant_from: int
    positive_from: int

    def __post_init__(self) -> None:
        if not 1 <= self.relevant_from <= self.positive_from <= self.max_grade:
            raise ValueError(f"need 1 <= relevant_from <= positive_from <= max_grade, got {self}")

    @classmethod
    def for_max_grade(cls, max_grade: int) -> "GradeScale":
        """The default scale for judgments from 0 to ``max_grade``.

        Binary is (1, 1, 1) and 0-4 is (4, 2, 3); the scales between follow the same halves and quarters, which
        gives the binary thresholds in use for TREC-COVID (0-2, from 1) and TREC Deep Learning (0-3, from 2).

        >>> GradeScale.for_max_grade(4)
        GradeScale(max_grade=4, relevant_from=2, positive_from=3)
        """
        return cls(
            max_grade=max_grade,
            relevant_from=math.ceil(max_grade / 2),
            positive_from=math.ceil(3 * max_grade / 4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A training pair given as text, with optional negatives and soft scores in [0, 1].

    ``score`` weighs the pair in the loss (1 when absent). ``negative_scores``, when present, has one score a
    negative; a negative scored too close to the positive is dropped as a likely false negative. ``source`` says where
    the pair came from; empty when nobody said.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    score: float | None = None
    negative_scores: tuple[float, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A query of the regression suite: ``must`` lists documents of the ``k`` best, ``must_not`` those never there."""

    name: str
    query: str
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    k: int = DEFAULT_K
    severity: Severity = "major"
    group: CaseGroup = "common"
    metadata: Metadata = field(default_factory=lambda: _NO_METADATA)
