"""How far below its positive a candidate must score to be a negative.

Arrays: Q examples x K candidates.
"""

import numpy as np

from nearer.core.arrays import Bools
from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates

NO_MARGIN = -1.0
ENOUGH = 0.8
"""Share of the pairs that must keep enough candidates for a margin to be used. Our rule."""


def below_margin(candidates: Candidates, margin: float) -> Bools:
    """Which candidates score below (1 - margin) times their positive.

    Scores are cosines; a positive below 0 would turn the bound around, so it counts as 0. Above -1 a negative margin
    lets candidates score above the positive by so much; -1 lets all pass.
    Source: NV-Retriever (arXiv 2407.15831), section 3.2, TopK-PercPos.
    """
    if margin <= NO_MARGIN:
        return np.ones(candidates.rows_QK.shape, dtype=np.bool_)
    limit_Q = np.maximum(candidates.positive_scores_Q, 0) * np.float32(1 - margin)
    return np.asarray(candidates.scores_QK < limit_Q[:, None])


def choose_margin(candidates: Candidates, allowed_QK: Bools, recipe: MiningRecipe, *, num_wanted: int) -> float:
    """The first (strictest) margin that leaves enough candidates to enough examples; the last one if none does.

    A fixed margin fails on dense collections: 0.05 rejects nearly all candidates where texts lie close together.
    """
    margin = NO_MARGIN
    for each in sorted(recipe.margins, reverse=True):
        margin = max(each, NO_MARGIN)
        kept_QK = allowed_QK & below_margin(candidates, margin)
        if len(kept_QK) and float((kept_QK.sum(axis=1) >= num_wanted).mean()) >= ENOUGH:
            break
    return margin
