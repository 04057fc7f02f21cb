"""Advice: remedies that were measured, learning curves, and the short answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.results.base import JSON, OMITTED, Result
from nearer.core.results.measuring import ApiUse, ExcludedDocuments, FailureCause, Interval, Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedGain(Result):
    """The nDCG@10 expected of fine-tuning.

    ``origin`` is "heuristic", "measured learning curve" or "forecast from a measured learning curve".
    """

    ndcg: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortAnswer(Result):
    """The remedy to try first, judged by five numbers, and why; ``gap`` is what the baseline lacks of the target."""

    recommendation: str
    baseline: float
    target: float
    gap: float
    forecast: ExpectedGain
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint(Interval):
    """What training on so many pairs reached, and its gain over the base; the first point is the base itself."""

    num_pairs: int
    metric: str
    gain: Interval
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveForecast(Interval):
    """What training on so many pairs is expected to reach; proven where the whole interval of the gain is above 0."""

    num_pairs: int
    gain: Interval
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve(Result):
    """What short trainings reached on dev, and what all pairs (``forecast``) and more of them would bring.

    ``hours`` is what the recipe's training on all pairs is estimated to take on this machine. ``marginal`` is what so
    many pairs besides those there are would gain, where that was asked.
    """

    metric: str
    num_queries: int
    num_groups: int | None
    num_documents: int
    num_training_pairs: int
    points: tuple[CurvePoint, ...]
    forecast: CurveForecast
    more_pairs: tuple[CurveForecast, ...]
    notes: tuple[str, ...]
    hours: float
    method: str
    marginal: Interval | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceValue(Result):
    """What more judgments of a source would bring to training.

    ``num_bought`` training pairs at ``price_usd`` each, or as many again where they cost no money. ``gain`` is the
    marginal gain of the learning curve, None where ``why`` says that it cannot be measured.
    """

    source: str
    num_pairs: int
    price_usd: float
    num_bought: int
    gain: Interval | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSource(Result):
    """Which source of judgments to buy next for so many dollars; ``best`` is None where no gain is proven."""

    dollars: float
    metric: str
    values: tuple[SourceValue, ...]
    best: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyValues(Result):
    """A remedy: what it brings beside the base, and what it takes.

    ``origin`` is "measured" or "forecast", from a ``curve``. ``latency_ms`` is added to a query; ``index_work`` is
    "none", "transform" or "re-embed". ``cost`` is in US dollars, None where the recipe has no price. ``changes`` are
    the keys of the recipe that make it so.
    """

    name: str
    word: str
    origin: str
    num_queries: int
    metrics: Mapping[str, Interval]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    num_wins: int | None = field(default=None, metadata=OMITTED)
    num_losses: int | None = field(default=None, metadata=OMITTED)
    latency_ms: Mapping[str, float]
    index_work: str = "none"
    reindex_hours: float | None = 0.0
    storage_bytes: int = 0
    training_hours: float | None = None
    pairs_missing: int = 0
    cost: Mapping[str, float | tuple[float, float] | None] = field(default_factory=dict)
    undone: str | None = None
    changes: JSON = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curve: LearningCurve | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRemedy(Result):
    """A remedy that was not measured, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSummary(Result):
    """How many queries of a split fail, by cause."""

    split: str
    num_queries: int
    num_failed: int
    causes: tuple[FailureCause, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(Result):
    """The advised system against the base on the test split, once."""

    split: str
    num_queries: int
    metric: str
    system: str
    base: float
    value: float
    difference: float
    low: float
    high: float
    p_value: float
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Result):
    """Which remedy to take, why, and every remedy that was measured on the judged queries of train and dev.

    ``remedy`` is the name of the row that the verdict means, where it means one; ``next`` are the commands that
    follow. ``written`` are the lines that were put into the recipe.
    """

    split: str
    num_queries: int
    num_groups: int | None
    num_folds: int
    num_documents: int
    num_passages: int
    excluded: ExcludedDocuments
    metric: str
    verdict: str
    remedy: str | None
    reasons: tuple[str, ...]
    remedies: tuple[RemedyValues, ...]
    not_measured: tuple[SkippedRemedy, ...]
    diagnosis: FailureSummary
    next: tuple[str, ...]
    changes: JSON
    written: tuple[str, ...]
    confirmed: Confirmation | None
    duration_s: float
    api: ApiUse | None = field(default=None, metadata=OMITTED)
