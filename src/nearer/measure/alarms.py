"""Alarms of a training: four checks of what was measured while it ran, to look at before it is trusted.

An alarm is raised when its value is above its threshold.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

from nearer.core.results.training import Alarm

MAX_GAP_GROWTH = 0.2
"""Of training queries minus dev. Reasoned: five standard errors of 300 dev and 100 training queries."""
MAX_DEV_FALL = 0.03
"""From the best of a pass to its end. Reasoned: three standard errors of 300 dev queries."""
MAX_REPEATED_PAIRS = 0.15
"""Source: Lee et al. (2022), table 2: 0.14 in the most repetitive of four corpora; our four sets have 0.04 at most."""
MAX_RANK_LOST = 0.5
"""Of the effective rank. Source: Garrido et al., RankMe (2023), section 4: quality falls with it; half is reasoned."""

_SD_OF_GAIN, _SD_BETWEEN_STEPS = 0.32, 0.16
"""How far apart the changes of single queries lie, which makes a mean of few of them move by chance.

Source: the widest interval in docs/results.md (nl2bash, pass 2 - base, 500 queries: 0.056 / 3.92 * sqrt(500)); that
between two steps of a pass is reasoned, as half.
"""

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
    "rank_lost": "Garrido et al., RankMe (2023), section 4: quality falls with the effective rank; half is reasoned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """What was measured after ``step`` steps of pass ``number``; None where it was not.

    ``dev`` and ``train`` are the metric on dev and on training queries.
    """

    number: int
    step: int
    dev: float
    train: float | None = None
    effective_rank: float | None = None

    @property
    def gap(self) -> float | None:
        """Training queries minus dev."""
        return None if self.train is None else self.train - self.dev

    def __str__(self) -> str:
        return f"pass {self.number}, step {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEvidence:
    """What a training left to judge.

    ``passes`` are the points of each pass, step 0 first, ``kept`` the one whose weights were kept. ``lessons`` has an
    item a training pair, equal for pairs that nearly repeat each other. The effective rank is that of the vectors of
    ``num_passages`` passages, and no larger than their number or ``dimension``; ``num_dev`` and ``num_train`` count the
    queries measured.
    """

    passes: Sequence[Sequence[MeasuredStep]]
    kept: MeasuredStep
    num_dev: int
    num_train: int
    lessons: Sequence[Hashable]
    num_passages: int
    dimension: int

    @property
    def start(self) -> MeasuredStep:
        """The model that training began with."""
        return self.passes[0][0]

    @property
    def ends(self) -> list[MeasuredStep]:
        """What was kept, and where each pass ended."""
        return [self.kept, *(points[-1] for points in self.passes)]


def judge(evidence: TrainingEvidence) -> tuple[Alarm, ...]:
    """Every alarm, those not raised too, always in the same order."""
    return (
        _train_dev_gap(evidence),
        _dev_falls(evidence),
        _repeated_pairs(evidence.lessons),
        _rank_lost(evidence),
    )


def _train_dev_gap(evidence: TrainingEvidence) -> Alarm:
    before, after, threshold = evidence.start.gap, evidence.kept.gap, MAX_GAP_GROWTH
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


def _dev_falls(evidence: TrainingEvidence) -> Alarm:
    """The largest fall of dev from the best of a pass to its end, while training queries did not fall."""
    threshold = max(MAX_DEV_FALL, 2 * _SD_BETWEEN_STEPS / sqrt(evidence.num_dev))
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


def _repeated_pairs(lessons: Sequence[Hashable]) -> Alarm:
    times = Counter(lessons)
    num_repeated = sum(count for count in times.values() if count > 1)
    most = f", one of them {max(times.values())} times" if num_repeated else ""
    return _alarm(
        "repeated_pairs",
        num_repeated / len(lessons),
        MAX_REPEATED_PAIRS,
        f"{num_repeated} of {len(lessons)} training pairs nearly repeat another{most}",
        "take the copies out, or lower train.epochs, for each is learned as often as it is there",
    )


def _rank_lost(evidence: TrainingEvidence) -> Alarm:
    """The largest share of the effective rank that is lost at the end of a pass, or in what was kept."""
    before = evidence.start.effective_rank
    measured = [(point.effective_rank, point) for point in evidence.ends if point.effective_rank is not None]
    if before is None or not measured:
        return _alarm("rank_lost", None, MAX_RANK_LOST, "How the vectors of passages lie was not measured")
    after, point = min(measured, key=lambda each: each[0])
    return _alarm(
        "rank_lost",
        1 - after / before,
        MAX_RANK_LOST,
        f"The vectors of {evidence.num_passages} passages effectively spread over {before:.1f} of "
        f"{evidence.dimension} dimensions at the start and over {after:.1f} at {point}",
        "lower train.learning_rate or take another base model, for passages have collapsed into few directions",
    )


def _alarm(name: str, value: float | None, threshold: float, found: str, remedy: str = "") -> Alarm:
    raised = value is not None and value > threshold
    return Alarm(
        name=name,
        value=value,
        threshold=threshold,
        raised=raised,
        source=_SOURCES[name],
        sentence=f"{found}: {remedy}." if raised else f"{found}.",
    )
