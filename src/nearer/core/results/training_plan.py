"""What of a training fits into its time, by what it costs; and several trainings of which one is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.results.base import Result

Setting = bool | int | float | str | tuple[float, ...] | None
Settings = Mapping[str, Setting]
"""Values of the recipe by their keys, such as ``train.epochs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs(Result):
    """Seconds of a token that is encoded, of one that is trained on, and of the optimiser's step.

    ``coarse_s`` is a token's in bfloat16, where the hardware has that; ``judging_s`` what a teacher takes for one
    mining.
    """

    encode_s: float
    train_s: float
    step_s: float
    coarse_s: float | None = None
    judging_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Result):
    """What is trained, how long that is expected to take, and why it is no more.

    ``savings`` are other values of the recipe that save time, by keys such as ``train.freeze_layers``. The
    measurements of a pass may read ``dev_tokens`` together. Without pairs there is no time for anything, and
    ``least_s`` is what would do.
    """

    epochs: float
    passes: int
    num_pairs: int
    dev_tokens: float
    plain_step_s: float
    mined_step_s: float
    estimate_s: float
    least_s: float
    reasons: tuple[str, ...]
    savings: Settings = field(default_factory=dict)

    @property
    def changes(self) -> Settings:
        """The values of the recipe that differ by it."""
        return {**self.savings, "train.epochs": self.epochs, "train.passes": self.passes}


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSize(Result):
    """So many queries over their relevant documents and so many passages of others, measured so often a pass."""

    num_queries: int
    num_distractors: int
    evals_per_pass: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Result):
    """What was chosen to fit a training into ``budget_s`` seconds, the costs that it was chosen by, and dev."""

    budget_s: float
    plan: Plan
    costs: Costs
    dev: DevSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Result):
    """One of several trainings: what dev said of it, ``value`` of the weights that it kept, None where it broke down.

    ``duration_s`` is None where it went on in another process.
    """

    settings: Settings
    value: float | None
    points: tuple[float, ...] = ()
    num_passes: int = 0
    out_of_time: bool = False
    fault: str = ""
    hint: str = ""
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds(Result):
    """The same training from several seeds, and how far they lie apart on dev; of one there is no deviation."""

    trainings: tuple[Trial, ...]
    mean: float
    standard_deviation: float | None
