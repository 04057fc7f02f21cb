"""Alarms of a training: what was measured while it ran, and limits, give what to look at before it is trusted.

An alarm is raised when its value is above its threshold. Arrays: Q queries, R resamples.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from nearer.core.arrays import Bools, Floats64

FEWEST_QUERIES = 10
"""Familiar queries, and others, that it takes to compare their gains; a mean of fewer is one or two queries' doing."""

_SD_OF_GAIN, _SD_BETWEEN_STEPS = 0.32, 0.16
"""How far apart the changes of single queries lie, which makes a mean of few of them move by chance.

Source: the widest interval in docs/results.md (nl2bash, pass 2 - base, 500 queries: 0.056 / 3.92 * sqrt(500)); that
between two steps of a pass is reasoned, as half.
"""

_ALPHA = 0.05
_CHUNK_CELLS = 4_000_000

_SOURCES = {
    "train_dev_gap": (
        "Goodfellow et al., Deep Learning (2016), section 5.2; 0.2 is reasoned: five standard errors of 300 dev and "
        "100 training queries; of fewer never less than two"
    ),
    "dev_falls": (
        "Prechelt, Early Stopping - But When? (1998), section 1; 0.03 is reasoned: three standard errors of 300 dev "
        "queries; of fewer never less than two"
    ),
    "repeated_pairs": (
        "Lee et al., Deduplicating Training Data Makes Language Models Better (2022), table 2: 0.14 of the most "
        "repetitive of four corpora are near-duplicates"
    ),
    "familiar_gain": (
        "Lee et al. (2022), section 6: overlap with training flatters; half of the gain is reasoned, and chance is "
        "ruled out at 0.05 by permutation (Phipson and Smyth, 2010)"
    ),
    "mean_cosine": (
        "Ethayarajh (2019), section 4.1; 0.95 is reasoned: pairs of the sound E5 models score 0.7 to 1.0 by their "
        "model card, so a mean near the upper end is a fault"
    ),
    "spread_lost": (
        "Wang and Isola, Understanding Contrastive Representation Learning (2020), section 4: training should spread "
        "vectors; half of the mean squared distance is reasoned"
    ),
    "rank_unused": (
        "Roy and Vetterli, The Effective Rank (2007); Jing et al., Understanding Dimensional Collapse (2022); 0.95 is "
        "reasoned: 19 of every 20 dimensions hold nothing"
    ),
    "rank_lost": "Garrido et al., RankMe (2023), section 4: quality falls with the effective rank; half is reasoned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured after ``step`` steps of pass ``number``; None where it was not.

    ``dev`` and ``train`` are the metric on dev and on training queries.
    """

    number: int
    step: int
    dev: float
    train: float | None = None
    mean_cosine: float | None = None
    effective_rank: float | None = None

    @property
    def gap(self) -> float | None:
        """Training queries minus dev."""
        return None if self.train is None else self.train - self.dev

    def __str__(self) -> str:
        return f"pass {self.number}, step {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """The mean gain of dev queries worded like a training query, of the others, and p of the first being no larger."""

    familiar: float
    others: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The threshold of each alarm."""

    max_gap_growth: float
    max_dev_fall: float
    max_repeated_pairs: float
    max_familiar_gain: float
    max_mean_cosine: float
    max_spread_lost: float
    max_rank_unused: float
    max_rank_lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a training left to judge.

    ``passes`` are the points of each pass, step 0 first, ``kept`` the one whose weights were kept. ``lessons`` has an
    item a training pair, equal for pairs that nearly repeat each other. ``most_dimensions`` is the largest that the
    effective rank could be, ``num_dev`` and ``num_train`` count the queries measured.
    """

    passes: Sequence[Sequence[Point]]
    kept: Point
    num_dev: int
    num_train: int
    lessons: Sequence[Hashable]
    gains: Gains | None
    most_dimensions: int

    @property
    def start(self) -> Point:
        """The model that training began with."""
        return self.passes[0][0]

    @property
    def ends(self) -> list[Point]:
        """What was kept, and where each pass ended."""
        return [self.kept, *(points[-1] for points in self.passes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm, raised or not; ``value`` is None where there was nothing to measure.

    ``sentence`` says what was found and, when it is raised, what to do.
    """

    name: str
    value: float | None
    threshold: float
    raised: bool
    source: str
    sentence: str


def judge(evidence: Evidence, limits: Limits) -> tuple[Alarm, ...]:
    """Every alarm, those not raised too, always in the same order."""
    return (
        _train_dev_gap(evidence, limits.max_gap_growth),
        _dev_falls(evidence, limits.max_dev_fall),
        _repeated_pairs(evidence.lessons, limits.max_repeated_pairs),
        _familiar_gain(evidence.gains, limits.max_familiar_gain),
        *_cosine(evidence, limits),
        *_rank(evidence, limits),
    )


def raised_in(training: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The alarms raised in a training, as its record has them; none where it was recorded before there were any."""
    return [alarm for alarm in (training or {}).get("alarms", []) if alarm["raised"]]


def compare_gains(gains_Q: Floats64, familiar_Q: Bools, *, num_resamples: int, seed: int) -> Gains | None:
    """The gains of familiar queries beside those of the others; None where either are fewer than FEWEST_QUERIES.

    p is the share of random choices of as many queries, the real one among them, whose gain is at least as large.

    Source: Phipson and Smyth, Permutation P-values Should Never Be Zero (2010), section 2.
    """
    num_familiar = int(familiar_Q.sum())
    if min(num_familiar, len(gains_Q) - num_familiar) < FEWEST_QUERIES:
        return None
    rng, observed, num_extreme = np.random.default_rng(seed), gains_Q[familiar_Q].sum() - 1e-9, 0
    size = max(1, _CHUNK_CELLS // len(gains_Q))
    for first in range(0, num_resamples, size):
        draws_RQ = rng.random((min(size, num_resamples - first), len(gains_Q)))
        chosen_RQ = np.argpartition(draws_RQ, num_familiar - 1, axis=1)[:, :num_familiar]
        num_extreme += int((gains_Q[chosen_RQ].sum(axis=1) >= observed).sum())
    return Gains(
        familiar=float(gains_Q[familiar_Q].mean()),
        others=float(gains_Q[~familiar_Q].mean()),
        p_value=(1 + num_extreme) / (1 + num_resamples),
    )


def _train_dev_gap(evidence: Evidence, threshold: float) -> Alarm:
    before, after = evidence.start.gap, evidence.kept.gap
    if evidence.num_train:
        threshold = max(threshold, 2 * _SD_OF_GAIN * sqrt(1 / evidence.num_dev + 1 / evidence.num_train))
    if before is None or after is None:
        return _alarm("train_dev_gap", None, threshold, "No training queries were measured beside dev")
    return _alarm(
        "train_dev_gap",
        after - before,
        threshold,
        f"Training queries minus dev was {before:+.3f} at the start and is {after:+.3f} at {evidence.kept}",
        "train on more queries, for fewer epochs, or with train.freeze_embeddings",
    )


def _dev_falls(evidence: Evidence, threshold: float) -> Alarm:
    """The largest fall of dev from the best of a pass to its end, while training queries did not fall."""
    threshold = max(threshold, 2 * _SD_BETWEEN_STEPS / sqrt(evidence.num_dev))
    ends = [(max(points, key=lambda point: point.dev), points[-1]) for points in evidence.passes]
    watched = [(best, last, last.train - best.train) for best, last in ends if best.train is not None is not last.train]
    if not watched:
        return _alarm("dev_falls", None, threshold, "No training queries were measured beside dev")
    falls = [(best.dev - last.dev, best, last) for best, last, rise in watched if rise >= 0 and best is not last]
    if not falls:
        return _alarm("dev_falls", 0.0, threshold, "In no pass did dev fall while training queries did not")
    fall, best, last = max(falls, key=lambda each: each[0])
    return _alarm(
        "dev_falls",
        fall,
        threshold,
        f"From {best} to step {last.step} dev went from {best.dev:.3f} to {last.dev:.3f} and training queries from "
        f"{best.train:.3f} to {last.train:.3f}",
        "lower train.epochs or train.learning_rate, for what came after the best step was learned by heart",
    )


def _repeated_pairs(lessons: Sequence[Hashable], threshold: float) -> Alarm:
    times = Counter(lessons)
    num_repeated = sum(count for count in times.values() if count > 1)
    most = f", one of them {max(times.values())} times" if num_repeated else ""
    return _alarm(
        "repeated_pairs",
        num_repeated / len(lessons),
        threshold,
        f"{num_repeated} of {len(lessons)} training pairs nearly repeat another{most}",
        "take the copies out, or lower train.epochs, for each is learned as often as it is there",
    )


def _familiar_gain(gains: Gains | None, threshold: float) -> Alarm:
    """The share of the familiar queries' gain that the others lack; raised only where chance does not explain it."""
    if gains is None:
        return _alarm(
            "familiar_gain",
            None,
            threshold,
            f"Fewer than {FEWEST_QUERIES} dev queries are worded like a training query, or fewer are not",
        )
    if gains.familiar <= 0:
        return _alarm("familiar_gain", None, threshold, "Dev queries worded like a training query gained nothing")
    return _alarm(
        "familiar_gain",
        1 - gains.others / gains.familiar,
        threshold,
        f"Dev queries worded like a training query gained {gains.familiar:+.3f}, the others {gains.others:+.3f} "
        f"(p = {gains.p_value:.4f})",
        "add training queries in other words, and believe the gain of the others",
        is_chance=gains.p_value > _ALPHA,
    )


def _cosine(evidence: Evidence, limits: Limits) -> tuple[Alarm, Alarm]:
    names, thresholds = ("mean_cosine", "spread_lost"), (limits.max_mean_cosine, limits.max_spread_lost)
    before = evidence.start.mean_cosine
    measured = [(point.mean_cosine, point) for point in evidence.ends if point.mean_cosine is not None]
    if before is None or not measured:
        return _unmeasured(names[0], thresholds[0]), _unmeasured(names[1], thresholds[1])
    after, point = max(measured, key=lambda each: each[0])
    found = f"The mean cosine of two passages was {before:.3f} at the start and {after:.3f} at {point}"
    remedy = "lower train.learning_rate or take another base model, for passages have moved together"
    lost = (after - before) / (1 - before) if before < 1 - 1e-6 else None
    return (
        _alarm(names[0], after, thresholds[0], found, remedy),
        _alarm(names[1], lost, thresholds[1], found, remedy),
    )


def _rank(evidence: Evidence, limits: Limits) -> tuple[Alarm, Alarm]:
    names, thresholds = ("rank_unused", "rank_lost"), (limits.max_rank_unused, limits.max_rank_lost)
    before = evidence.start.effective_rank
    measured = [(point.effective_rank, point) for point in evidence.ends if point.effective_rank is not None]
    if before is None or not measured:
        return _unmeasured(names[0], thresholds[0]), _unmeasured(names[1], thresholds[1])
    after, point = min(measured, key=lambda each: each[0])
    found = (
        f"Of {evidence.most_dimensions} dimensions the passages effectively used {before:.1f} at the start and "
        f"{after:.1f} at {point}"
    )
    remedy = "lower train.learning_rate or take another base model, for passages have collapsed into few directions"
    return (
        _alarm(names[0], 1 - after / evidence.most_dimensions, thresholds[0], found, remedy),
        _alarm(names[1], 1 - after / before, thresholds[1], found, remedy),
    )


def _unmeasured(name: str, threshold: float) -> Alarm:
    return _alarm(name, None, threshold, "How the vectors of passages lie was not measured")


def _alarm(
    name: str, value: float | None, threshold: float, found: str, remedy: str = "", *, is_chance: bool = False
) -> Alarm:
    raised = value is not None and value > threshold and not is_chance
    return Alarm(
        name=name,
        value=value,
        threshold=threshold,
        raised=raised,
        source=_SOURCES[name],
        sentence=f"{found}: {remedy}." if raised else f"{found}.",
    )
