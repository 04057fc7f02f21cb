"""The mean of several trainings' weights, where dev has it no worse than the best of them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearer.learn.checkpoint import weights_of
from nearer.learn.merge import Weights, interpolated
from nearer.training.course import Course


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Averaged:
    """The mean of the weights of some trainings, by their numbers, the best first; and what dev says of it."""

    trainings: tuple[int, ...]
    value: float
    weights: Weights


def averaged(course: Course, finished: Sequence[Mapping[str, Any]]) -> Averaged | None:
    """A greedy mean: beginning with the best training, each next best joins unless dev falls by it.

    None where none joins, or what the run kept of one is damaged. The model is left as it was.

    Source: Wortsman et al., Model soups (arXiv 2203.05482), section 2, recipe 1.
    """
    model = course.encoder.model
    start = weights_of(model)
    try:
        return _greedy(course, finished)
    finally:
        model.load_state_dict(start)


def _greedy(course: Course, finished: Sequence[Mapping[str, Any]]) -> Averaged | None:
    sound = [number for number, each in enumerate(finished) if each["value"] is not None]
    best, *others = sorted(sound, key=lambda number: -finished[number]["value"])
    members, value, mean = [best], finished[best]["value"], _weights(course, best, finished[best])
    for number in others:
        joining = _weights(course, number, finished[number])
        if mean is None or joining is None:
            return None
        mixed = interpolated(mean, joining, 1 / (len(members) + 1))
        course.encoder.model.load_state_dict(mixed)
        found = float(course.watch.dev_values(course.encoder).mean())
        if found >= value:
            members, value, mean = [*members, number], found, mixed
    if mean is None or len(members) == 1:
        return None
    return Averaged(trainings=tuple(members), value=value, weights=mean)


def _weights(course: Course, number: int, training: Mapping[str, Any]) -> Weights | None:
    """What a training ended with; None when that is damaged."""
    return course.run.part(number).weights(course.first + training["num_passes"] - 1)
