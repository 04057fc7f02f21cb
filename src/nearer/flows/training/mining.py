"""Hard negatives from the workspace's documents, as the model of the moment ranks them.

Arrays: Q examples, A distinct anchors, T distinct texts, P of them passages, D dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nearer.core.progress import Progress
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.blocks import longest_first
from nearer.encode.encoder import Encoder
from nearer.flows.embedding import Corpus
from nearer.learn.examples import Example
from nearer.learn.negatives import Candidates, MiningReport, mine
from nearer.measure.topk import top_k
from nearer.store.workspace import Workspace

Floats = NDArray[np.float32]
Rows = dict[str, int]


def mine_negatives(
    workspace: Workspace, encoder: Encoder, corpus: Corpus, examples: Sequence[Example], *, progress: Progress
) -> tuple[list[Example], MiningReport]:
    """Propose with the model as it is now, uncached, then score, filter and sample.

    Every distinct text is encoded once: most positives are passages.
    """
    recipe = workspace.recipe.mining
    passages = list(dict.fromkeys(corpus.passages))
    text_rows, text_emb_TD = _encoded(
        [*passages, *(example.positive for example in examples)], encoder.encode_documents, encoder.dimension, progress
    )
    anchor_rows, anchor_emb_AD = _encoded(
        [example.anchor for example in examples], encoder.encode_queries, encoder.dimension, progress
    )
    anchors_Q = np.array([anchor_rows[example.anchor] for example in examples], np.int64)
    positives_Q = np.array([text_rows[example.positive] for example in examples], np.int64)
    most_spared = max((len(example.spared) for example in examples), default=0)
    wanted = min(recipe.top_k + most_spared, 10 * recipe.top_k)
    ranked = top_k(anchor_emb_AD, text_emb_TD[: len(passages)], k=wanted)
    candidates = Candidates(
        texts=passages,
        rows_QK=ranked.rows_QK[anchors_Q],
        scores_QK=ranked.scores_QK[anchors_Q],
        positive_scores_Q=np.einsum("qd,qd->q", anchor_emb_AD[anchors_Q], text_emb_TD[positives_Q]),
    )
    return mine(
        examples,
        candidates,
        top_k=recipe.top_k,
        num_negatives=recipe.num_negatives,
        margins=recipe.margins,
        min_share=recipe.min_share,
        near_duplicate=NEAR_DUPLICATE,
        seed=workspace.recipe.train.seed,
    )


def _encoded(
    texts: Sequence[str], encode: Callable[[Sequence[str]], Floats], dimension: int, progress: Progress
) -> tuple[Rows, Floats]:
    """The row of each distinct text, in the order they come, and their vectors."""
    distinct = list(dict.fromkeys(texts))
    blocks = longest_first(distinct)
    emb_TD = np.empty((len(distinct), dimension), np.float32)
    for block in progress.track(blocks, label="encode for mining", total=len(blocks)):
        emb_TD[block] = encode([distinct[row] for row in block])
    return {text: row for row, text in enumerate(distinct)}, emb_TD
