"""Hard negatives from the workspace's documents, as the model of the moment ranks them.

Arrays: Q examples, A distinct anchors, P passages, D dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nearer.core.progress import Progress
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.encoder import Encoder
from nearer.flows.embedding import Corpus
from nearer.learn.examples import Example
from nearer.learn.negatives import Candidates, MiningReport, mine
from nearer.measure.topk import top_k
from nearer.store.workspace import Workspace

Floats = NDArray[np.float32]
Rows = dict[str, int]

_BLOCK = 256
"""Texts encoded between two steps of the progress bar."""


def mine_negatives(
    workspace: Workspace, encoder: Encoder, corpus: Corpus, examples: Sequence[Example], *, progress: Progress
) -> tuple[list[Example], MiningReport]:
    """Propose with the model as it is now, uncached, then score, filter and sample.

    Every distinct text is encoded once: most positives are passages.
    """
    recipe = workspace.recipe.mining
    positives = [example.positive for example in examples]
    document_row, document_emb_ND = _encoded([*corpus.passages, *positives], encoder.encode_documents, progress)
    anchor_row, anchor_emb_AD = _encoded([example.anchor for example in examples], encoder.encode_queries, progress)
    anchors_Q = np.array([anchor_row[example.anchor] for example in examples], np.int64)
    positives_Q = np.array([document_row[text] for text in positives], np.int64)
    passages_P = np.array([document_row[text] for text in corpus.passages], np.int64)
    most_spared = max((len(example.spared) for example in examples), default=0)
    ranked = top_k(anchor_emb_AD, document_emb_ND[passages_P], k=min(recipe.top_k + most_spared, 10 * recipe.top_k))
    candidates = Candidates(
        texts=corpus.passages,
        rows_QK=ranked.rows_QK[anchors_Q],
        scores_QK=ranked.scores_QK[anchors_Q],
        positive_scores_Q=np.einsum("qd,qd->q", anchor_emb_AD[anchors_Q], document_emb_ND[positives_Q]),
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
    texts: Sequence[str], encode: Callable[[Sequence[str]], Floats], progress: Progress
) -> tuple[Rows, Floats]:
    """The row of each distinct text, and their vectors; texts of like length are encoded together."""
    by_length = sorted(dict.fromkeys(texts), key=len)
    blocks = [by_length[start : start + _BLOCK] for start in range(0, len(by_length), _BLOCK)]
    made = [encode(block) for block in progress.track(blocks, label="encode for mining", total=len(blocks))]
    return {text: row for row, text in enumerate(by_length)}, np.concatenate(made)
