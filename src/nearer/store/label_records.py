"""What a set of pairs to judge consists of: its guideline, its pairs, and what raters said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OPEN, RATED, SKIPPED = "open", "rated", "skipped"
"""The states of a rating: on the rater's screen, given, or left to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidelineGrade:
    """What a grade means, with an example."""

    grade: int
    name: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline:
    """How to judge: an introduction, and what each grade means."""

    intro: str
    grades: tuple[GuidelineGrade, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """A set of pairs to judge; ``rankings`` holds document ids by system and query, best first."""

    set_id: str
    name: str
    created_at: str
    max_grade: int
    guideline: Guideline
    strategy: str
    rankings: Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairToLabel:
    """A pair of a set, ``wanted`` ratings at most; one with ``gold_grade`` checks its raters."""

    pair_id: str
    query_id: str
    doc_id: str
    wanted: int
    shuffle: int
    gold_grade: int | None = None
    settled_grade: int | None = None
    settled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a rater said of a pair; ``grade`` is None where it was skipped or is on the screen."""

    pair_id: str
    rater: str
    state: str
    grade: int | None
    reason: str
    at: str
    number: int
