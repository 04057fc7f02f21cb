"""What dev says of the weights that a training ended with, by what was written down of it."""

from collections.abc import Mapping, Sequence
from typing import Any

JSON = Mapping[str, Any]


def kept_value(training: JSON) -> float:
    """Dev's mean with the weights that stand: a mean of those of several ``seeds``, else those of its ``passes``."""
    mean = training.get("seeds", {}).get("averaged")
    return float(mean["value"]) if mean else last_value(training["passes"])


def last_value(passes: Sequence[JSON]) -> float:
    """The same with the weights that the last of these passes ended with."""
    fit = passes[-1]["fit"]
    [kept] = [point["value"] for point in fit["dev"] if point["step"] == fit["best_step"]]
    return float(kept)
