"""Interleaving: two rankings in one list, and which of them users clicked on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Literal

from scipy.stats import t as student

from nearer.core.errors import InputError
from nearer.core.results.online import Effect
from nearer.online.moments import exact

Side = Literal["a", "b"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A document of an interleaved list, and the ranking that it was drawn from."""

    doc_id: str
    side: Side


def team_draft(ranking_a: Sequence[str], ranking_b: Sequence[str], *, k: int, rng: Random) -> list[Shown]:
    """The first ``k`` documents of two rankings, which take turns: a coin decides who picks first in each round.

    Each ranking picks its best document that is not there yet. One that has none left passes.

    Source: Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality? (CIKM 2008), section 4.

    >>> [each.doc_id for each in team_draft(["x", "y"], ["x", "z"], k=3, rng=Random(0))]
    ['x', 'y', 'z']
    """
    shown: list[Shown] = []
    there: set[str] = set()
    left: dict[Side, list[str]] = {"a": list(ranking_a)[::-1], "b": list(ranking_b)[::-1]}
    sides: list[Side] = ["a", "b"]
    while len(shown) < k and any(left.values()):
        for side in rng.sample(sides, 2):
            while left[side] and left[side][-1] in there:
                left[side].pop()
            if left[side] and len(shown) < k:
                doc_id = left[side].pop()
                there.add(doc_id)
                shown.append(Shown(doc_id=doc_id, side=side))
    return shown


def winner(shown: Sequence[Shown], clicked: Collection[str]) -> Literal["a", "b", "tie"]:
    """Whose documents were clicked more in one list. Source: the same, section 4."""
    num_a = sum(each.doc_id in clicked for each in shown if each.side == "a")
    num_b = sum(each.doc_id in clicked for each in shown if each.side == "b")
    return "a" if num_a > num_b else "b" if num_b > num_a else "tie"


def interleaving_preference(wins_a: int, wins_b: int, ties: int = 0, *, confidence: float = 0.95) -> Effect:
    """How far users prefer ranking a: (wins of a + ties / 2) / all - 1/2, from -1/2 to 1/2; 0 is no preference.

    The interval is Student's over lists, which score 1, 1/2 or 0, within -1/2 and 1/2. Where one ranking wins all
    lists, it is the exact one, and Wilson's where all are ties, so that a few lists never look certain. Lists of one
    user are not independent: give one list, or one winner, a user.

    Raises InputError for what is no count, and for fewer than two lists.

    Source: Chapelle, Joachims, Radlinski and Yue, Large-Scale Validation and Analysis of Interleaved Search Evaluation
    (TOIS 2012), section 3.2; exact: Clopper and Pearson (Biometrika 26, 1934).

    >>> found = interleaving_preference(60, 40)
    >>> round(found.effect, 3), found.low > 0, round(found.p_value, 3)
    (0.1, True, 0.045)
    """
    counts = [exact(value, "a number of lists") for value in (wins_a, wins_b, ties)]
    if min(counts) < 0 or any(each.denominator != 1 for each in counts):
        raise InputError("wins and ties are counts", hint="give whole numbers from 0 on")
    wins_a, wins_b, ties = (int(each) for each in counts)
    num = wins_a + wins_b + ties
    if num < 2:
        raise InputError(f"{num} lists say nothing", hint="wait until two lists at least were clicked")
    if not 0 < exact(confidence, "the confidence") < 1:
        raise InputError(f"a confidence of {confidence} is not between 0 and 1", hint="for example 0.95")
    share = (wins_a + ties / 2) / num
    variance = ((wins_a + ties / 4) / num - share**2) * num / (num - 1)
    tail = (1 - float(confidence)) / 2
    quantile = float(student.isf(tail, num - 1))
    if ties == num:
        half = _wilson(num, quantile)
        return Effect(effect=0.0, low=-half, high=half, p_value=1.0)
    if num in (wins_a, wins_b):  # the sign test: all lists fell on one side
        nearest, p_value = tail ** (1 / num) - 0.5, min(1.0, 2 * 0.5**num)
        low, high = (nearest, 0.5) if wins_a else (-0.5, -nearest)
        return Effect(effect=share - 0.5, low=low, high=high, p_value=p_value)
    error = sqrt(variance / num)
    p_value = 2 * float(student.sf(abs(share - 0.5) / error, num - 1))
    low, high = max(-0.5, share - 0.5 - quantile * error), min(0.5, share - 0.5 + quantile * error)
    return Effect(effect=share - 0.5, low=low, high=high, p_value=p_value)


def _wilson(num: int, quantile: float) -> float:
    """Half the width around 1/2. Source: Wilson (JASA 22, 1927)."""
    return quantile / (1 + quantile**2 / num) * sqrt(1 / (4 * num) + (quantile / (2 * num)) ** 2)
