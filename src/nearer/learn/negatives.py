"""Hard negatives in four steps: propose (the best of each source, by the caller) -> score -> filter -> sample.

Arrays: Q anchors x K candidates. Rows index the list of candidate texts; -1 means no candidate.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nearer.core.arrays import Bools
from nearer.core.results.training import MinedSample, MiningReport, SourceReport
from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates, Sifted, sift
from nearer.learn.examples import Example, text_key
from nearer.learn.false_negatives import HiddenPositives, by_hidden_positives
from nearer.learn.margins import below_margin, choose_margin

NUM_SAMPLES = 10
"""Drawn negatives that are kept for a person to look at."""

_SAMPLE_CHARACTERS = 2000  # of each text of a sample


def mine(
    examples: Sequence[Example], candidates: Candidates, recipe: MiningRecipe, *, near_duplicate: float, seed: int
) -> tuple[list[Example], MiningReport]:
    """Give every example at least ``num_negatives`` hard negatives; those it has already stay and count.

    They are drawn from the ``top_k`` best candidates of each source that are not known positives, so more than that
    may be proposed. An example that keeps too few is filled up with random texts that are not masked. None is given any
    where more of what was drawn than the recipe's ``max_false`` seems to be positives, and no reranker will tell which.
    """
    sifted = sift(examples, candidates, top_k=recipe.top_k, near_duplicate=near_duplicate)
    below_QK, report = _choose(candidates, sifted, recipe, num_wanted=recipe.num_negatives)
    num_missing = [max(0, recipe.num_negatives - len(example.negatives)) for example in examples]
    mined, drawn_QK, num_filled = _draw(examples, candidates, sifted.allowed_QK & below_QK, num_missing, seed=seed)
    counts = _count_hidden(candidates, sifted, below_QK, drawn_QK, num_missing)
    estimate, samples = by_hidden_positives(counts, seed=seed), _samples(examples, candidates, sifted, drawn_QK)
    is_excluded = estimate is not None and estimate.low > recipe.max_false and recipe.reranker is None
    if is_excluded:
        mined, drawn_QK, num_filled = list(examples), np.zeros_like(drawn_QK), 0
    return mined, replace(
        report,
        sources=_drawn_by_source(report.sources, sifted, drawn_QK),
        num_filled_at_random=num_filled,
        is_excluded=is_excluded,
        false_negatives=(estimate,) if estimate else (),
        samples=samples,
    )


def choose(
    examples: Sequence[Example],
    candidates: Candidates,
    recipe: MiningRecipe,
    *,
    num_wanted: int,
    near_duplicate: float,
) -> tuple[Bools, MiningReport]:
    """Which candidates may be negatives: among a source's ``top_k`` best that are not known, different, in no margin.

    A candidate that several sources proposed stands in the first place alone.
    """
    sifted = sift(examples, candidates, top_k=recipe.top_k, near_duplicate=near_duplicate)
    below_QK, report = _choose(candidates, sifted, recipe, num_wanted=num_wanted)
    return sifted.allowed_QK & below_QK, report


def _choose(
    candidates: Candidates, sifted: Sifted, recipe: MiningRecipe, *, num_wanted: int
) -> tuple[Bools, MiningReport]:
    """Which candidates score below the margin, whatever else they are, and what was found before anything is drawn."""
    margin = choose_margin(candidates, sifted.allowed_QK, recipe, num_wanted=num_wanted)
    below_QK = below_margin(candidates, margin)
    return below_QK, _report(sifted, below_QK, margin, recipe, num_wanted=num_wanted)


def _report(sifted: Sifted, below_QK: Bools, margin: float, recipe: MiningRecipe, *, num_wanted: int) -> MiningReport:
    kept_QK, num_hidden = sifted.allowed_QK & below_QK, int(sifted.hidden_QK.sum())
    return MiningReport(
        num_examples=len(kept_QK),
        num_candidates=int((sifted.known_QK | sifted.near_QK | sifted.allowed_QK).sum()),
        num_known_or_own=int(sifted.known_QK.sum()),
        num_near_duplicates=int(sifted.near_QK.sum()),
        num_inside_margin=int((sifted.allowed_QK & ~below_QK).sum()),
        margin=margin,
        share_with_enough=float((kept_QK.sum(axis=1) >= num_wanted).mean()) if len(kept_QK) else 0.0,
        num_hidden_positives=num_hidden,
        share_hidden_rejected=float((sifted.hidden_QK & ~below_QK).sum() / num_hidden) if num_hidden else None,
        sources=tuple(
            SourceReport(source=source, num_proposed=number)
            for source, number in zip(sifted.sources, sifted.num_proposed, strict=True)
        ),
    )


def _draw(
    examples: Sequence[Example], candidates: Candidates, kept_QK: Bools, num_missing: Sequence[int], *, seed: int
) -> tuple[list[Example], Bools, int]:
    """The examples with their negatives, which candidates were drawn, and how many texts were filled in."""
    rng = random.Random(seed)
    mined, num_filled = [], 0
    drawn_QK = np.zeros(kept_QK.shape, np.bool_)
    for q, (example, missing) in enumerate(zip(examples, num_missing, strict=True)):
        place_of: dict[str, int] = {}
        for k in np.flatnonzero(kept_QK[q]).tolist():
            place_of.setdefault(candidates.texts[candidates.rows_QK[q, k]], k)
        pool = [text for text in place_of if text not in example.negatives]
        chosen = rng.sample(pool, min(missing, len(pool)))
        drawn_QK[q, [place_of[text] for text in chosen]] = True
        taken = {*example.negatives, *chosen}
        fill = random_texts(example, candidates.texts, number=missing - len(chosen), taken=taken, rng=rng)
        num_filled += len(fill)
        mined.append(replace(example, negatives=(*example.negatives, *chosen, *fill)))
    return mined, drawn_QK, num_filled


def random_texts(
    example: Example, texts: Sequence[str], *, number: int, taken: set[str], rng: random.Random
) -> list[str]:
    """Random texts that are neither masked nor taken; gives up on tiny collections rather than looping for ever."""
    chosen: list[str] = []
    for _ in range(50 * number):
        if len(chosen) == number:
            break
        text = texts[rng.randrange(len(texts))]
        if text not in taken and text_key(text) not in example.masked:
            chosen.append(text)
            taken.add(text)
    return chosen


def _count_hidden(
    candidates: Candidates, sifted: Sifted, below_QK: Bools, drawn_QK: Bools, num_missing: Sequence[int]
) -> HiddenPositives:
    """What the estimate of false negatives is made of; a hidden positive is drawn as one more of its pool would be."""
    of_Q = sifted.has_others_Q
    above_QK = candidates.scores_QK >= candidates.positive_scores_Q[:, None]
    pool_Q = np.maximum((sifted.allowed_QK & below_QK).sum(axis=1), 1)
    chance_Q = np.minimum(1.0, np.asarray(num_missing, np.float64) / pool_Q)
    return HiddenPositives(
        queries_Q=sifted.queries_Q[of_Q],
        unknown_above_Q=(sifted.allowed_QK & above_QK).sum(axis=1)[of_Q].astype(np.float64),
        known_above_Q=(sifted.hidden_QK & above_QK).sum(axis=1)[of_Q].astype(np.float64),
        drawn_Q=drawn_QK.sum(axis=1)[of_Q].astype(np.float64),
        would_draw_Q=((sifted.hidden_QK & below_QK).sum(axis=1) * chance_Q)[of_Q],
    )


def _drawn_by_source(reports: Sequence[SourceReport], sifted: Sifted, drawn_QK: Bools) -> tuple[SourceReport, ...]:
    return tuple(
        replace(report, num_drawn=int((sifted.proposers_QK[drawn_QK] >> bit & 1).sum()))
        for bit, report in enumerate(reports)
    )


def _samples(
    examples: Sequence[Example], candidates: Candidates, sifted: Sifted, drawn_QK: Bools
) -> tuple[MinedSample, ...]:
    """The drawn negatives that come nearest to their positives, or above them, nearest first; of one query once."""
    places = np.argwhere(drawn_QK)
    gaps = candidates.positive_scores_Q[places[:, 0]] - candidates.scores_QK[drawn_QK]
    found: dict[tuple[int, int], MinedSample] = {}
    for q, k in places[np.argsort(gaps, kind="stable")].tolist():
        row, bits = int(candidates.rows_QK[q, k]), int(sifted.proposers_QK[q, k])
        sample = MinedSample(
            query=_cut(examples[q].anchor),
            positive=_cut(examples[q].positive),
            negative=_cut(candidates.texts[row]),
            positive_score=float(candidates.positive_scores_Q[q]),
            negative_score=float(candidates.scores_QK[q, k]),
            sources=tuple(source for bit, source in enumerate(sifted.sources) if bits >> bit & 1),
        )
        found.setdefault((int(sifted.queries_Q[q]), row), sample)
        if len(found) == NUM_SAMPLES:
            break
    return tuple(found.values())


def _cut(text: str) -> str:
    return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + " …"
