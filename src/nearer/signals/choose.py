"""Which click model a log is fitted with, why, and the fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearer.core.arrays import Floats64, Ints
from nearer.signals.click_log import Cells, ClickLog
from nearer.signals.click_models import (
    ClickModel,
    Examination,
    fit_coec,
    fit_ctr,
    fit_looked,
    fit_pbm,
    fit_rank_ctr,
    fit_sdbn,
)
from nearer.signals.propensities import LEAST_ADJACENT, Links, harvest, movers, shuffled_lists

ModelName = Literal["auto", "pbm", "harvest", "sdbn", "coec", "ctr", "rank_ctr"]
MODELS: tuple[ModelName, ...] = ("auto", "pbm", "harvest", "sdbn", "coec", "ctr", "rank_ctr")
_DEBIASED = ("pbm", "harvest")
_BASELINES = {
    "sdbn": "users are taken to read from the top and to stop when satisfied; that is assumed, not found in the log",
    "coec": "clicks beside those that a rank usually gets: better documents stand higher, so this is no debiasing",
    "ctr": "clicks over impressions, wherever a document stood: position bias is all in it",
    "rank_ctr": "clicks by rank alone: a baseline that knows nothing of documents",
}
NOT_IDENTIFIED = (
    "hardly any document stood at two ranks for one query, so nothing tells how far clicks follow the rank and how far "
    "the document"
)
NO_CLICKS = "no document was clicked, so nothing tells how far clicks follow the rank"
NUM_RESAMPLES = 40
"""Draws of the bootstrap. Source: Efron and Tibshirani (1993), section 6.4: 25 to 200 tell a standard error."""
_RESAMPLED_STEPS = 10
"""Steps of each draw, from where the whole log's fit ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The model for a log, and why; ``model`` is None where the one asked for is not identified."""

    model: ModelName | None
    why: str


def choose_model(asked: ModelName, log: ClickLog, links: Links) -> Choice:
    """The estimator follows from how the log was made."""
    if asked in _BASELINES:
        return Choice(model=asked, why=_BASELINES[asked])
    if not log.clicked_LR.any():
        return Choice(model=None, why=NO_CLICKS)
    if not links.identified_R[1:].any():
        return Choice(model=None, why=NOT_IDENTIFIED)
    num_moved, num_ranks = int(links.identified_R.sum()), len(links.identified_R)
    seen = f"{num_moved} of {num_ranks} ranks can be compared by documents that stood at both"
    if asked == "pbm" or (asked == "auto" and not links.is_chain):
        return Choice(model="pbm", why=f"rankings vary: {seen}, so position and document are told apart by EM")
    if asked == "harvest" and not links.is_chain:
        return Choice(
            model="harvest",
            why=f"asked for, though some neighbours share fewer than {LEAST_ADJACENT:.0f} impressions: {seen}",
        )
    if links.shuffled_L is not None:
        return Choice(
            model="harvest",
            why="the column propensity says that lists were shown in drawn orders, each document as likely at every "
            "rank: clicks by rank follow looks alone",
        )
    return Choice(
        model="harvest",
        why="every two neighbouring ranks share documents that stood at both: their click rates are compared, and no "
        "model of attraction is needed",
    )


def fit_model(name: ModelName, log: ClickLog, cells: Cells) -> ClickModel:
    """The model of this name, fitted."""
    num_pairs = len(log.pairs)
    if name == "sdbn":
        return fit_sdbn(log)
    if name == "harvest":
        return fit_looked(
            cells, _looks(movers(log, shuffled_lists(log)), num_ranks=log.pair_LR.shape[1]), num_pairs=num_pairs
        )
    if name == "pbm":
        return fit_pbm(cells, num_pairs=num_pairs)
    if name == "coec":
        return fit_coec(cells, num_pairs=num_pairs)
    return fit_ctr(cells, num_pairs=num_pairs) if name == "ctr" else fit_rank_ctr(cells, num_pairs=num_pairs)


def propensities(name: ModelName, model: ClickModel, links: Links) -> tuple[float | None, ...]:
    """How likely each rank is looked at relative to the first; None where the log cannot tell."""
    if name not in _DEBIASED or not isinstance(model, Examination):
        return ()
    relative_R = model.examination_R / model.examination_R[0]
    return tuple(float(each) if known else None for each, known in zip(relative_R, links.identified_R, strict=True))


def intervals(
    name: ModelName, log: ClickLog, model: ClickModel, links: Links, *, seed: int
) -> tuple[tuple[float, float] | None, ...]:
    """The 95 % interval of each propensity, by drawing users (or lists, where no user is named) anew."""
    if name not in _DEBIASED or not isinstance(model, Examination):
        return ()
    rng = np.random.default_rng(seed)
    units_L = _units(log.users, log.num_lists)
    drawn = []
    for _ in range(NUM_RESAMPLES):
        times_U = np.bincount(rng.integers(0, units_L.max() + 1, units_L.max() + 1), minlength=units_L.max() + 1)
        weight_L = times_U[units_L].astype(np.float64)
        drawn.append(_resampled(name, log, weight_L, model, links))
    low_R, high_R = np.quantile(drawn, [0.025, 0.975], axis=0)
    return tuple(
        (float(low), float(high)) if known else None
        for low, high, known in zip(low_R, high_R, links.identified_R, strict=True)
    )


def _resampled(name: ModelName, log: ClickLog, weight_L: Floats64, model: Examination, links: Links) -> Floats64:
    cells = movers(log, links.shuffled_L, weight_L) if name == "harvest" else log.cells(weight_L)
    drawn = Cells(
        pair_C=cells.pair_C[cells.num_C > 0],
        rank_C=cells.rank_C[cells.num_C > 0],
        num_C=cells.num_C[cells.num_C > 0],
        clicks_C=cells.clicks_C[cells.num_C > 0],
    )
    num_ranks = len(model.examination_R)
    if name == "harvest":
        return _looks(drawn, num_ranks=num_ranks)
    fitted = fit_pbm(drawn, num_pairs=len(log.pairs), begin=model, max_steps=_RESAMPLED_STEPS)
    looked_R = _filled(fitted.examination_R, num_ranks)
    relative_R: Floats64 = looked_R / looked_R[0]
    return relative_R


def _looks(cells: Cells, *, num_ranks: int) -> Floats64:
    return _filled(harvest(cells), num_ranks)


def _filled(looked_R: Floats64, num_ranks: int) -> Floats64:
    """As many ranks as the log has: a draw, and lists that were shuffled, may lack the last ones."""
    return np.pad(looked_R, (0, num_ranks - len(looked_R)), mode="edge")


def _units(users: Sequence[str] | None, num_lists: int) -> Ints:
    """Whose each list is; a list of nobody is a unit of its own."""
    if users is None:
        return np.arange(num_lists)
    names = np.asarray(users, object)
    unit_L = np.unique(names, return_inverse=True)[1]
    nobody_L = np.asarray(names == "", bool)
    unit_L[nobody_L] = len(names) + np.arange(int(nobody_L.sum()))
    return np.unique(unit_L, return_inverse=True)[1]
