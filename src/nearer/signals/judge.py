"""From clicks to judgments: how attractive each pair of a query and a document is to those who looked at it.

Arrays: L lists, R ranks, P pairs, K a pair and a person who was shown it.
"""

from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.signals.choose import ModelName
from nearer.signals.click_models import ClickModel, Examination
from nearer.signals.shown import Shown

LEAST_LOOK = 0.05
"""Looks rarer than so are taken to be as frequent: a few clicks far down must not decide. Source: clipped propensities,
Joachims, Swaminathan and Schnabel (WSDM 2017), section 6.4."""
PRIOR_LOOKS = 5.0
"""A pair is drawn towards the mean of all pairs as if that had been seen in so many looks. Our rule. In the mean each
pair counts by the share of its rate that is its own, as in a random-effects mean (DerSimonian and Laird, 1986): what
stands first is looked at most and is mostly right, so a mean of all looks would call each rarely seen pair right."""
_TOP = 0.95
"""The quantile of attraction from which on the grade is the highest. Our rule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attraction:
    """How attractive each pair is, and how well that is known.

    ``num_impressions_P`` and ``num_people_P`` count who was shown it; ``looks_P`` are expected looks, at most one a
    person; ``rate_P`` is the gain of a look, drawn towards the mean. ``effective_size`` is that of the weighted clicks.
    """

    num_impressions_P: Ints
    num_people_P: Ints
    looks_P: Floats64
    rate_P: Floats64
    effective_size: float

    @property
    def weight_P(self) -> Floats64:
        """How far each can be believed, from 0 to 1: the share of its rate that is its own."""
        weight_P: Floats64 = self.looks_P / (self.looks_P + PRIOR_LOOKS)
        return weight_P


def attraction(shown: Shown, name: ModelName, model: ClickModel) -> Attraction:
    """The gain of a pair over how often it was looked at, each person counting as one look at most.

    So it is inverse propensity scoring, clipped and self-normalised; and whoever comes ten thousand times says no more
    than once. Source: Joachims et al. (WSDM 2017); Swaminathan and Joachims (NIPS 2015).
    """
    log = shown.log
    lists, ranks = np.nonzero(log.shown_LR)
    pair_S, look_S = log.pair_LR[lists, ranks], _looks(shown, name, model)[lists, ranks]
    gain_S = shown.gain_LR[lists, ranks]
    size = len(log.pairs)
    key_S = pair_S * (int(shown.person_L.max(initial=0)) + 1) + shown.person_L[lists]
    keys, place_S = np.unique(key_S, return_inverse=True)
    pair_K = keys // (int(shown.person_L.max(initial=0)) + 1)
    looks_K, gain_K = np.bincount(place_S, look_S, len(keys)), np.bincount(place_S, gain_S, len(keys))
    share_K = np.minimum(1.0, 1.0 / np.maximum(looks_K, 1e-12))
    looks_P: Floats64 = np.bincount(pair_K, share_K * looks_K, size).astype(np.float64)
    gain_P = np.bincount(pair_K, np.minimum(share_K * gain_K, 1.0), size)
    own_P = looks_P / (looks_P + PRIOR_LOOKS)
    mean = (own_P * gain_P / np.maximum(looks_P, 1e-12)).sum() / max(own_P.sum(), 1e-12)
    weight_S = 1 / np.maximum(look_S[gain_S > 0], LEAST_LOOK)
    return Attraction(
        num_impressions_P=np.bincount(pair_S, minlength=size),
        num_people_P=np.bincount(pair_K, minlength=size),
        looks_P=looks_P,
        rate_P=np.minimum((gain_P + PRIOR_LOOKS * mean) / (looks_P + PRIOR_LOOKS), 1.0),
        effective_size=float(weight_S.sum() ** 2 / (weight_S**2).sum()) if len(weight_S) else 0.0,
    )


def grades(found: Attraction, judged_P: Bools, *, max_grade: int) -> Ints:
    """A grade from 0 to ``max_grade`` for each pair, by its rate beside that of the most attractive ones judged."""
    if not judged_P.any():
        return np.zeros(len(judged_P), np.int64)
    top = float(np.quantile(found.rate_P[judged_P], _TOP))
    share_P = np.minimum(found.rate_P / top, 1.0) if top > 0 else np.zeros(len(judged_P))
    return np.floor(max_grade * share_P + 0.5).astype(np.int64)


def _looks(shown: Shown, name: ModelName, model: ClickModel) -> Floats64:
    """How likely each place was looked at, relative to the first, shape (L, R)."""
    log = shown.log
    num_ranks = log.pair_LR.shape[1]
    if isinstance(model, Examination):
        ranks = np.minimum(np.arange(num_ranks), len(model.examination_R) - 1)
        look_R = model.examination_R[ranks] / model.examination_R[0]
        wide_LR: Floats64 = np.broadcast_to(np.maximum(look_R, LEAST_LOOK), log.pair_LR.shape)
        return wide_LR
    clicked_LR = log.clicked_LR  # sdbn: all above the last click was looked at, or all where there is none
    last_L = num_ranks - 1 - clicked_LR[:, ::-1].argmax(axis=1)
    end_L = np.where(clicked_LR.any(axis=1), last_L, num_ranks - 1)
    looked_LR: Floats64 = (np.arange(num_ranks) <= end_L[:, None]).astype(np.float64)
    return looked_LR
