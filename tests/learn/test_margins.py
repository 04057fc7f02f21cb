"""Margins on synthetic vectors of which the true positives are known."""

from dataclasses import dataclass

import numpy as np

from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example, text_key
from nearer.learn.margins import below_margin
from nearer.learn.negatives import choose
from nearer.vectors.topk import top_k


def candidates_of(scores, positives):
    scores_QK = np.asarray(scores, np.float32)
    rows_QK = np.broadcast_to(np.arange(scores_QK.shape[1]), scores_QK.shape)
    return Candidates(
        texts=[f"text {row}" for row in range(scores_QK.shape[1])],
        rows_QK=rows_QK,
        scores_QK=scores_QK,
        positive_scores_Q=np.asarray(positives, np.float32),
    )


@dataclass
class Catalogue:
    """Queries with two known positives each, over documents that lie as close together as ``spread`` says."""

    examples: list
    candidates: Candidates


def catalogue(*, spread, num_queries=120, num_others=300, dimension=64, seed=0):
    """Every query and its two positives point the same way, but for noise; so do all texts, the less the spread."""
    rng = np.random.default_rng(seed)

    def unit(emb):
        return (emb / np.linalg.norm(emb, axis=-1, keepdims=True)).astype(np.float32)

    centre = unit(rng.standard_normal(dimension))
    topics = unit(rng.standard_normal((num_queries, dimension)))
    around = np.concatenate([np.repeat(topics, 2, axis=0), unit(rng.standard_normal((num_others, dimension)))])
    noise = unit(rng.standard_normal(around.shape))
    documents = unit(centre + spread * (around + 0.8 * noise))
    queries = unit(centre + spread * (topics + 0.8 * unit(rng.standard_normal(topics.shape))))
    texts = [f"text {row}" for row in range(len(documents))]
    examples = [
        Example(
            anchor=f"query {row // 2}",
            positive=texts[row],
            masked=frozenset({text_key(texts[row]), text_key(texts[row ^ 1])}),
        )
        for row in range(2 * num_queries)
    ]
    ranked = top_k(queries, documents, k=12)
    of_pair = np.repeat(np.arange(num_queries), 2)
    return Catalogue(
        examples=examples,
        candidates=Candidates(
            texts=texts,
            rows_QK=ranked.rows_QK[of_pair],
            scores_QK=ranked.scores_QK[of_pair],
            positive_scores_Q=np.einsum("qd,qd->q", queries[of_pair], documents[: 2 * num_queries]),
        ),
    )


def chosen(known, **recipe):
    return choose(known.examples, known.candidates, MiningRecipe(**recipe), num_wanted=1, near_duplicate=1.0)


def test_on_a_dense_catalogue_the_published_margin_rejects_nearly_everything():
    dense, sparse = catalogue(spread=0.2), catalogue(spread=20.0)
    kept_QK, report = chosen(dense, margins=(0.05,))
    assert report.share_with_enough < 0.1
    assert kept_QK.sum() < 0.02 * report.num_candidates
    assert chosen(sparse, margins=(0.05,))[1].share_with_enough > 0.9


def test_a_margin_is_relative_to_the_positive():
    candidates = candidates_of([[0.77, 0.74, 0.1]], [0.8])
    assert below_margin(candidates, 0.05).tolist() == [[False, True, True]]
    assert below_margin(candidates, 0.08).tolist() == [[False, False, True]]
    assert below_margin(candidates_of([[0.05, -0.1]], [0.08]), 0.05).tolist() == [[True, True]]


def test_no_examples_or_too_few_candidates_leave_no_margin():
    empty = Catalogue(examples=[], candidates=candidates_of(np.empty((0, 3)), []))
    assert chosen(empty)[1].margin == -1
    one = candidates_of([[0.5]], [0.9])
    known = Catalogue(examples=[Example(anchor="a", positive="p")], candidates=one)
    recipe = MiningRecipe()
    _, report = choose(known.examples, one, recipe, num_wanted=2, near_duplicate=1.0)
    assert (report.margin, report.share_with_enough) == (-1, 0.0)
