"""Hard negatives from the workspace's documents, as the model of the moment scores them.

Arrays: Q examples, A distinct anchors, T distinct texts, P of them passages, D dimensions, K candidates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.progress import Progress
from nearer.core.results.training import MiningReport
from nearer.core.sections import MiningRecipe
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.blocks import BLOCK_TEXTS, longest_first
from nearer.encode.corpus import CachedEncoder, Corpus
from nearer.encode.encoder import Encoder
from nearer.encode.engine import current_engine
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example
from nearer.learn.negatives import mine
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.workspace import Workspace
from nearer.vectors.topk import NO_ROW, top_k

Rows = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    """Passages proposed for every anchor, the columns of each source from its best on, all scored by the model.

    ``rows_AK`` (int64) is -1, and ``scores_AK`` -inf, where a source has no more.
    """

    rows_AK: Ints
    scores_AK: Floats32
    sources_K: tuple[str, ...]

    def candidates(self, passages: Sequence[str], anchors_Q: Ints, positive_scores_Q: Floats32) -> Candidates:
        """What is proposed for examples, each by the row of its anchor and with its positive's score."""
        return Candidates(
            texts=passages,
            rows_QK=self.rows_AK[anchors_Q],
            scores_QK=self.scores_AK[anchors_Q],
            positive_scores_Q=positive_scores_Q,
            sources_K=self.sources_K,
        )


def mine_negatives(
    workspace: Workspace,
    encoder: Encoder | CachedEncoder,
    corpus: Corpus,
    examples: Sequence[Example],
    *,
    progress: Progress,
) -> tuple[list[Example], MiningReport]:
    """Propose with the model as it is now, then score, filter and sample.

    Every distinct text is encoded once: most positives are passages.
    """
    recipe, seed = workspace.recipe.mining, workspace.recipe.train.seed
    passages = list(dict.fromkeys(corpus.passages))
    text_rows, text_emb_TD = _encoded(
        [*passages, *(example.positive for example in examples)], encoder.encode_documents, encoder.dimension, progress
    )
    anchor_rows, anchor_emb_AD = _encoded(
        [example.anchor for example in examples], encoder.encode_queries, encoder.dimension, progress
    )
    anchors_Q = np.array([anchor_rows[example.anchor] for example in examples], np.int64)
    positives_Q = np.array([text_rows[example.positive] for example in examples], np.int64)
    proposals = propose(
        recipe,
        passages,
        list(anchor_rows),
        anchor_emb_AD,
        text_emb_TD[: len(passages)],
        most_masked=max((len(example.masked) for example in examples), default=0),
        language=workspace.recipe.search.language,
    )
    positive_scores_Q = np.einsum("qd,qd->q", anchor_emb_AD[anchors_Q], text_emb_TD[positives_Q])
    candidates = proposals.candidates(passages, anchors_Q, positive_scores_Q)
    drawing = recipe.model_copy(update={"num_negatives": recipe.num_drawn})
    return mine(examples, candidates, drawing, near_duplicate=NEAR_DUPLICATE, seed=seed)


def propose(
    recipe: MiningRecipe,
    passages: Sequence[str],
    anchors: Sequence[str],
    anchor_emb_AD: Floats32,
    passage_emb_PD: Floats32,
    *,
    most_masked: int,
    language: str,
) -> Proposals:
    """What each source of the recipe proposes: beside ``top_k`` passages as many as may be known, up to a limit."""
    number = min(recipe.top_k + most_masked, 10 * recipe.top_k)
    found: list[tuple[Ints, Floats32]] = []
    for source in recipe.sources:
        if source == "dense":
            ranked = top_k(anchor_emb_AD, passage_emb_PD, k=number)
            found.append((ranked.rows_QK, ranked.scores_QK))
        else:
            rows_AK = LexicalIndex(passages, language=language).search(anchors, k=number).rows_QK
            found.append((rows_AK, _scores(anchor_emb_AD, passage_emb_PD, rows_AK)))
    widths = [rows_AK.shape[1] for rows_AK, _ in found]
    return Proposals(
        rows_AK=np.concatenate([rows_AK for rows_AK, _ in found], axis=1),
        scores_AK=np.concatenate([scores_AK for _, scores_AK in found], axis=1),
        sources_K=tuple(source for source, width in zip(recipe.sources, widths, strict=True) for _ in range(width)),
    )


def _scores(anchor_emb_AD: Floats32, passage_emb_PD: Floats32, rows_AK: Ints) -> Floats32:
    """The model's score of every proposed passage, -inf where there is none; a block of anchors at a time."""
    scores_AK = np.full(rows_AK.shape, -np.inf, np.float32)
    for first in range(0, len(rows_AK), BLOCK_TEXTS):
        block = slice(first, first + BLOCK_TEXTS)
        scores = np.einsum("ad,akd->ak", anchor_emb_AD[block], passage_emb_PD[rows_AK[block]])
        scores_AK[block] = np.where(rows_AK[block] == NO_ROW, -np.inf, scores)
    return scores_AK


def _encoded(
    texts: Sequence[str], encode: Callable[[Sequence[str]], Floats32], dimension: int, progress: Progress
) -> tuple[Rows, Floats32]:
    """The row of each distinct text, in the order they come, and their vectors."""
    distinct = list(dict.fromkeys(texts))
    if current_engine():
        return {text: row for row, text in enumerate(distinct)}, encode(distinct)
    blocks = longest_first(distinct)
    emb_TD = np.empty((len(distinct), dimension), np.float32)
    for block in progress.track(blocks, label="encode for mining", total=len(distinct), size=len):
        emb_TD[block] = encode([distinct[row] for row in block])
    return {text: row for row, text in enumerate(distinct)}, emb_TD
