"""What a cross-encoder learns from: an anchor and a list of texts, with the share of relevance that each should get."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nearer.learn.examples import Example, text_key

Grades = Mapping[str, Mapping[str, int]]
"""By the key of an anchor: the texts that are judged above 0 for it, and their grades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedList:
    """Texts to be ranked for an anchor, the positive first; ``targets`` sum to the list's weight in the loss."""

    anchor: str
    texts: tuple[str, ...]
    targets: tuple[float, ...]


def make_ranked_lists(examples: Sequence[Example], grades: Grades, *, most_graded: int, seed: int) -> list[RankedList]:
    """One list an example: its positive, texts judged lower but above 0 for its anchor, and its negatives.

    A text gets its grade as its share of relevance, since the gain of nDCG here is linear in the grade; so binary
    judgments give the positive all of it. Of the texts judged lower at most ``most_graded`` are drawn. Equal or higher
    ones are left to lists of their own.

    Source: Bruch et al., An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank (ICTIR 2019), section 3.

    >>> example = Example(anchor="q", positive="best", negatives=("bad",))
    >>> [made] = make_ranked_lists([example], {"q": {"best": 3, "fair": 1}}, most_graded=1, seed=0)
    >>> made.texts, made.targets
    (('best', 'fair', 'bad'), (0.75, 0.25, 0.0))
    """
    rng = random.Random(seed)
    lists = []
    for example in examples:
        judged = grades.get(text_key(example.anchor), {})
        own = judged.get(example.positive)
        lower = {} if own is None else {text: grade for text, grade in judged.items() if grade < own}
        chosen = sorted(rng.sample(sorted(lower), min(most_graded, len(lower))))
        negatives = [text for text in example.negatives if text not in lower]
        shares = [own or 1, *(lower[text] for text in chosen), *(0 for _ in negatives)]
        lists.append(
            RankedList(
                anchor=example.anchor,
                texts=(example.positive, *chosen, *negatives),
                targets=tuple(example.weight * share / sum(shares) for share in shares),
            )
        )
    return lists
