"""Texts in blocks that are encoded together."""

from collections.abc import Sequence

BLOCK_TEXTS = 256
"""How many texts are encoded between two commits, or two moves of the progress bar."""


def longest_first(texts: Sequence[str], size: int = BLOCK_TEXTS) -> list[list[int]]:
    """The rows of ``texts`` in blocks of ``size``, longest texts first: those of like length need little padding.

    >>> longest_first(["a", "ccc", "bb"], 2)
    [[1, 2], [0]]
    """
    rows = sorted(range(len(texts)), key=lambda row: len(texts[row]), reverse=True)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
