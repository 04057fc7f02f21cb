"""What people's judgments say of each other, and how labelling goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.results.base import OMITTED, Result
from nearer.core.results.measuring import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterEntry(Result):
    """A rater beside the others, on the pairs that others rated too.

    ``kappa`` is quadratic-weighted, ``bias`` the mean of the rater's grade less the others'; None where nothing is
    shared or nothing varies. ``reliability`` (Dawid and Skene) is 1 for a rater who never errs and 0 for one who
    guesses; ``weight`` is what the judgments have now. ``is_far`` from the rest: see the explanation.
    """

    rater: str
    num_ratings: int
    num_shared: int
    kappa: Interval | None
    bias: Interval | None
    reliability: float
    weight: float
    is_far: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterAgreement(Result):
    """How far the raters of a source agree.

    ``alpha`` is Krippendorff's, on the ordinal scale; ``by_grade`` says, of ratings beside one of a grade, how many are
    of that grade too. All intervals are 95 %, a bootstrap over pairs. ``far`` names raters far from the rest.
    """

    source: str
    num_raters: int
    num_pairs: int
    num_ratings: int
    num_shared: int
    alpha: Interval | None
    alpha_interval_scale: Interval | None
    alpha_nominal: Interval | None
    by_grade: Mapping[str, Interval]
    raters: tuple[RaterEntry, ...]
    far: tuple[str, ...]
    is_written: bool
    notes: tuple[str, ...]
    hint: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPlan(Result):
    """What is to be judged, and what it costs: ``num_ratings`` at 0.50 to 2.00 US dollars each.

    Of ``num_pooled`` pairs that systems found, ``num_judged`` are judged already. ``num_gold`` pairs whose grade is
    known check the raters. ``is_started`` is false after a dry run, ``set_id`` None then.
    """

    name: str
    set_id: str | None
    systems: tuple[str, ...]
    strategy: str
    max_grade: int
    num_queries: int
    num_pooled: int
    num_judged: int
    num_pairs: int
    num_overlapping: int
    num_gold: int
    num_ratings: int
    cost_low_usd: float
    cost_high_usd: float
    is_started: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterProgress(Result):
    """What a rater did; ``gold_bias`` is the mean of the rater's grade less the known one, on gold pairs."""

    rater: str
    num_rated: int
    num_skipped: int
    num_gold: int
    num_gold_right: int
    gold_bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing(Result):
    """nDCG@10 of a pooled system before and after what was labelled, each with its 95 % interval.

    Taken over the queries that have a gain then; None where there are none.
    """

    system: str
    num_queries_before: int
    before: Interval | None
    num_queries: int
    now: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelProgress(Result):
    """How far a label set is: ``num_ratings`` of ``num_wanted``, gold checks apart."""

    name: str
    set_id: str
    created_at: str
    strategy: str
    num_pairs: int
    num_wanted: int
    num_ratings: int
    num_to_settle: int
    num_settled: int
    cost_low_usd: float
    cost_high_usd: float
    raters: tuple[RaterProgress, ...]
    narrowing: tuple[Narrowing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStatus(Result):
    """The label sets there are."""

    sets: tuple[LabelProgress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangedLabels(Result):
    """Labels written to a file or read from one."""

    name: str
    file: str
    format: str
    num_pairs: int
    num_rated: int
    num_ratings: int
    num_unrated: int
