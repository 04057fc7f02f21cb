"""Trainings: what was measured while they ran, and what they made."""

import math
from dataclasses import dataclass, field

from nearer.core.results.base import JSON, OMITTED, Result
from nearer.core.results.measuring import ApiUse, Comparison, Interval
from nearer.core.results.training_plan import Budget, Seeds, Settings, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class DevPoint(Result):
    """What dev said after ``step`` optimiser steps; step 0 is the model that the pass began with.

    Beside it what each dev query said, while the pass goes on; ``train``, the same as ``value`` of a sample of the
    training queries, and the effective rank of a sample of passages; None where that was not measured.
    """

    step: int
    value: float
    queries: tuple[float, ...] = ()
    train: float | None = None
    effective_rank: float | None = None

    @property
    def fault(self) -> str:
        """Which measurement is not a number; empty when all are."""
        sides = {"dev": self.value, "train": self.train}
        return next((side for side, value in sides.items() if value is not None and not math.isfinite(value)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit(Result):
    """How a pass, or the training of an adapter or of a cross-encoder, went.

    ``best_step`` is when dev measured the weights that stand; 0 means that training did not help, and the model is as
    it was. ``fault`` says what was not a number, and at which step; it ended there, and kept what was best before. With
    ``out_of_time`` the time was over. ``losses`` are means, of stretches or epochs. Of an encoder's pass alone: the
    loss, ``why`` it was that, and how many texts of a batch a query was told from, as a mean.
    """

    num_examples: int
    num_steps: int
    best_step: int
    stopped_early: bool
    fault: str = ""
    dev: tuple[DevPoint, ...]
    losses: tuple[float, ...]
    out_of_time: bool = False
    loss: str = ""
    why: str = ""
    num_negatives: float = 0.0

    @property
    def kept(self) -> DevPoint:
        """What dev said of the weights that stand."""
        [point] = [point for point in self.dev if point.step == self.best_step]
        return point


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport(Result):
    """How many candidates a source proposed, known ones included, and how many of the drawn negatives it proposed.

    A candidate of two sources counts for both. ``num_drawn`` is None where negatives are drawn later.
    """

    source: str
    num_proposed: int
    num_drawn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedSample(Result):
    """A drawn negative, with its scores and the sources that proposed it; long texts are cut, and end in " …"."""

    query: str
    positive: str
    negative: str
    positive_score: float
    negative_score: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseNegatives(Interval):
    """The expected share of the drawn negatives, with its 95% interval; by hidden positives it is the most it can be.

    ``num_queries`` is how many it was measured on.
    """

    method: str
    num_queries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningReport(Result):
    """What mining did, for the log and the report.

    ``num_candidates`` counts one that several sources proposed once. ``margin`` is the one chosen; -1 means no
    margin. ``share_with_enough`` is the share of examples that kept as many candidates as negatives are wanted. Of
    ``num_hidden_positives``, the known positives that would be candidates of another one were they not known, the
    margin rejects the share ``share_hidden_rejected``. Where it ``is_excluded``, so many negatives seemed to be
    positives that none is used; the estimates and samples are of them. A teacher, where there is one, masks what
    it takes for answers, and makes positives of some.
    """

    num_examples: int
    num_candidates: int
    num_known_or_own: int
    num_near_duplicates: int
    num_inside_margin: int
    margin: float
    share_with_enough: float
    num_hidden_positives: int
    share_hidden_rejected: float | None
    sources: tuple[SourceReport, ...]
    num_filled_at_random: int = 0
    is_excluded: bool = False
    false_negatives: tuple[FalseNegatives, ...] = ()
    samples: tuple[MinedSample, ...] = ()
    num_masked_by_teacher: int = 0
    num_added_by_teacher: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(Result):
    """A pass of a training: what was mined before it, and how it went.

    Number 0 is a linear map that training begins with, and its ``gain`` on dev.
    """

    number: int
    fit: Fit
    mining: MiningReport | None
    gain: Comparison | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Result):
    """One alarm, raised or not; ``value`` is None where there was nothing to measure.

    ``sentence`` says what was found and, when it is raised, what to do.
    """

    name: str
    value: float | None
    threshold: float
    raised: bool
    source: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDraw(Result):
    """What an epoch draws of the pairs of a source."""

    source: str
    num_pairs: int
    weight: float
    num_drawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData(Result):
    """What was learned from; ``revision`` is that of the documents that were read, and the one when it ended.

    ``sources`` are the largest of ``num_sources``.
    """

    num_pairs: int
    pairs_id: str
    num_sources: int = 1
    sources: tuple[SourceDraw, ...] = ()
    revision: int | None = None
    revision_at_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedWeight(Result):
    """A weight between two models', dev there, and the suite's cases that fail, where there is a suite."""

    weight: float
    value: float
    num_cases: int | None = None
    num_failed: int | None = None
    newly_failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedWith(Result):
    """The other model of a merge, the share of the first, and what was measured."""

    model_id: str
    weight: float
    points: tuple[MergedWeight, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledFrom(Result):
    """The teacher of a model that learned its vectors, the places of the parent's layers that it has, and the texts."""

    model_id: str
    layers: tuple[int, ...]
    num_queries: int
    num_passages: int
    num_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DevValues(Result):
    """Dev at the start and at best; with ``depth``, so many of what ``retriever`` found are ranked anew."""

    metric: str
    num_queries: int
    start: float
    best: float
    num_documents: int | None = field(default=None, metadata=OMITTED)
    depth: int | None = field(default=None, metadata=OMITTED)
    retriever: float | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint(Result):
    """What a reranker's training began with; ``is_fresh`` when its head was random."""

    name: str
    is_fresh: bool
    cross_encoder_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord(Result):
    """How a model or a reranker was made, as it is kept: the whole recipe, the data, and what was measured.

    ``adapter`` are an adapter's settings, ``merged`` is of a merge, ``distilled`` of a student; ``start``,
    ``retriever`` and ``dev`` of a reranker. ``duration_s`` is None where several processes took part one after the
    other.
    """

    recipe: JSON
    data: TrainingData | None = None
    passes: tuple[Pass, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    budget: Budget | None = field(default=None, metadata=OMITTED)
    trials: tuple[Trial, ...] | None = field(default=None, metadata=OMITTED)
    seeds: Seeds | None = field(default=None, metadata=OMITTED)
    adapter: Settings | None = field(default=None, metadata=OMITTED)
    merged: MergedWith | None = field(default=None, metadata=OMITTED)
    distilled: DistilledFrom | None = field(default=None, metadata=OMITTED)
    start: StartingPoint | None = field(default=None, metadata=OMITTED)
    retriever: str | None = field(default=None, metadata=OMITTED)
    dev: DevValues | None = field(default=None, metadata=OMITTED)
    duration_s: float | None = None

    @property
    def raised(self) -> tuple[Alarm, ...]:
        """The alarms that were raised."""
        return tuple(alarm for alarm in self.alarms if alarm.raised)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedFromTraining(Result):
    """How many queries and pairs were left out, because they leak into a later split."""

    queries: int
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Result):
    """What a training made: a model that is better on dev, or the model that it began with.

    ``adapter`` are an adapter's settings. ``dimensions`` are those that vectors may be cut to.
    """

    model_id: str
    encoder_id: str
    space_id: str
    improved: bool
    passes: tuple[Pass, ...]
    alarms: tuple[Alarm, ...] = ()
    budget: Budget | None = field(default=None, metadata=OMITTED)
    trials: tuple[Trial, ...] | None = field(default=None, metadata=OMITTED)
    seeds: Seeds | None = field(default=None, metadata=OMITTED)
    adapter: Settings | None = field(default=None, metadata=OMITTED)
    dev: DevValues
    num_pairs: int
    dimensions: tuple[int, ...] = ()
    num_sources: int = 1
    sources: tuple[SourceDraw, ...] = ()
    num_excluded: ExcludedFromTraining
    duration_s: float
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedReranker(Result):
    """What the training of a cross-encoder made; without an id where nothing was better than what there was."""

    reranker_id: str | None
    cross_encoder_id: str | None
    improved: bool
    retriever: str
    start: StartingPoint
    passes: tuple[Pass, ...]
    fault: str
    dev: DevValues
    num_pairs: int
    num_excluded: ExcludedFromTraining
    duration_s: float
    api: ApiUse | None = field(default=None, metadata=OMITTED)
