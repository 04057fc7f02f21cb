"""What dev says of the weights that a training ended with, by what was written down of it."""

from collections.abc import Mapping, Sequence
from typing import Any


def dev_score(passes: Sequence[Mapping[str, Any]]) -> float:
    """Dev's mean with the weights that the last of these passes ended with."""
    fit = passes[-1]["fit"]
    [kept] = [point["value"] for point in fit["dev"] if point["step"] == fit["best_step"]]
    return float(kept)
