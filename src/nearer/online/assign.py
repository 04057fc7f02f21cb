"""Who sees which arm: a unit (a user, or a session) falls into one of 10,000 buckets, always the same one.

The bucket is the first 32 bits of SHA-256 of the salt, a line break and the unit, modulo 10,000. Each arm owns a block
of buckets, as wide as its weight; a ramp uses the first part of every block. So a growing ramp only adds units: nobody
changes arms. A long-run holdout has a salt of its own, the same for every experiment. The same in JavaScript:
docs/how-to/assign-users.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import floor

from scipy.stats import chisquare

from nearer.core.errors import InputError
from nearer.core.results.online import SampleRatio

NUM_BUCKETS = 10_000
HOLDOUT_SALT = "nearer.holdout"
RATIO_ALARM = 0.001
"""Source: Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled Experiments (KDD 2019), section 4."""


def bucket_of(unit: str, *, salt: str) -> int:
    r"""The bucket of a unit, from 0 to 9,999. Raises InputError for a salt that holds a line break, or an empty unit.

    >>> bucket_of("user-1", salt="colours")
    1599
    """
    if "\n" in salt or not unit:
        raise InputError("a salt is one line, and a unit is not empty", hint="send the user, or the session")
    digest = sha256(f"{salt}\n{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % NUM_BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How units are shared out: ``weights`` by arm, of all who take part; ``ramp`` is the share of them that does now.

    ``holdout`` is the share of all units that never takes part in anything. Raises InputError for weights below 0 or
    without a sum, an arm without a name, and shares outside 0 to 1.
    """

    salt: str
    weights: Mapping[str, float]
    ramp: float = 1.0
    holdout: float = 0.0

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights.values()) < 0 or not sum(self.weights.values()) > 0:
            raise InputError(
                f"weights of arms: {dict(self.weights)}", hint='for example {"control": 1, "treatment": 1}'
            )
        if not all(self.weights) or not (0 <= self.ramp <= 1 and 0 <= self.holdout < 1):
            raise InputError("arms have names, and ramp and holdout are shares", hint="for example ramp = 0.1")

    def arm_of(self, unit: str) -> str | None:
        """The arm of a unit; None for those held out, and those that a ramp has not come to yet."""
        if is_held_out(unit, share=self.holdout):
            return None
        bucket = bucket_of(unit, salt=self.salt)
        for arm, (begin, end) in self.blocks.items():
            if begin <= bucket < end:
                return arm if bucket < begin + _rounded(self.ramp * (end - begin)) else None
        return None

    @property
    def blocks(self) -> dict[str, tuple[int, int]]:
        """The buckets of each arm, first and one past the last, by the whole ramp."""
        whole, sum_before, found = sum(self.weights.values()), 0.0, dict[str, tuple[int, int]]()
        for arm, weight in self.weights.items():
            begin = _rounded(sum_before / whole * NUM_BUCKETS)
            sum_before += weight
            found[arm] = (begin, _rounded(sum_before / whole * NUM_BUCKETS))
        return found


def is_held_out(unit: str, *, share: float) -> bool:
    """Whether a unit is one of the ``share`` that takes part in nothing; a growing share only adds units."""
    return share > 0 and bucket_of(unit, salt=HOLDOUT_SALT) < _rounded(share * NUM_BUCKETS)


def _rounded(number: float) -> int:
    """The nearest integer, halves upwards, as in JavaScript."""
    return floor(number + 0.5)


def sample_ratio(num_units: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Whether the arms have as many units as their weights say (chi-square); an alarm below a p-value of 0.001.

    Raises InputError for arms without a weight, weights that are not above 0, and no units.

    >>> sample_ratio({"a": 5200, "b": 4800}, {"a": 1, "b": 1}).is_alarm
    True
    """
    if num_units.keys() != weights.keys() or min(weights.values(), default=0) <= 0:
        raise InputError("each arm has a number of units and a weight above 0", hint="leave out arms without a weight")
    total = sum(num_units.values())
    if total <= 0 or min(num_units.values()) < 0:
        raise InputError("there are no units", hint="wait for the first users")
    whole = sum(weights.values())
    counts = [num_units[arm] for arm in weights]
    if len(counts) == 1:
        return SampleRatio(p_value=1.0, is_alarm=False)
    p_value = float(chisquare(counts, [total * weight / whole for weight in weights.values()]).pvalue)
    return SampleRatio(p_value=p_value, is_alarm=p_value < RATIO_ALARM)
