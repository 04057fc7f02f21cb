"""What a guide says of a batch: the texts that lie as near to an anchor as its positive does.

Arrays: A anchors and T texts of a table, B examples of a batch, X of its texts, D dimensions. Vectors have length 1.
"""

from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats32, Ints
from nearer.core.sections import LossName

GUIDED: tuple[LossName, ...] = ("mnrl", "triplet")
"""The losses in which a text is a negative because nobody said otherwise."""

_ROUNDING = 1e-6  # that two cosines of the same vectors may differ by


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guide:
    """The guide's vectors of all anchors and texts of a table, and how near is too near.

    ``margin`` is the share of the positive's cosine that a text may lack and still be masked.
    """

    anchor_AD: Floats32
    text_TD: Floats32
    margin: float

    def masks(self, anchors_B: Ints, positives_B: Ints, texts_X: Ints) -> Bools:
        """Whether each text is to be neither positive nor negative of each example, shape (B, X).

        Source: Solatorio, GISTEmbed (arXiv 2402.16829), whose margin is 0; one relative to the positive, as in
        sentence-transformers' GISTEmbedLoss and in NV-Retriever (arXiv 2407.15831), section 3.2, TopK-PercPos.
        """
        anchor_BD = self.anchor_AD[anchors_B]
        positive_B = np.einsum("bd,bd->b", anchor_BD, self.text_TD[positives_B])
        limit_B = positive_B - np.abs(positive_B) * self.margin
        return np.asarray(anchor_BD @ self.text_TD[texts_X].T >= limit_B[:, None] - _ROUNDING)
