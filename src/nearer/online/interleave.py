"""Interleaving: two rankings in one list, and which of them users clicked on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Literal

from scipy.stats import t as student

from nearer.core.errors import InputError
from nearer.core.results.online import Effect

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

    The interval is Student's over lists, which score 1, 1/2 or 0. Where all lists score the same, it is Wilson's, so
    that a few lists never look certain. Lists of one user are not independent: give one list, or one winner, a user.

    Raises InputError for counts below 0 and fewer than two lists.

    Source: Chapelle, Joachims, Radlinski and Yue, Large-Scale Validation and Analysis of Interleaved Search Evaluation
    (TOIS 2012), section 3.2.

    >>> found = interleaving_preference(60, 40)
    >>> round(found.effect, 3), found.low > 0, round(found.p_value, 3)
    (0.1, True, 0.045)
    """
    if min(wins_a, wins_b, ties) < 0:
        raise InputError("wins and ties are counts", hint="give numbers from 0 on")
    num = wins_a + wins_b + ties
    if num < 2:
        raise InputError(f"{num} lists say nothing", hint="wait until two lists at least were clicked")
    if not 0 < confidence < 1:
        raise InputError(f"a confidence of {confidence} is not between 0 and 1", hint="for example 0.95")
    share = (wins_a + ties / 2) / num
    variance = ((wins_a + ties / 4) / num - share**2) * num / (num - 1)
    quantile = float(student.isf((1 - confidence) / 2, num - 1))
    if variance > 1e-12:
        error = sqrt(variance / num)
        p_value = 2 * float(student.sf(abs(share - 0.5) / error, num - 1))
        return Effect(
            effect=share - 0.5, low=share - 0.5 - quantile * error, high=share - 0.5 + quantile * error, p_value=p_value
        )
    centre, half = _wilson(share, num, quantile)
    p_value = 1.0 if share == 0.5 else min(1.0, 2 * 0.5**num)  # the sign test: all lists fell on one side
    return Effect(effect=share - 0.5, low=centre - half - 0.5, high=centre + half - 0.5, p_value=p_value)


def _wilson(share: float, num: int, quantile: float) -> tuple[float, float]:
    """Centre and half width. Source: Wilson (JASA 22, 1927)."""
    shrunk = 1 + quantile**2 / num
    centre = (share + quantile**2 / (2 * num)) / shrunk
    half = quantile / shrunk * sqrt(share * (1 - share) / num + (quantile / (2 * num)) ** 2)
    return centre, half
