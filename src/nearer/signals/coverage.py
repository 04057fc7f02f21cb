"""How much of what people ask is judged: the head, the torso and the tail of the query log."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

PARTS = ("head", "torso", "tail")
"""Frequent queries that are a third of what is asked, those of the second third, and all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Queries of one frequency: how many, how often they were asked, and how often a judged one was."""

    name: str
    num_queries: int
    num_asked: int
    num_judged: int


def coverage(asked: Sequence[str], judged: Collection[str]) -> list[Part]:
    """The parts of a log of queries, each query as often as it was asked.

    >>> parts = coverage(["a"] * 4 + ["b"] * 3 + ["c", "d"], {"a", "d"})
    >>> [(part.name, part.num_queries, part.num_judged) for part in parts]
    [('head', 1, 4), ('torso', 1, 0), ('tail', 2, 1)]
    """
    total, before = len(asked), 0
    found = {name: [0, 0, 0] for name in PARTS}
    for query, number in sorted(Counter(asked).items(), key=lambda each: (-each[1], each[0])):
        part = found[PARTS[min(3 * before // total, 2)]]
        part[0] += 1
        part[1] += number
        part[2] += number if query in judged else 0
        before += number
    return [Part(name=name, num_queries=n, num_asked=a, num_judged=j) for name, (n, a, j) in found.items() if n]
