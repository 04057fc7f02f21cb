"""What a cross-encoder teaches an encoder: which mined negatives are answers, and how relevant each text is.

Shapes: U pairs of an anchor and a text. Scores are a cross-encoder's own numbers, of which only differences mean
something.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from nearer.core.errors import InputError
from nearer.learn.examples import Example, share_masks, text_key
from nearer.learn.negatives import random_texts

Pair = tuple[str, str]
Score = Callable[[Sequence[Pair]], Sequence[float]]
"""Scores pairs, each pair once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelSettings:
    """From which probability of being preferred to a positive a mined negative is none, and is a positive itself.

    Each example keeps ``num_negatives``; no anchor gets more positives while it has ``most_positives``.
    """

    masked_from: float
    positive_from: float
    num_negatives: int
    most_positives: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabelled:
    """Examples with their scores; how many negatives were put aside, and how many positives were added."""

    examples: tuple[Example, ...]
    num_masked: int
    num_added: int


def preference(score: float, other: float) -> float:
    """The probability that a text of the first score is more relevant than one of the other.

    Source: Burges et al., Learning to Rank using Gradient Descent (ICML 2005), section 3, equation 3.

    >>> preference(2.0, 2.0), round(preference(4.0, 2.0), 3), round(preference(-800.0, 2.0), 3)
    (0.5, 0.881, 0.0)
    """
    difference = score - other
    if difference >= 0:
        return 1 / (1 + math.exp(-difference))
    return math.exp(difference) / (1 + math.exp(difference))


def teach(
    examples: Sequence[Example],
    mined: Sequence[Example],
    *,
    score: Score,
    settings: RelabelSettings,
    texts: Sequence[str],
    never_positive: Set[str] = frozenset(),
) -> Relabelled:
    """Put aside the mined negatives that the teacher takes for answers, and give every example its scores.

    ``examples`` are what was mined for: their own negatives stay, whatever the teacher says. A candidate is put aside,
    in all examples of its anchor, when it is preferred to one of the anchor's positives by ``masked_from``. It becomes
    a positive when it is preferred to every one of them by ``positive_from``, the best first, while the anchor has
    fewer than ``most_positives``, and its key is not in ``never_positive``; such examples come last. Of the rest each
    example keeps ``num_negatives``, in their order; where they are too few it gets random ones of ``texts``, if any: a
    loss that learns from scores needs some, and takes no harm from an answer among them.

    Raises InputError for a score that is not finite.
    """
    rng = random.Random(settings.seed)
    scores = _scores_of(mined, score)
    anchors = _by_anchor(examples, mined, scores)
    aside = {key: anchor.aside(settings) for key, anchor in anchors.items()}
    added = {key: anchor.answers(settings, never=never_positive) for key, anchor in anchors.items()}
    kept, answers = [], []
    for before, example in zip(examples, mined, strict=True):
        key = text_key(example.anchor)
        masked = example.masked.union(map(text_key, aside[key]))
        mine = [text for text in example.negatives if text in before.negatives or text not in aside[key]]
        example = replace(
            example, masked=masked, negatives=tuple(mine[: max(settings.num_negatives, len(before.negatives))])
        )
        kept.append(_filled(example, texts, settings.num_negatives, rng))
        answers += [replace(kept[-1], positive=text, weight=1.0, score=None) for text in added.pop(key, ())]
    taught = share_masks([*kept, *answers])
    scores |= _scores_of(taught, score, known=scores)
    return Relabelled(
        examples=tuple(_with_scores(example, scores) for example in taught),
        num_masked=sum(map(len, aside.values())),
        num_added=len(answers),
    )


def _filled(example: Example, texts: Sequence[str], num_negatives: int, rng: random.Random) -> Example:
    if not texts:
        return example
    taken = {example.positive, *example.negatives}
    fill = random_texts(example, texts, number=num_negatives - len(example.negatives), taken=taken, rng=rng)
    return replace(example, negatives=(*example.negatives, *fill))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchor:
    """The scores of an anchor's positives, and of what was mined against them."""

    positives: dict[str, float] = field(default_factory=dict)
    rivals: dict[str, float] = field(default_factory=dict)

    def aside(self, settings: RelabelSettings) -> set[str]:
        """The rivals that are no negatives."""
        lowest = min(self.positives.values())
        return {text for text, each in self.rivals.items() if preference(each, lowest) >= settings.masked_from}

    def answers(self, settings: RelabelSettings, *, never: Set[str]) -> list[str]:
        """The rivals that are positives, the best first."""
        highest, room = max(self.positives.values()), settings.most_positives - len(self.positives)
        found = [
            text
            for text, each in self.rivals.items()
            if preference(each, highest) >= settings.positive_from and text_key(text) not in never
        ]
        return sorted(found, key=lambda text: (-self.rivals[text], text))[: max(0, room)]


def _by_anchor(
    examples: Sequence[Example], mined: Sequence[Example], scores: Mapping[Pair, float]
) -> dict[str, _Anchor]:
    """The anchors by their keys; what anybody gave as a negative is no rival."""
    given: dict[str, set[str]] = {}
    for before in examples:
        given.setdefault(text_key(before.anchor), set()).update(before.negatives)
    found: dict[str, _Anchor] = {}
    for example in mined:
        key = text_key(example.anchor)
        anchor = found.setdefault(key, _Anchor())
        anchor.positives[example.positive] = scores[example.anchor, example.positive]
        rivals = [text for text in example.negatives if text not in given[key]]
        anchor.rivals.update({text: scores[example.anchor, text] for text in rivals})
    return found


def _scores_of(
    examples: Sequence[Example], score: Score, *, known: Mapping[Pair, float] | None = None
) -> dict[Pair, float]:
    """The teacher's scores of all pairs but those that are known."""
    wanted = dict.fromkeys((each.anchor, text) for each in examples for text in (each.positive, *each.negatives))
    pairs = [pair for pair in wanted if pair not in (known or {})]
    scores = dict(zip(pairs, score(pairs), strict=True))
    broken = [pair for pair, value in scores.items() if not math.isfinite(value)]
    if broken:
        raise InputError(
            f"the teacher's score of {len(broken)} of {len(pairs)} pairs is not a finite number, first for "
            f"{broken[0][0]!r:.100}",
            hint="name another cross-encoder in mining.reranker, or none",
        )
    return scores


def _with_scores(example: Example, scores: Mapping[Pair, float]) -> Example:
    texts = (example.positive, *example.negatives)
    return replace(example, scores=tuple(float(scores[example.anchor, text]) for text in texts))
