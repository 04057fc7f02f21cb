"""Click models: how likely a document is clicked where it stands, and what of that is its own doing.

Each is fitted on cells or lists of a log and says the chance of every click of another one: ``full`` before anything is
known of the list, ``given_above`` with the clicks above it known. Shapes: P pairs and one more for those never seen, R
ranks, L lists, C cells. Every parameter starts from one click and one skip that nobody made (a Beta(1, 1) prior), so a
pair that was never seen has 1/2.

Source: Chuklin, Markov and de Rijke, Click Models for Web Search (2015), chapters 3 and 4; the smoothing is that of its
companion library.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.signals.click_log import Cells, ClickLog

MAX_STEPS = 50
"""Steps of expectation and maximisation. Source: the companion library of Chuklin et al. (2015)."""
_SETTLED = 1e-6
"""Parameters that no step moves by more have converged."""
_LEAST = 1e-9
_AT_ONCE = 2**21
"""Places that are looked at in one piece."""


class ClickModel(Protocol):
    """What every click model says of lists whose pairs have the numbers of the log that it was fitted on."""

    def full(self, pair_LR: Ints) -> Floats64:
        """The chance of a click at every place, shape (L, R)."""
        ...

    def given_above(self, pair_LR: Ints, clicked_LR: Bools) -> Floats64:
        """The same, with the clicks above each place known."""
        ...

    @property
    def attraction_P(self) -> Floats64:
        """How likely a pair is clicked where it is looked at: its relevance, as far as clicks say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examination:
    """A click is a look, whose chance is the rank's, and attraction, which is the pair's; nothing else matters.

    So it is the position-based model, and by what is held fixed also click rates by pair or rank, and COEC.
    """

    examination_R: Floats64
    attraction_P: Floats64

    def full(self, pair_LR: Ints) -> Floats64:
        """The chance of a click at every place, shape (L, R); ranks beyond those fitted are looked at as the last."""
        ranks = np.minimum(np.arange(pair_LR.shape[1]), len(self.examination_R) - 1)
        chance_LR: Floats64 = np.clip(self.examination_R[ranks] * self.attraction_P[pair_LR], _LEAST, 1 - _LEAST)
        return chance_LR

    def given_above(self, pair_LR: Ints, clicked_LR: Bools) -> Floats64:
        """The same: clicks above say nothing here."""
        return self.full(pair_LR)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimplifiedDbn:
    """Users read from the top, click on what attracts, and stop where they are satisfied.

    Source: Chapelle and Zhang, A Dynamic Bayesian Network Click Model for Web Search Ranking (WWW 2009), section 5.
    """

    attraction_P: Floats64
    satisfaction_P: Floats64

    def full(self, pair_LR: Ints) -> Floats64:
        """The chance of a click at every place, shape (L, R)."""
        found_LR, look_L = np.empty(pair_LR.shape), np.ones(len(pair_LR))
        for rank, pair_L in enumerate(pair_LR.T):
            attracted_L = self.attraction_P[pair_L]
            found_LR[:, rank] = look_L * attracted_L
            look_L = np.where(pair_L >= 0, look_L * (1 - attracted_L * self.satisfaction_P[pair_L]), look_L)
        return np.clip(found_LR, _LEAST, 1 - _LEAST)

    def given_above(self, pair_LR: Ints, clicked_LR: Bools) -> Floats64:
        """The same, with the clicks above each place known."""
        found_LR, look_L = np.empty(pair_LR.shape), np.ones(len(pair_LR))
        for rank, (pair_L, clicked_L) in enumerate(zip(pair_LR.T, clicked_LR.T, strict=True)):
            attracted_L = self.attraction_P[pair_L]
            chance_L = np.clip(look_L * attracted_L, _LEAST, 1 - _LEAST)
            found_LR[:, rank] = chance_L
            skipped_L = look_L * (1 - attracted_L) / (1 - chance_L)
            after_L = np.where(clicked_L, 1 - self.satisfaction_P[pair_L], skipped_L)
            look_L = np.where(pair_L >= 0, after_L, look_L)
        return found_LR


def fit_ctr(cells: Cells, *, num_pairs: int) -> Examination:
    """Clicks of a pair over how often it was shown, wherever it stood."""
    return Examination(
        examination_R=np.ones(1), attraction_P=_rates(cells, num_pairs, weight_C=np.ones(len(cells.num_C)))
    )


def fit_rank_ctr(cells: Cells, *, num_pairs: int) -> Examination:
    """Clicks at a rank over how often something stood there, whatever it was."""
    return Examination(examination_R=rank_rates(cells), attraction_P=np.ones(num_pairs + 1))


def fit_coec(cells: Cells, *, num_pairs: int) -> Examination:
    """Clicks over expected clicks: a pair's beside those that its ranks usually get, one more on both sides.

    Source: Zhang and Jones, Comparing Click Logs and Editorial Labels for Training Query Rewriting (2007).
    """
    rate_R = rank_rates(cells)
    expected_P = np.bincount(cells.pair_C, cells.num_C * rate_R[cells.rank_C], num_pairs + 1)
    clicks_P = np.bincount(cells.pair_C, cells.clicks_C, num_pairs + 1)
    return Examination(examination_R=rate_R, attraction_P=(clicks_P + 1) / (expected_P + 1))


