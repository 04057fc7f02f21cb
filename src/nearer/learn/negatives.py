"""Hard negatives in four steps: propose (the top k, by the caller) -> score -> filter -> sample.

Arrays: Q anchors x K candidates. Rows index the list of candidate texts; -1 means no candidate.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nearer.learn.examples import Example, NearDuplicates, text_key

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Proposals for each example: rows of ``texts``, their scores, and the positive's own score on the same scale."""

    texts: Sequence[str]
    rows_QK: Ints
    scores_QK: Floats
    positive_scores_Q: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningReport:
    """What mining did, for the log and the report.

    ``margin`` is the one chosen; -1 means no margin. ``share_with_enough`` is the share of examples that kept as
    many candidates as negatives are wanted.
    """

    num_examples: int
    num_candidates: int
    num_known_or_own: int
    num_near_duplicates: int
    num_inside_margin: int
    margin: float
    share_with_enough: float
    num_filled_at_random: int


def mine(
    examples: Sequence[Example],
    candidates: Candidates,
    *,
    top_k: int,
    num_negatives: int,
    margins: Sequence[float],
    min_share: float,
    near_duplicate: float,
    seed: int,
) -> tuple[list[Example], MiningReport]:
    """Give every example at least ``num_negatives`` hard negatives; those it has already stay and count.

    They are drawn from the ``top_k`` best candidates that are not known positives, so more than that may be
    proposed. An example that keeps too few is filled up with random texts that are not spared.
    """
    kept_QK, report = choose(
        examples,
        candidates,
        top_k=top_k,
        num_wanted=num_negatives,
        margins=margins,
        min_share=min_share,
        near_duplicate=near_duplicate,
    )
    mined, num_filled = _sample(examples, candidates, kept_QK, num_negatives=num_negatives, seed=seed)
    return mined, replace(report, num_filled_at_random=num_filled)


def choose(
    examples: Sequence[Example],
    candidates: Candidates,
    *,
    top_k: int,
    num_wanted: int,
    margins: Sequence[float],
    min_share: float,
    near_duplicate: float,
) -> tuple[Bools, MiningReport]:
    """Which candidates may be negatives: among the ``top_k`` best that are not known, different, inside no margin."""
    proposed_QK = candidates.rows_QK >= 0
    known_QK = proposed_QK & _known(examples, candidates)
    unknown_QK = proposed_QK & ~known_QK
    unknown_QK &= unknown_QK.cumsum(axis=1) <= top_k
    different_QK = unknown_QK & ~_near_duplicates(examples, candidates, unknown_QK, threshold=near_duplicate)
    margin, kept_QK = _choose_margin(
        candidates, different_QK, margins=margins, num_wanted=num_wanted, min_share=min_share
    )
    report = MiningReport(
        num_examples=len(examples),
        num_candidates=int((known_QK | unknown_QK).sum()),
        num_known_or_own=int(known_QK.sum()),
        num_near_duplicates=int((unknown_QK & ~different_QK).sum()),
        num_inside_margin=int((different_QK & ~kept_QK).sum()),
        margin=margin,
        share_with_enough=float((kept_QK.sum(axis=1) >= num_wanted).mean()) if len(examples) else 0.0,
        num_filled_at_random=0,
    )
    return kept_QK, report


def below_margin(candidates: Candidates, margin: float) -> Bools:
    """Which candidates score below (1 - margin) times their positive; with a negative margin, all.

    Scores are cosines; a positive below 0 would turn the bound around, so it counts as 0.
    Source: NV-Retriever (arXiv 2407.15831), section 3.2, TopK-PercPos.
    """
    if margin < 0:
        return np.ones(candidates.rows_QK.shape, dtype=np.bool_)
    limit_Q = np.maximum(candidates.positive_scores_Q, 0) * np.float32(1 - margin)
    return np.asarray(candidates.scores_QK < limit_Q[:, None])


def _choose_margin(
    candidates: Candidates, allowed_QK: Bools, *, margins: Sequence[float], num_wanted: int, min_share: float
) -> tuple[float, Bools]:
    """The first (strictest) margin that leaves enough candidates to enough examples; the last one if none does.

    A fixed margin fails on dense collections: 0.05 rejects nearly all candidates where texts lie close together.
    """
    kept_QK, margin = allowed_QK, -1.0
    for margin in sorted(margins, reverse=True):
        kept_QK = allowed_QK & below_margin(candidates, margin)
        if len(kept_QK) and float((kept_QK.sum(axis=1) >= num_wanted).mean()) >= min_share:
            break
    return margin, kept_QK


def _known(examples: Sequence[Example], candidates: Candidates) -> Bools:
    """Candidates that are a spared text of their example (a positive, the anchor's own text), by text."""
    keys = [text_key(text) for text in candidates.texts]
    known = [
        [row >= 0 and keys[row] in example.spared for row in rows_K]
        for example, rows_K in zip(examples, candidates.rows_QK.tolist(), strict=True)
    ]
    return np.asarray(known, dtype=np.bool_).reshape(candidates.rows_QK.shape)


def _near_duplicates(
    examples: Sequence[Example], candidates: Candidates, looked_at_QK: Bools, *, threshold: float
) -> Bools:
    """Candidates that nearly repeat their example's positive."""
    duplicates = NearDuplicates(threshold)
    found_QK = np.zeros(candidates.rows_QK.shape, dtype=np.bool_)
    for q, k in np.argwhere(looked_at_QK):
        found_QK[q, k] = duplicates.alike(examples[q].positive, candidates.texts[candidates.rows_QK[q, k]])
    return found_QK


def _sample(
    examples: Sequence[Example], candidates: Candidates, kept_QK: Bools, *, num_negatives: int, seed: int
) -> tuple[list[Example], int]:
    rng = random.Random(seed)
    mined, num_filled = [], 0
    for example, rows_K, kept_K in zip(examples, candidates.rows_QK, kept_QK, strict=True):
        texts = dict.fromkeys(candidates.texts[row] for row in rows_K[kept_K].tolist())
        pool = [text for text in texts if text not in example.negatives]
        num_missing = max(0, num_negatives - len(example.negatives))
        chosen = rng.sample(pool, min(num_missing, len(pool)))
        taken = {*example.negatives, *chosen}
        fill = _random_texts(example, candidates.texts, number=num_missing - len(chosen), taken=taken, rng=rng)
        num_filled += len(fill)
        mined.append(replace(example, negatives=(*example.negatives, *chosen, *fill)))
    return mined, num_filled


def _random_texts(
    example: Example, texts: Sequence[str], *, number: int, taken: set[str], rng: random.Random
) -> list[str]:
    """Random texts that are neither spared nor taken; gives up on tiny collections rather than looping for ever."""
    chosen: list[str] = []
    for _ in range(50 * number):
        if len(chosen) == number:
            break
        text = texts[rng.randrange(len(texts))]
        if text not in taken and text_key(text) not in example.spared:
            chosen.append(text)
            taken.add(text)
    return chosen
