"""What the alarms of a training judge: its measurements, its pairs that repeat each other, and where dev gained.

Arrays: Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearer.core.arrays import Bools, Floats64
from nearer.core.recipe import Recipe
from nearer.core.sections import AlarmsRecipe
from nearer.core.text import clusters, near_duplicates, normalise, resembling
from nearer.learn.examples import Example
from nearer.measure.alarms import FEWEST_QUERIES, Evidence, Gains, Limits, Point, compare_gains, judge
from nearer.training.watch import Watch

JSON = Mapping[str, Any]


def alarms_of(
    passes: Sequence[JSON],
    examples: Sequence[Example],
    watch: Watch,
    *,
    gains: Gains | None,
    dimension: int,
    recipe: AlarmsRecipe,
) -> list[dict[str, Any]]:
    """Every alarm of a training of these passes, raised or not, as it is written down."""
    points = [_points(each) for each in passes]
    [kept] = [point for point in points[-1] if point.step == passes[-1]["fit"]["best_step"]]
    evidence = Evidence(
        passes=points,
        kept=kept,
        num_dev=len(watch.dev.queries),
        num_train=len(watch.train.queries) if watch.train else 0,
        lessons=lessons(examples),
        gains=gains,
        most_dimensions=min(dimension, watch.num_measured_passages),
    )
    limits = Limits(**{name: getattr(recipe, name) for name in Limits.__dataclass_fields__})
    return [asdict(alarm) for alarm in judge(evidence, limits)]


def lessons(examples: Sequence[Example]) -> list[tuple[int, int]]:
    """The same for two pairs whose anchors and whose positives nearly repeat each other.

    Alone neither would do: a question may have several answers, and an answer many questions.
    """
    rows_of: dict[int, list[int]] = {}
    for row, anchor in enumerate(_alike([example.anchor for example in examples])):
        rows_of.setdefault(anchor, []).append(row)
    found = {}
    for anchor, rows in rows_of.items():
        positives = _alike([examples[row].positive for row in rows])
        found.update({row: (anchor, positive) for row, positive in zip(rows, positives, strict=True)})
    return [found[row] for row in range(len(examples))]


def familiar(queries: Sequence[str], examples: Sequence[Example], *, resemblance: float) -> Bools:
    """Which queries are worded like one that is trained on, shape (Q,); what nearly repeats one was left out before."""
    known = [example.anchor for example in examples]
    return np.asarray(resembling(queries, known, threshold=resemblance), dtype=np.bool_)


def is_comparable(familiar_Q: Bools) -> bool:
    """Whether there are enough familiar queries, and others, to compare."""
    num_familiar = int(familiar_Q.sum())
    return min(num_familiar, len(familiar_Q) - num_familiar) >= FEWEST_QUERIES


def gains_of(before_Q: Floats64, after_Q: Floats64, familiar_Q: Bools, *, recipe: Recipe) -> Gains | None:
    """Where dev gained: on queries worded like those of training, or on all."""
    evaluate = recipe.evaluate
    return compare_gains(after_Q - before_Q, familiar_Q, num_resamples=evaluate.num_resamples, seed=evaluate.seed)


def _points(each: JSON) -> list[Point]:
    return [
        Point(
            number=each["pass"],
            step=point["step"],
            dev=point["value"],
            **{name: point.get(name) for name in ("train", "mean_cosine", "effective_rank")},
        )
        for point in each["fit"]["dev"]
    ]


def _alike(texts: Sequence[str]) -> list[int]:
    """One number a text, the same for those that nearly repeat each other."""
    keys = [normalise(text) for text in texts]
    distinct = list(dict.fromkeys(keys))
    root_of = dict(zip(distinct, clusters(len(distinct), near_duplicates(distinct)), strict=True))
    return [root_of[key] for key in keys]
