"""Raters in processes of their own, for tests of labels."""

from pathlib import Path

from nearer.store.label_records import LabelSet, PairToLabel
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace


def rate_all(folder: Path, set_id: str, rater: str) -> None:
    """Rate pairs until there is none left."""
    with Workspace.open(folder) as workspace:
        labels = Labels(workspace.database)
        while pair := labels.next(set_id, rater):
            labels.rate(set_id, pair.pair_id, rater, grade=1)


def add_set(folder: Path, label_set: LabelSet, pairs: list[PairToLabel]) -> None:
    """Enter a set."""
    with Workspace.open(folder) as workspace:
        Labels(workspace.database).add(label_set, pairs)
