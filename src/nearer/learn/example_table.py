"""The examples of a training as numbers: which texts there are, and what is known of each text for each example.

Arrays: E examples, T distinct document texts, B examples of a batch, X texts of a batch. Grades are gains: 0 is a
negative, more than 0 something to be ranked above what has less, nan what must be neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.near_duplicates import near_duplicates
from nearer.learn.examples import Example, text_key


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleTable:
    """Every distinct anchor and text once; ``candidates`` are each example's positive and its negatives, as rows."""

    anchors: tuple[str, ...]
    texts: tuple[str, ...]
    anchor_E: Ints
    candidates: tuple[tuple[int, ...], ...]
    weight_E: Floats32
    known: tuple[Mapping[int, float], ...]

    @classmethod
    def build(cls, examples: Sequence[Example]) -> "ExampleTable":
        """The table of these examples.

        Neither positive nor negative, of an example, are the texts it masks and those that nearly repeat its positive.
        """
        anchors = list(dict.fromkeys(example.anchor for example in examples))
        texts = list(dict.fromkeys(text for e in examples for text in (e.positive, *e.negatives)))
        anchor_row = {text: row for row, text in enumerate(anchors)}
        text_row = {text: row for row, text in enumerate(texts)}
        rows_of = _rows_by_key(texts)
        alike = near_duplicates(texts)
        return cls(
            anchors=tuple(anchors),
            texts=tuple(texts),
            anchor_E=np.array([anchor_row[example.anchor] for example in examples], np.int64),
            candidates=tuple(tuple(text_row[text] for text in (e.positive, *e.negatives)) for e in examples),
            weight_E=np.array([example.weight for example in examples], np.float32),
            known=tuple(_known(example, text_row[example.positive], rows_of, alike) for example in examples),
        )

    def grades(self, rows: Sequence[int], texts_X: Sequence[int]) -> Floats32:
        """What each text is to each of these examples, shape (B, X)."""
        place = {text: column for column, text in enumerate(texts_X)}
        grades_BX = np.zeros((len(rows), len(texts_X)), np.float32)
        for line, row in enumerate(rows):
            known = self.known[row]
            for text in known.keys() & place.keys():
                grades_BX[line, place[text]] = known[text]
        return grades_BX

    def num_negatives(self, batches: Sequence[Sequence[int]]) -> float:
        """How many texts of its batch are negatives of an example, as a mean over the examples of these batches.

        A large batch that is accumulated of small ones has no more negatives: only ``grad_cache`` makes it one batch.
        """
        num_examples = num_found = 0
        for rows in batches:
            texts = list(dict.fromkeys(text for row in rows for text in self.candidates[row]))
            num_examples += len(rows)
            num_found += int((self.grades(rows, texts) == 0).sum())
        return num_found / num_examples


def _known(
    example: Example, positive: int, rows_of: Mapping[str, Sequence[int]], alike: Sequence[Sequence[int]]
) -> dict[int, float]:
    known = {row: 0.0 for key in example.known_negatives for row in rows_of.get(key, ())}
    known |= {row: np.nan for key in example.masked for row in rows_of.get(key, ())}
    known |= dict.fromkeys(alike[positive], np.nan)
    known |= {row: grade for key, grade in example.grades.items() for row in rows_of.get(key, ())}
    return {**known, positive: example.grade}


def _rows_by_key(texts: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        rows.setdefault(text_key(text), []).append(row)
    return rows
