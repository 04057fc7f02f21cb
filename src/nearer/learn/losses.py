"""The losses, each a function of how like the vectors of a batch are, and when each is the right one.

Shapes: B anchors in the batch, X distinct texts. Similarities are cosines. Grades are those of ``table.py``: 0 is a
negative, more than 0 is to be ranked above what has less, nan is neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nearer.core.errors import RecipeError
from nearer.core.sections import LossName
from nearer.learn.examples import Example

FAR = -1e4
"""The logit of what does not count: its exponential is 0, and no sum of them is nan."""

TRIPLET_MARGIN = 0.3
"""In cosine distance. Our rule: FaceNet's 0.2 (arXiv 1503.03832, section 3.1) is of squared distances."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Similarities:
    """A batch as the losses see it.

    ``candidates`` are, for each anchor, the columns of its positive and of its own negatives; ``teacher`` what a
    cross-encoder gave these, where one was asked; ``score_B`` how alike the pairs are said to be, from 0 to 1.
    """

    cosine_BX: Tensor
    grades_BX: Tensor
    weight_B: Tensor
    candidates: Sequence[Sequence[int]]
    score_B: Tensor
    teacher: Sequence[Sequence[float]]


def mnrl(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """Every text of a grade against all that have less: multiple negatives ranking, and its listwise form.

    For each grade that an anchor has texts of, the mean of -log softmax(text | text and all of a lower grade), weighed
    by the grade, as nDCG here weighs it. With one grade it is the cross-entropy of multiple negatives ranking, in which
    what is known or likely to be relevant is masked, not punished.

    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (arXiv 1807.03748), eq. 4.
    The order of grades is that of ListMLE (Xia et al., Listwise Approach to Learning to Rank, 2008), texts of one
    grade not being ordered. Leaving out answers sentence-transformers #608, #1345, #3946 and #3492.
    """
    logits_BX = batch.cosine_BX * scale
    counts_BX = ~torch.isnan(batch.grades_BX)
    grades_BX = torch.nan_to_num(batch.grades_BX)
    total_B, gain_B = logits_BX[:, 0] * 0, torch.zeros_like(batch.weight_B)
    for level in torch.unique(grades_BX[counts_BX & (grades_BX > 0)]).tolist():
        here_BX = counts_BX & (grades_BX == level)
        lower_BX = counts_BX & (grades_BX < level)
        rest_B = logits_BX.masked_fill(~lower_BX, FAR).logsumexp(1)
        losses_BX = nn.functional.softplus(rest_B[:, None] - logits_BX) * here_BX
        gain = level * here_BX.any(1)
        total_B = total_B + gain * losses_BX.sum(1) / here_BX.sum(1).clamp_min(1)
        gain_B = gain_B + gain
    return _weighed(total_B / gain_B.clamp_min(1e-6), batch.weight_B)


def triplet(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """Each positive nearer than each of its own negatives by ``margin``, in cosine distance; what is neither is masked.

    Source: Schroff et al., FaceNet (arXiv 1503.03832), eq. 3, with the cosine distance.
    """
    cosine, known = _own(batch)
    grades, _ = _own(replace(batch, cosine_BX=batch.grades_BX))
    is_negative = known[:, 1:] & ~torch.isnan(grades[:, 1:])
    gap = torch.relu(cosine[:, 1:] - cosine[:, :1] + margin) * is_negative
    return _weighed(gap.sum(1) / is_negative.sum(1).clamp_min(1), batch.weight_B)


def cosine(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """The squared difference of the pair's cosine and its score.

    Source: Reimers and Gurevych, Sentence-BERT (arXiv 1908.10084), section 3, regression objective.
    """
    found, _ = _own(batch)
    return nn.functional.mse_loss(found[:, 0], batch.score_B)


def cosent(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """Of every two pairs the one with the higher score has the higher cosine: log(1 + sum exp(scale * (low - high))).

    Source: Su, CoSENT (https://kexue.fm/archives/8847), as in sentence-transformers.
    """
    found = _own(batch)[0][:, 0] * scale
    is_higher_BB = batch.score_B[:, None] < batch.score_B[None, :]
    wrong = (found[:, None] - found[None, :])[is_higher_BB]
    return torch.cat([wrong.new_zeros(1), wrong]).logsumexp(0)


def margin_mse(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """How much better the positive is than each negative, as the teacher has it, after one scaling for the batch.

    The teacher's numbers have any unit, cosines lie within 1: the factor is the one of least squares.
    Source: Hofstätter et al., Improving Efficient Neural Ranking Models (arXiv 2010.02666), eq. 4, plus the factor.
    """
    found, known = _own(batch)
    teacher = _taught(batch, found)
    ours, theirs = (each[:, :1] - each[:, 1:] for each in (found, teacher))
    ours, theirs = ours[known[:, 1:]], theirs[known[:, 1:]]
    factor = (ours.detach() * theirs).sum() / theirs.square().sum().clamp_min(1e-9)
    return nn.functional.mse_loss(ours, factor.clamp_min(1e-3) * theirs) if len(ours) else found.sum() * 0


def kl(batch: Similarities, *, scale: float, margin: float) -> Tensor:
    """How far our softmax over the positive and its own negatives is from the teacher's.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network (arXiv 1503.02531), section 2, as divergence.
    """
    found, known = _own(batch)
    ours = (found * scale).masked_fill(~known, FAR).log_softmax(1)
    theirs = _taught(batch, found).masked_fill(~known, FAR).log_softmax(1)
    terms = nn.functional.kl_div(ours, theirs, reduction="none", log_target=True) * known
    return _weighed(terms.sum(1), batch.weight_B)


LIKENESS: tuple[LossName, ...] = ("cosine", "cosent")
CONTRASTIVE: tuple[LossName, ...] = ("mnrl", "triplet")
"""The losses in which a text is a negative because nobody said otherwise."""
"""What learns how alike two texts are, and so from no negatives."""

Loss = Callable[..., Tensor]
LOSSES: Mapping[LossName, Loss] = {
    "mnrl": mnrl,
    "triplet": triplet,
    "cosine": cosine,
    "cosent": cosent,
    "margin_mse": margin_mse,
    "kl": kl,
}

UNLIKE = 0.5
"""A score below it says that a pair is not one: with such scores it is likeness that is to be learned."""

_NEEDS: Mapping[str, tuple[Callable[[Example], bool], str]] = {
    "triplet": (
        lambda e: len(e.negatives) > 0,
        "negatives: with the pairs, or mined, in every pass but the base's first",
    ),
    "cosine": (lambda e: e.score is not None, "a score with every pair"),
    "cosent": (lambda e: e.score is not None, "a score with every pair"),
    "margin_mse": (lambda e: len(e.scores) > 1, "a teacher's scores of negatives: set mining.reranker"),
    "kl": (lambda e: len(e.scores) > 1, "a teacher's scores of negatives: set mining.reranker"),
}


def choose_loss(asked: LossName | None, examples: Sequence[Example]) -> tuple[LossName, str]:
    """The loss to train with and why: the one asked for, else what the examples' shape calls for.

    Raises RecipeError when the examples lack what the loss that was asked for learns from.
    """
    if asked is not None:
        has, wanted = _NEEDS.get(asked, (lambda _: True, ""))
        num_lacking = sum(not has(example) for example in examples)
        lacking = f"{num_lacking} of {len(examples)} examples lack it" if num_lacking else ""
        if num_lacking == len(examples) > 0 or (num_lacking and asked != "triplet"):
            raise RecipeError(
                f"train.loss = {asked!r} needs {wanted}; {lacking}",
                hint="leave train.loss out: it is chosen by the data",
            )
        return asked, f"named in the recipe; {lacking}, and teach nothing" if lacking else "named in the recipe"
    scores = [example.score for example in examples if example.score is not None]
    if len(scores) == len(examples) and min(scores, default=1.0) < UNLIKE:
        return "cosent", "every pair has a score, and some are low"
    if any(example.grades for example in examples):
        return "mnrl", "several grades: the higher above the lower, all above the unjudged"
    return "mnrl", "pairs of a query and a positive"


def learns_likeness(asked: LossName | None, examples: Sequence[Example]) -> bool:
    """Whether the loss has no use for negatives: the one asked for, whatever it needs, or what the shape calls for."""
    return (asked or choose_loss(None, examples)[0]) in LIKENESS


def _own(batch: Similarities) -> tuple[Tensor, Tensor]:
    """Cosines of each anchor's own candidates, the positive first, and which are there, shape (B, most)."""
    most = max(len(each) for each in batch.candidates)
    columns = torch.tensor([[*each, *[0] * (most - len(each))] for each in batch.candidates])
    known = torch.tensor([[place < len(each) for place in range(most)] for each in batch.candidates])
    device = batch.cosine_BX.device
    return batch.cosine_BX.gather(1, columns.to(device)), known.to(device)


def _taught(batch: Similarities, like: Tensor) -> Tensor:
    rows: list[Any] = [[*each, *[0.0] * (like.shape[1] - len(each))] for each in batch.teacher]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _weighed(losses_B: Tensor, weight_B: Tensor) -> Tensor:
    return (losses_B * weight_B).sum() / weight_B.sum().clamp_min(1e-6)
