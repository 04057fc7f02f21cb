"""How much of dev a training measures, and how often: so that measuring takes at most a fifth of training.

Counted in tokens, not in time, so that a training with a seed comes out the same on any machine.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.records import Judgment, Query
from nearer.core.results.training_plan import DevSize
from nearer.core.sections import TrainRecipe
from nearer.encode.corpus import Corpus
from nearer.encode.encoder import TextEncoder
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.examples import Example

SHARE = 0.2
"""Of the work of training that measuring may take. Our rule: dev decides too little to take more of it."""
BACKWARD = 3
"""The work of a token that is trained on, in tokens that are only encoded: the backward pass is two forward ones.

Source: Kaplan et al., Scaling Laws for Neural Language Models (arXiv 2001.08361), section 2.1.
"""
MOST_TRAIN_QUERIES = 100
"""Training queries measured beside dev. Our rule: as many as tell a gap of 0.2 from chance, cheaply."""
_FEWEST_QUERIES, _FEWEST_PASSAGES = 50, 100
"""What dev goes down to by itself. Our rule: fewer tell nothing."""
LEAST_QUERIES, LEAST_PASSAGES = 10, 20
"""What it goes down to where the time is short. Our rule: less chooses by chance alone."""
_SAMPLE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DevTokens:
    """The tokens of a dev query with the passages of its relevant documents, and of another passage, as means."""

    query: float
    passage: float

    @classmethod
    def of(
        cls, encoder: TextEncoder, corpus: Corpus, queries: Sequence[Query], judgments: Iterable[Judgment], sides: str
    ) -> "DevTokens":
        """Those of a workspace; documents that keep their vectors are not encoded again."""
        own = mean_tokens(encoder, [query.text for query in queries])
        if sides == "query":
            return cls(query=own, passage=0.0)
        row_of = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
        asked = {query.query_id for query in queries}
        rows = {row_of[j.doc_id] for j in judgments if j.query_id in asked and j.grade > 0 and j.doc_id in row_of}
        num_passages = sum(len(corpus.passages_of(row)) for row in rows)
        passage = mean_tokens(encoder, corpus.passages)
        return cls(query=own + num_passages * passage / max(1, len(queries)), passage=passage)


def dev_size(
    recipe: TrainRecipe, tokens: DevTokens, *, num_queries: int, work: float, limit: float = math.inf
) -> DevSize:
    """What of dev is measured in passes of so much ``work``, in tokens, where measurements may read ``limit`` at most.

    Values that the recipe gives stand, but for the limit. Else there are as many queries and distractors as the recipe
    has at most, less of both where even one measurement would be too much, and then as many measurements as may be.
    """
    queries, distractors = min(recipe.most_dev_queries, num_queries), recipe.most_dev_distractors

    def cost(queries: int, distractors: int) -> float:
        sample = min(MOST_TRAIN_QUERIES, queries) if recipe.alarms else 0
        hard = sample / max(1, queries) * distractors / 2
        return max(1e-9, (queries + sample) * tokens.query + (distractors + hard) * tokens.passage)

    share = SHARE * work
    scale = min(1.0, share / (recipe.evals_per_pass or 1) / cost(queries, distractors))
    if recipe.max_dev_queries is None:
        queries = min(queries, max(_FEWEST_QUERIES, int(scale * queries)))
    if recipe.num_dev_distractors is None:
        distractors = max(_FEWEST_PASSAGES, int(scale * distractors))
    fitting = int(share / cost(queries, distractors))
    evals = recipe.evals_per_pass or min(recipe.most_evals, max(1, fitting))
    if evals * cost(queries, distractors) > limit:
        evals = max(1, min(evals, int(limit / cost(queries, distractors))))
        scale = min(1.0, limit / cost(queries, distractors))
        queries = min(queries, max(LEAST_QUERIES, int(scale * queries)))
        distractors = min(distractors, max(LEAST_PASSAGES, int(scale * distractors)))
    return DevSize(num_queries=queries, num_distractors=distractors, evals_per_pass=evals)


def least_dev(tokens: DevTokens) -> float:
    """The tokens of the smallest measurement that a short time is filled with."""
    return LEAST_QUERIES * tokens.query + LEAST_PASSAGES * tokens.passage


def pair_tokens(encoder: TextEncoder, examples: Sequence[Example], recipe: TrainRecipe) -> float:
    """The tokens that a pair is trained on, as a mean, with the negatives that it has of its own."""
    longest = recipe.max_seq_length
    anchor = mean_tokens(encoder, [each.anchor for each in examples], longest=longest)
    if recipe.sides == "query":
        return anchor
    number = 1 + sum(len(each.negatives) for each in examples) / max(1, len(examples))
    return anchor + number * mean_tokens(encoder, [each.positive for each in examples], longest=longest)


def pass_tokens(encoder: TextEncoder, examples: Sequence[Example], recipe: TrainRecipe) -> float:
    """The work of a pass on these pairs, in tokens that are only encoded; mined negatives aside."""
    drawn = sum(source.num_drawn for source in BatchOrder.of(examples, recipe).sources)
    return BACKWARD * recipe.epochs * drawn * pair_tokens(encoder, examples, recipe)


def mean_tokens(encoder: TextEncoder, texts: Sequence[str], *, longest: int | None = None) -> float:
    """The tokens that are read of a text, as a mean over some of them, evenly spaced."""
    if not texts:
        return 0.0
    most = min(longest or encoder.settings.max_seq_length, encoder.settings.max_seq_length)
    rows = np.unique(np.linspace(0, len(texts) - 1, _SAMPLE).astype(np.int64))
    return float(np.minimum(encoder.count_tokens([texts[row] for row in rows]), most).mean())
