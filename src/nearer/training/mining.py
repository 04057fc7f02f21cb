"""Hard negatives from the workspace's documents, as the model of the moment scores them.

Arrays: Q examples, A distinct anchors, T distinct texts, P of them passages, D dimensions, K candidates.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.progress import Progress
from nearer.core.sections import MiningRecipe
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.blocks import BLOCK_TEXTS, longest_first
from nearer.encode.corpus import CachedEncoder, Corpus
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example, text_key
from nearer.learn.false_negatives import FalseNegatives, by_judge
from nearer.learn.negatives import MiningReport, mine
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.workspace import Workspace
from nearer.systems.reranker import open_reranker, scored
from nearer.vectors.topk import NO_ROW, top_k

Rows = dict[str, int]

NUM_JUDGED = 200  # queries of which a cross-encoder reads a negative; the interval is at most 0.14 wide


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


def open_judge(workspace: Workspace) -> CrossEncoder | None:
    """The cross-encoder that the recipe names, if any. Raises NotFound or ModelRefused when it cannot be had."""
    judge = workspace.recipe.mining.judge
    return open_reranker(workspace, judge) if judge else None


def mine_negatives(
    workspace: Workspace,
    encoder: Encoder | CachedEncoder,
    corpus: Corpus,
    examples: Sequence[Example],
    *,
    earlier: Sequence[Sequence[Example]] = (),
    progress: Progress,
) -> tuple[list[Example], MiningReport]:
    """Propose with the model as it is now, then score, filter and sample.

    ``earlier`` are the same examples as mined for the passes before, oldest first. Every distinct text is encoded
    once: most positives are passages. Raises ModelRefused when the recipe's judge cannot be had.
    """
    recipe, seed = workspace.recipe.mining, workspace.recipe.train.seed
    judge = open_judge(workspace)
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
        most_spared=max((len(example.spared) for example in examples), default=0),
        earlier=_drawn_before(examples, earlier, text_rows),
    )
    positive_scores_Q = np.einsum("qd,qd->q", anchor_emb_AD[anchors_Q], text_emb_TD[positives_Q])
    candidates = proposals.candidates(passages, anchors_Q, positive_scores_Q)
    drawing = recipe.model_copy(update={"num_negatives": recipe.num_drawn})
    mined, report = mine(examples, candidates, drawing, near_duplicate=NEAR_DUPLICATE, seed=seed)
    if judge and (judged := _judged(judge, examples, mined, seed=seed, progress=progress)):
        report = replace(report, false_negatives=(*report.false_negatives, judged))
    return mined, report


def propose(
    recipe: MiningRecipe,
    passages: Sequence[str],
    anchors: Sequence[str],
    anchor_emb_AD: Floats32,
    passage_emb_PD: Floats32,
    *,
    most_spared: int,
    earlier: Mapping[str, Sequence[int]],
) -> Proposals:
    """What each source of the recipe proposes: beside ``top_k`` passages as many as may be known, up to a limit.

    ``earlier`` gives the rows that earlier passes drew for an anchor, the newest first: a model that is only shown its
    newest mistakes forgets the older ones. Source: Sun et al., Reduce Catastrophic Forgetting of Dense Retrieval
    Training with Teleportation Negatives (arXiv 2210.17167), momentum negatives.
    """
    number = min(recipe.top_k + most_spared, 10 * recipe.top_k)
    found: list[tuple[Ints, Floats32]] = []
    for source in recipe.sources:
        if source == "dense":
            ranked = top_k(anchor_emb_AD, passage_emb_PD, k=number)
            found.append((ranked.rows_QK, ranked.scores_QK))
            continue
        if source == "bm25":
            rows_AK = LexicalIndex(passages).search(anchors, k=number).rows_QK
        else:
            rows_AK = _padded([earlier.get(anchor, ()) for anchor in anchors])
        found.append((rows_AK, _scores(anchor_emb_AD, passage_emb_PD, rows_AK)))
    widths = [rows_AK.shape[1] for rows_AK, _ in found]
    return Proposals(
        rows_AK=np.concatenate([rows_AK for rows_AK, _ in found], axis=1),
        scores_AK=np.concatenate([scores_AK for _, scores_AK in found], axis=1),
        sources_K=tuple(source for source, width in zip(recipe.sources, widths, strict=True) for _ in range(width)),
    )


def _drawn_before(
    examples: Sequence[Example], earlier: Sequence[Sequence[Example]], rows: Rows
) -> dict[str, list[int]]:
    """The passages that earlier passes drew for each anchor, the newest first and each once."""
    drawn: dict[str, dict[int, None]] = {}
    for mined in reversed(earlier):
        for example, known in zip(examples, mined, strict=True):
            drawn.setdefault(example.anchor, {}).update(
                dict.fromkeys(rows[text] for text in known.negatives[len(example.negatives) :])
            )
    return {anchor: list(each) for anchor, each in drawn.items()}


def _padded(lines: Sequence[Sequence[int]]) -> Ints:
    """Lines of rows, filled up; at least one column, so that a source that has nothing is told of too."""
    rows_AK = np.full((len(lines), max(map(len, [*lines, (NO_ROW,)]))), NO_ROW, np.int64)
    for rows_K, line in zip(rows_AK, lines, strict=True):
        rows_K[: len(line)] = line
    return rows_AK


def _scores(anchor_emb_AD: Floats32, passage_emb_PD: Floats32, rows_AK: Ints) -> Floats32:
    """The model's score of every proposed passage, -inf where there is none; a block of anchors at a time."""
    scores_AK = np.full(rows_AK.shape, -np.inf, np.float32)
    for first in range(0, len(rows_AK), BLOCK_TEXTS):
        block = slice(first, first + BLOCK_TEXTS)
        scores = np.einsum("ad,akd->ak", anchor_emb_AD[block], passage_emb_PD[rows_AK[block]])
        scores_AK[block] = np.where(rows_AK[block] == NO_ROW, -np.inf, scores)
    return scores_AK


def _judged(
    judge: CrossEncoder, examples: Sequence[Example], mined: Sequence[Example], *, seed: int, progress: Progress
) -> FalseNegatives | None:
    """What the cross-encoder says of a negative that was added, of each of some queries."""
    of_query: dict[str, list[tuple[str, str, str]]] = {}
    for example, known in zip(examples, mined, strict=True):
        added = [(known.anchor, known.positive, text) for text in known.negatives[len(example.negatives) :]]
        of_query.setdefault(text_key(known.anchor), []).extend(added)
    rng = random.Random(seed)
    asked = [rng.choice(each) for each in of_query.values() if each]
    asked = rng.sample(asked, min(NUM_JUDGED, len(asked)))
    pairs = list(chain.from_iterable(((query, positive), (query, text)) for query, positive, text in asked))
    scores = scored(judge, pairs, label="judge a sample of negatives", progress=progress)
    return by_judge(scores[0::2], scores[1::2])


def _encoded(
    texts: Sequence[str], encode: Callable[[Sequence[str]], Floats32], dimension: int, progress: Progress
) -> tuple[Rows, Floats32]:
    """The row of each distinct text, in the order they come, and their vectors."""
    distinct = list(dict.fromkeys(texts))
    blocks = longest_first(distinct)
    emb_TD = np.empty((len(distinct), dimension), np.float32)
    for block in progress.track(blocks, label="encode for mining", total=len(blocks)):
        emb_TD[block] = encode([distinct[row] for row in block])
    return {text: row for row, text in enumerate(distinct)}, emb_TD
