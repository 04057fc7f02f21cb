"""Training examples: an anchor, its positive, and what must never be its negative."""

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nearer.core.records import GradeScale, Judgment, Pair, Query
from nearer.core.text import Shingle, normalise, resemblance, shingles

UNNAMED = "unnamed"
"""What the source is called of examples of which nobody said where they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row of a training batch, as texts.

    ``masked`` are the keys of texts that must not count as negatives of this anchor: its other positives, documents
    judged in between, the anchor's own text, and what anchors that share one of these mask; ``known_negatives`` are
    those of texts judged to be negatives, or named so by the pair itself. ``weight`` multiplies the row's loss.
    ``grade`` is the positive's, ``grades`` those of other texts by their key, where judgments tell more than one grade
    apart. ``score`` says how alike anchor and positive are, from 0 to 1; ``scores`` are a teacher's, of the positive
    and then of each negative, on a scale of its own; empty where none was asked. ``source`` says where it came from.
    """

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()
    masked: frozenset[str] = field(default_factory=frozenset)
    known_negatives: frozenset[str] = field(default_factory=frozenset)
    weight: float = 1.0
    grade: float = 1.0
    grades: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    scores: tuple[float, ...] = ()
    source: str = ""

    @property
    def source_name(self) -> str:
        """What its source is called in the recipe and in print."""
        return self.source or UNNAMED


def text_key(text: str) -> str:
    """What two texts share when they are the same for training."""
    return normalise(text)


def from_judgments(
    queries: Sequence[Query],
    judgments: Sequence[Judgment],
    *,
    scale: GradeScale,
    texts_of: Mapping[tuple[str, str], Sequence[str]],
    max_positives: int,
    graded: bool,
    seed: int,
    source_field: str | None = "",
) -> list[Example]:
    """One example a positive, at most ``max_positives`` a query, chosen at random.

    ``texts_of`` gives the passages of the document for a (query_id, doc_id), the one to train on first; documents
    missing there are left out. All passages of a document from ``relevant_from`` on are masked; documents judged
    lower are true negatives. When ``graded``, those judged lower but above 0 are to be ranked above the unjudged, and
    positives by their grade: the first passage of each, the others being masked. The source is what the query's
    metadata has in ``source_field``, or who judged where that is None. The weight is the judgment's.
    """
    rng = random.Random(seed)
    judged: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        if (judgment.query_id, judgment.doc_id) in texts_of:
            judged.setdefault(judgment.query_id, []).append(judgment)
    examples = []
    for query in queries:
        mine = judged.get(query.query_id, [])
        positives = [j for j in mine if j.grade >= scale.positive_from]
        kept_from = 1 if graded else scale.relevant_from
        masked = {text_key(t) for j in mine if j.grade >= kept_from for t in texts_of[j.query_id, j.doc_id]}
        known_negatives = {text_key(t) for j in mine if j.grade < kept_from for t in texts_of[j.query_id, j.doc_id]}
        first_of = {j.doc_id: texts_of[j.query_id, j.doc_id][0] for j in mine}
        grades = _grades(mine, first_of, scale) if graded else {}
        chosen = positives if len(positives) <= max_positives else rng.sample(positives, max_positives)
        for judgment in chosen:
            positive = first_of[judgment.doc_id]
            if text_key(positive) != text_key(query.text):
                example = Example(
                    anchor=query.text,
                    positive=positive,
                    negatives=_below(mine, first_of, scale, num=_LOWER, rng=rng) if grades else (),
                    masked=frozenset(masked | {text_key(query.text)}),
                    known_negatives=frozenset(known_negatives),
                    grade=float(judgment.grade) if grades else 1.0,
                    grades=grades,
                    weight=judgment.weight,
                    source=judgment.source if source_field is None else _source(query.metadata.get(source_field)),
                )
                examples.append(example)
    return examples


def _source(value: object) -> str:
    """The name of a source that a query's metadata holds: a text as it is, anything else as JSON."""
    name = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return name if name.strip() else ""


_LOWER = 1
"""Texts judged lower that come into a batch with each positive of graded judgments."""


def _is_between(judgment: Judgment, scale: GradeScale) -> bool:
    return scale.relevant_from <= judgment.grade < scale.positive_from


def _grades(judgments: Sequence[Judgment], first_of: Mapping[str, str], scale: GradeScale) -> dict[str, float]:
    """The grade of each judged text by its key, less those neither positive nor negative; none if all are alike."""
    found = {
        text_key(first_of[j.doc_id]): float(j.grade) for j in judgments if j.grade > 0 and not _is_between(j, scale)
    }
    return found if len(set(found.values())) > 1 else {}


