"""How hard each example is for a model, before it learns from it.

Arrays: E examples, A distinct anchors, T distinct texts, D dimensions.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from nearer.core.arrays import Floats32
from nearer.learn.objective import Collator, embed_all
from nearer.learn.table import ExampleTable
from nearer.learn.tokens import Size, Tokens

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def hardness(table: ExampleTable, anchor_emb_AD: Floats32, text_emb_TD: Floats32) -> Floats32:
    """How much nearer, in cosine, the nearest negative of each example is than its positive, shape (E,).

    Negatives are its own, given or mined, that are known for no answer as good as the positive. Where any example has
    none, all are compared by how far their positives are alone, so that one scale holds for all.
    """
    anchor_emb_AD, text_emb_TD = _unit(anchor_emb_AD), _unit(text_emb_TD)
    positives_E = np.array([candidates[0] for candidates in table.candidates], np.int64)
    positive_E: Floats32 = np.einsum("ed,ed->e", anchor_emb_AD[table.anchor_E], text_emb_TD[positives_E])
    pairs = [(row, text) for row in range(len(positives_E)) for text in _negatives(table, row)]
    if {row for row, _ in pairs} != set(range(len(positives_E))):
        return -positive_E
    rows, texts = np.array(pairs, np.int64).T
    nearest_E = np.full(len(positives_E), -np.inf, np.float32)
    np.maximum.at(nearest_E, rows, np.einsum("pd,pd->p", anchor_emb_AD[table.anchor_E[rows]], text_emb_TD[texts]))
    return nearest_E - positive_E


def hardness_for(model: "SentenceTransformer", collator: Collator, fixed_TD: Floats32 | None) -> Floats32:
    """The hardness of the collator's examples for a model as it is, shape (E,).

    ``fixed_TD`` are the vectors of all texts where the model embeds anchors alone.
    """
    anchor_emb_AD = _embedded(model, collator.anchors, collator.size)
    if fixed_TD is None:
        assert collator.texts is not None
        fixed_TD = _embedded(model, collator.texts, collator.size)
    return hardness(collator.table, anchor_emb_AD, fixed_TD)


def _negatives(table: ExampleTable, row: int) -> list[int]:
    """The texts of an example that are worse answers than its positive."""
    known, (positive, *others) = table.known[row], table.candidates[row]
    return [text for text in others if known.get(text, 0.0) < known[positive]]


@torch.no_grad()
def _embedded(model: "SentenceTransformer", tokens: Tokens, size: Size) -> Floats32:
    """The vectors of all texts, without dropout."""
    made: dict[int, Floats32] = {}
    was_training = model.training
    model.eval()
    for rows, features in tokens.minibatches(range(len(tokens.lengths_T)), size):
        made.update(zip(rows, embed_all(model, (features,), cached=False).cpu().numpy(), strict=True))
    model.train(was_training)
    return np.stack([made[row] for row in range(len(made))])


def _unit(emb_ND: Floats32) -> Floats32:
    unit_ND: Floats32 = emb_ND / np.maximum(np.linalg.norm(emb_ND, axis=1, keepdims=True), np.float32(1e-12))
    return unit_ND
