"""What the alarms of a training judge: its measurements, and its pairs that repeat each other."""

from collections.abc import Sequence

from nearer.core.near_duplicates import cluster_texts
from nearer.core.results.training import Alarm, Pass
from nearer.learn.examples import Example
from nearer.measure.alarms import MeasuredStep, TrainingEvidence, judge
from nearer.training.monitor import Monitor


def alarms_of(
    passes: Sequence[Pass],
    examples: Sequence[Example],
    monitor: Monitor,
    *,
    dimension: int,
) -> tuple[Alarm, ...]:
    """Every alarm of a training of these passes, raised or not, as it is written down."""
    points = [_points(each) for each in passes]
    [kept] = [point for point in points[-1] if point.step == passes[-1].fit.best_step]
    evidence = TrainingEvidence(
        passes=points,
        kept=kept,
        num_dev=len(monitor.dev.queries),
        num_train=len(monitor.train.queries) if monitor.train else 0,
        lessons=lessons(examples),
        num_passages=monitor.num_measured_passages,
        dimension=dimension,
    )
    return judge(evidence)


def lessons(examples: Sequence[Example]) -> list[tuple[int, int]]:
    """The same for two pairs whose anchors and whose positives nearly repeat each other.

    Alone neither would do: a question may have several answers, and an answer many questions.
    """
    rows_of: dict[int, list[int]] = {}
    for row, anchor in enumerate(cluster_texts([example.anchor for example in examples])):
        rows_of.setdefault(anchor, []).append(row)
    found = {}
    for anchor, rows in rows_of.items():
        positives = cluster_texts([examples[row].positive for row in rows])
        found.update({row: (anchor, positive) for row, positive in zip(rows, positives, strict=True)})
    return [found[row] for row in range(len(examples))]


def _points(each: Pass) -> list[MeasuredStep]:
    return [
        MeasuredStep(
            number=each.number,
            step=point.step,
            dev=point.value,
            train=point.train,
            effective_rank=point.effective_rank,
        )
        for point in each.fit.dev
    ]
