"""Multiple negatives ranking loss in which known and likely positives are masked, not punished.

Shapes: B anchors in the batch, C columns of candidates (the positive, then each negative), D dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import Tensor, nn

from nearer.learn.examples import Example, NearDuplicates, text_key

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class MaskedRankingLoss(nn.Module):
    """Softmax cross-entropy over every candidate of the batch, less those that must not count as negatives.

    For each anchor a candidate other than its own positive is masked when it is one of the anchor's spared texts
    (its other positives, the anchor's own text) or nearly repeats the anchor's positive. The trainer hands over the
    row number of each example as its label; texts are compared, never similarities, so the mask does not drift.

    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (arXiv 1807.03748), eq. 4;
    the masking answers sentence-transformers #608, #1345 and #3946.
    """

    def __init__(
        self, model: "SentenceTransformer", *, examples: Sequence[Example], scale: float, near_duplicate: float
    ) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self._examples = examples
        self._duplicates = NearDuplicates(near_duplicate)
        self._keys = [[text_key(text) for text in (example.positive, *example.negatives)] for example in examples]

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """The loss of a batch; ``labels`` are B row numbers of the examples."""
        anchors_BD, *columns = embed_columns(self.model, sentence_features)
        candidates_XD = torch.cat(columns)  # X = B * C, all positives first
        logits_BX = _cosine(anchors_BD, candidates_XD) * self.scale
        mask_BX = self.mask(labels.tolist(), num_columns=len(columns)).to(logits_BX.device)
        logits_BX = logits_BX.masked_fill(mask_BX, -torch.inf)
        target_B = torch.arange(len(anchors_BD), device=logits_BX.device)
        losses_B = nn.functional.cross_entropy(logits_BX, target_B, reduction="none")
        weights_B = torch.tensor([self._examples[row].weight for row in labels.tolist()], device=losses_B.device)
        return (losses_B * weights_B).sum() / weights_B.sum().clamp_min(1e-6)

    def mask(self, rows: Sequence[int], *, num_columns: int) -> Tensor:
        """Which candidates each anchor leaves out, shape (B, B * C) bool."""
        candidates = [(row, column) for column in range(num_columns) for row in rows]
        masked = [
            [
                position != own and self._is_spared(self._examples[anchor], row, column)
                for position, (row, column) in enumerate(candidates)
            ]
            for own, anchor in enumerate(rows)
        ]
        return torch.tensor(masked, dtype=torch.bool)

    def get_config_dict(self) -> dict[str, Any]:
        """What the trainer writes down of this loss."""
        return {"scale": self.scale}

    def _is_spared(self, anchor: Example, row: int, column: int) -> bool:
        other = self._examples[row]
        if self._keys[row][column] in anchor.spared:
            return True
        text = (other.positive, *other.negatives)[column]
        return self._duplicates.alike(anchor.positive, text)


def _cosine(left_BD: Tensor, right_XD: Tensor) -> Tensor:
    normalised_BD = nn.functional.normalize(left_BD, dim=-1)
    return normalised_BD @ nn.functional.normalize(right_XD, dim=-1).T
