"""What dev says of the weights that a training ended with, by what was written down of it."""

from collections.abc import Mapping
from typing import Any


def kept_value(training: Mapping[str, Any]) -> float:
    """Dev's mean with the weights that stand: those of the last of its ``passes``, or a mean of several ``seeds``."""
    if mean := training.get("seeds", {}).get("averaged"):
        return float(mean["value"])
    fit = training["passes"][-1]["fit"]
    [kept] = [point["value"] for point in fit["dev"] if point["step"] == fit["best_step"]]
    return float(kept)