def fit_pbm(
    cells: Cells,
    *,
    num_pairs: int,
    begin: Examination | None = None,
    max_steps: int = MAX_STEPS,
    is_examination_known: bool = False,
) -> Examination:
    """The position-based model by expectation and maximisation, from 1/2 everywhere or from where another ended.

    ``is_examination_known`` leaves examination as it begins.

    Source: Chuklin et al. (2015), section 4.3.2; the model: Craswell et al. (WSDM 2008).
    """
    num_ranks = int(cells.rank_C.max()) + 1
    look_R, attract_P = np.full(num_ranks, 0.5), np.full(num_pairs + 1, 0.5)
    if begin is not None:
        num_ranks = max(num_ranks, len(begin.examination_R))
        look_R, attract_P = begin.examination_R.copy(), begin.attraction_P.copy()
    num_R = np.bincount(cells.rank_C, cells.num_C, num_ranks)
    num_P = np.bincount(cells.pair_C, cells.num_C, num_pairs + 1)
    skips_C = cells.num_C - cells.clicks_C
    for _ in range(max_steps):
        look_C, attract_C = look_R[cells.rank_C], attract_P[cells.pair_C]
        unclicked_C = skips_C / np.maximum(1 - look_C * attract_C, _LEAST)
        attracted_P = np.bincount(cells.pair_C, cells.clicks_C + unclicked_C * (1 - look_C) * attract_C, num_pairs + 1)
        looked_R = np.bincount(cells.rank_C, cells.clicks_C + unclicked_C * look_C * (1 - attract_C), num_ranks)
        before = look_R, attract_P
        look_R = look_R if is_examination_known else (looked_R + 1) / (num_R + 2)
        attract_P = (attracted_P + 1) / (num_P + 2)
        if max(np.abs(look_R - before[0]).max(), np.abs(attract_P - before[1]).max()) < _SETTLED:
            break
    return Examination(examination_R=look_R, attraction_P=attract_P)


def fit_looked(cells: Cells, examination_R: Floats64, *, num_pairs: int) -> Examination:
    """Attraction where examination is known, by the steps of ``fit_pbm`` that leave examination as it is.

    Clicks over expected looks would be 1 and more for pairs that were seldom looked at, and foresee nothing.
    """
    begin = Examination(examination_R=examination_R, attraction_P=np.full(num_pairs + 1, 0.5))
    return fit_pbm(cells, num_pairs=num_pairs, begin=begin, is_examination_known=True)


def fit_sdbn(log: ClickLog) -> SimplifiedDbn:
    """The simplified dynamic Bayesian network, in closed form: all above a list's last click was looked at.

    A list without a click was looked at to its end. Source: Chapelle and Zhang (2009), algorithm 1.
    """
    num_ranks = log.pair_LR.shape[1]
    last_L = num_ranks - 1 - log.clicked_LR[:, ::-1].argmax(axis=1)
    end_L = np.where(log.clicked_LR.any(axis=1), last_L, num_ranks - 1)
    looked_LR = log.shown_LR & (np.arange(num_ranks) <= end_L[:, None])
    size = len(log.pairs) + 1
    looks_P = np.bincount(log.pair_LR[looked_LR], minlength=size)
    clicks_P = np.bincount(log.pair_LR[log.clicked_LR], minlength=size)
    clicked_L = np.flatnonzero(log.clicked_LR.any(axis=1))
    ends_P = np.bincount(log.pair_LR[clicked_L, last_L[clicked_L]], minlength=size)
    return SimplifiedDbn(attraction_P=(clicks_P + 1) / (looks_P + 2), satisfaction_P=(ends_P + 1) / (clicks_P + 2))


def rank_rates(cells: Cells) -> Floats64:
    """Clicks at each rank over how often something stood there, shape (R,)."""
    num_R = np.bincount(cells.rank_C, cells.num_C)
    return (np.bincount(cells.rank_C, cells.clicks_C) + 1) / (num_R + 2)


def _rates(cells: Cells, num_pairs: int, *, weight_C: Floats64) -> Floats64:
    clicks_P = np.bincount(cells.pair_C, cells.clicks_C, num_pairs + 1)
    looks_P = np.bincount(cells.pair_C, cells.num_C * weight_C, num_pairs + 1)
    return (clicks_P + 1) / (looks_P + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How well a model foresees clicks: ``perplexity_at`` each rank, 1 is perfect and 2 a coin.

    ``log_likelihood`` is the mean over lists of the mean over ranks of the natural logarithm of what was seen given the
    clicks above; ``perplexity`` the mean over ranks of 2 to minus the mean log2 of what was seen at a rank.
    """

    log_likelihood: float
    perplexity: float
    perplexity_at: tuple[float, ...]


def likelihood(model: ClickModel, pair_LR: Ints, clicked_LR: Bools) -> Likelihood:
    """How well a model foresees the clicks of lists. Source: Chuklin et al. (2015), sections 5.1 and 5.2."""
    num_lists, num_ranks = pair_LR.shape
    bits_R, there_R, seen = np.zeros(num_ranks), np.zeros(num_ranks, np.int64), 0.0
    step = max(1, _AT_ONCE // num_ranks)
    for start in range(0, num_lists, step):
        part_LR, done_LR = pair_LR[start : start + step], clicked_LR[start : start + step]
        shown_LR = part_LR >= 0
        given_LR = model.given_above(part_LR, done_LR)
        seen_LR = np.where(shown_LR, np.log(np.where(done_LR, given_LR, 1 - given_LR)), 0.0)
        seen += float((seen_LR.sum(axis=1) / np.maximum(shown_LR.sum(axis=1), 1)).sum())
        full_LR = model.full(part_LR)
        bits_R += np.where(shown_LR, np.log2(np.where(done_LR, full_LR, 1 - full_LR)), 0.0).sum(axis=0)
        there_R += shown_LR.sum(axis=0)
    at_R = 2 ** (-bits_R[there_R > 0] / there_R[there_R > 0])
    return Likelihood(
        log_likelihood=seen / num_lists,
        perplexity=float(at_R.mean()),
        perplexity_at=tuple(at_R.tolist()),
    )
