"""What another ranking would have earned, from impressions whose order was drawn with known probabilities.

A document at a rank is an action with a propensity. The candidate's document at that rank was shown there in some of
the logged lists; those count, each by one over its propensity.

Arrays: I searches, K ranks; the documents of both rankings are numbers, -1 for none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.results.online import OffPolicy

CLIP = 20.0
"""The largest weight: one over a propensity of 0.05. Source: Bottou et al., Counterfactual Reasoning and Learning
Systems (JMLR 14, 2013), section 4.4, for clipping; the value is our rule."""
NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedLists:
    """What was shown in each search, how likely each document was to stand there, and what was clicked."""

    docs_IK: Ints
    propensities_IK: Floats64
    clicks_IK: Floats64

    def __post_init__(self) -> None:
        shapes = {self.docs_IK.shape, self.propensities_IK.shape, self.clicks_IK.shape}
        if len(shapes) > 1 or self.docs_IK.ndim != 2:
            raise InputError(f"documents, propensities and clicks have shapes {shapes}", hint="give (searches, ranks)")
        is_shown = self.docs_IK >= 0
        if ((self.propensities_IK[is_shown] <= 0) | (self.propensities_IK[is_shown] > 1)).any():
            raise InputError("a propensity is not above 0 and at most 1", hint="log how likely each place was")


def estimate(
    logged: LoggedLists,
    candidate_IK: ArrayLike,
    *,
    model_IK: ArrayLike | None = None,
    model_logged_IK: ArrayLike | None = None,
    clip: float = CLIP,
    confidence: float = 0.95,
    seed: int = 0,
) -> OffPolicy:
    """Clicks a search of the candidate's lists, by three estimators.

    ``model_IK`` are a model's click probabilities of the candidate's documents at their ranks, ``model_logged_IK`` of
    the logged ones; without them the mean click rate of each rank stands in. A document that the candidate ranks where
    it was never shown has no weight anywhere: IPS counts it as nothing, the doubly robust estimate by the model.

    Raises InputError for shapes that differ and for a log without a search.

    Source: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, Offline Evaluation of Ranking Policies with Click
    Models (KDD 2018), the item-position estimator; Swaminathan and Joachims (NIPS 2015), self-normalisation; Dudik,
    Langford and Li (ICML 2011), doubly robust; Kong (1992), effective size.
    """
    docs_IK = np.asarray(candidate_IK, np.int64)
    if docs_IK.shape != logged.docs_IK.shape or not len(docs_IK):
        raise InputError(
            f"the candidate's lists have the shape {docs_IK.shape}, the log {logged.docs_IK.shape}",
            hint="rank the logged queries, to as many ranks, -1 where there is none",
        )
    matches_IK = (docs_IK == logged.docs_IK) & (docs_IK >= 0)
    weights_IK = np.where(matches_IK, np.minimum(1 / np.where(matches_IK, logged.propensities_IK, 1.0), clip), 0.0)
    rates_K = logged.clicks_IK.sum(axis=0) / np.maximum((logged.docs_IK >= 0).sum(axis=0), 1)
    model = _model(model_IK, rates_K, docs_IK)
    own = _model(model_logged_IK, rates_K, logged.docs_IK)
    ips_I = (weights_IK * logged.clicks_IK).sum(axis=1)
    robust_I = model.sum(axis=1) + (weights_IK * (logged.clicks_IK - own)).sum(axis=1)
    wanted_I = (docs_IK >= 0).sum(axis=1)
    rows = np.random.default_rng(seed).integers(len(docs_IK), size=(NUM_RESAMPLES, len(docs_IK)))
    weight_I = weights_IK.sum(axis=1)

    def snips(chosen: Ints | slice) -> float:
        total = weight_I[chosen].sum()
        return float(ips_I[chosen].sum() / total * wanted_I[chosen].mean()) if total else 0.0

    drawn_snips = np.array([snips(row) for row in rows])
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    ips_low, ips_high = np.quantile(ips_I[rows].mean(axis=1), edges)
    snips_low, snips_high = np.quantile(drawn_snips, edges)
    robust_low, robust_high = np.quantile(robust_I[rows].mean(axis=1), edges)
    squares = float((weight_I**2).sum())
    return OffPolicy(
        num_searches=len(docs_IK),
        logged=float(logged.clicks_IK.sum(axis=1).mean()),
        ips=float(ips_I.mean()),
        ips_low=float(ips_low),
        ips_high=float(ips_high),
        snips=snips(slice(None)),
        snips_low=float(snips_low),
        snips_high=float(snips_high),
        doubly_robust=float(robust_I.mean()),
        doubly_robust_low=float(robust_low),
        doubly_robust_high=float(robust_high),
        effective_size=float(weight_I.sum() ** 2 / squares) if squares else 0.0,
        share_matched=float(matches_IK.sum() / max(wanted_I.sum(), 1)),
    )


def _model(given: ArrayLike | None, rates_K: Floats64, docs_IK: Ints) -> Floats64:
    """A model's click probabilities, 0 where there is no document."""
    values = np.broadcast_to(rates_K, docs_IK.shape) if given is None else np.asarray(given, np.float64)
    if values.shape != docs_IK.shape:
        raise InputError(f"the model has the shape {values.shape}, the lists {docs_IK.shape}", hint="one a document")
    return np.where(docs_IK >= 0, values, 0.0)
