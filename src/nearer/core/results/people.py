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