def _below(
    judgments: Sequence[Judgment], first_of: Mapping[str, str], scale: GradeScale, *, num: int, rng: random.Random
) -> tuple[str, ...]:
    """Texts drawn from those judged above 0 and below relevant."""
    lower = [first_of[j.doc_id] for j in judgments if 0 < j.grade < scale.relevant_from]
    return tuple(rng.sample(lower, min(num, len(lower))))


def from_pairs(pairs: Sequence[Pair], *, margin: float) -> list[Example]:
    """Examples from pairs given as text; their own negatives stay, unless scored too close to the positive.

    A negative is dropped when its soft score is at least (1 - ``margin``) times the positive's.
    Source: NV-Retriever (arXiv 2407.15831), section 3.2, TopK-PercPos.
    """
    examples = [
        Example(
            anchor=pair.query,
            positive=pair.positive,
            negatives=_kept_negatives(pair, margin=margin),
            masked=frozenset({text_key(pair.query)}),
            known_negatives=frozenset(text_key(text) for text in _kept_negatives(pair, margin=margin)),
            weight=1.0 if pair.score is None else pair.score,
            score=pair.score,
            source=pair.source,
        )
        for pair in pairs
    ]
    return share_masks(examples)


def _kept_negatives(pair: Pair, *, margin: float) -> tuple[str, ...]:
    if not pair.negative_scores:
        return pair.negatives
    limit = (1.0 if pair.score is None else pair.score) * (1 - margin)
    scored = zip(pair.negatives, pair.negative_scores, strict=True)
    return tuple(text for text, score in scored if score < limit)


_MOST_SHARING = 20
"""Anchors that share a text, beyond which it says nothing of them, and sets would grow large. Our rule (ADR 17)."""


def share_masks(examples: Sequence[Example]) -> list[Example]:
    """Examples in which anchors of the same text mask each other's positives and masked texts.

    One question may stand under several ids, or among the judgments and the pairs.
    """
    return _masking(examples, _masked_by(examples))


def mask_neighbours(examples: Sequence[Example]) -> list[Example]:
    """The same, in which anchors that mask a text in common mask all that either does, but for known negatives.

    What two questions share are positives, or one is the other's: so what answers one is likely an answer to the other
    that nobody judged. To be done once: another time takes another step. Texts that more than twenty anchors share say
    nothing.
    """
    masked_by = _masked_by(examples)
    sharing: dict[str, list[str]] = {}
    for anchor, texts in masked_by.items():
        for text in texts:
            sharing.setdefault(text, []).append(anchor)
    near = {
        anchor: {other for text in texts if len(sharing[text]) <= _MOST_SHARING for other in sharing[text]}
        for anchor, texts in masked_by.items()
    }
    known_negatives = _together((text_key(example.anchor), example.known_negatives) for example in examples)
    theirs = {
        anchor: set().union(*(masked_by[other] for other in others)) - known_negatives[anchor]
        for anchor, others in near.items()
    }
    return _masking(examples, {anchor: texts | theirs[anchor] for anchor, texts in masked_by.items()})


def _masked_by(examples: Sequence[Example]) -> dict[str, set[str]]:
    """What the examples of each anchor mask, their positives with it."""
    return _together((text_key(each.anchor), {*each.masked, text_key(each.positive)}) for each in examples)


def _together(texts: Iterable[tuple[str, Collection[str]]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for anchor, each in texts:
        found.setdefault(anchor, set()).update(each)
    return found


def _masking(examples: Sequence[Example], masked_by: Mapping[str, Collection[str]]) -> list[Example]:
    """The examples, of which those of an anchor have one set in common."""
    shared = {anchor: frozenset(texts) for anchor, texts in masked_by.items()}
    return [replace(example, masked=shared[text_key(example.anchor)]) for example in examples]


def limit(examples: Sequence[Example], *, max_pairs: int | None, seed: int) -> list[Example]:
    """At most ``max_pairs`` examples, chosen at random, in their given order."""
    if max_pairs is None or len(examples) <= max_pairs:
        return list(examples)
    chosen = random.Random(seed).sample(range(len(examples)), max_pairs)
    return [examples[index] for index in sorted(chosen)]


class NearDuplicates:
    """Remembers the shingles of texts, to tell near-duplicates among the few texts of a batch or a candidate list."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._shingles: dict[str, frozenset[Shingle]] = {}

    def alike(self, left: str, right: str) -> bool:
        """Whether two texts resemble each other at least as much as the threshold."""
        a, b = self._of(left), self._of(right)
        smaller, larger = sorted((len(a), len(b)))
        return smaller >= self._threshold * larger and resemblance(a, b) >= self._threshold

    def _of(self, text: str) -> frozenset[Shingle]:
        if text not in self._shingles:
            self._shingles[text] = shingles(text)
        return self._shingles[text]
