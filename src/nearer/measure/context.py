"""What of a ranking reaches a prompt of so many tokens, for answers that a language model writes.

The texts of the ranked documents fill the prompt in order, and the last one is cut. Shapes: Q queries, K ranked
documents.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.measure.metrics import Measure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompts:
    """What the ranked documents of every query would bring into a prompt, in tokens.

    ``tokens_QK`` (int64) are the lengths of the texts they bring, 0 where there is no document, and ``relevant_QK``
    says which of them are relevant. ``relevant_tokens_Q`` (int64) is the length of all relevant documents, whole,
    ranked or not.
    """

    tokens_QK: Ints
    relevant_QK: Bools
    relevant_tokens_Q: Ints


def score_prompts(measures: Iterable[Measure], prompts: Prompts) -> dict[Measure, Floats64]:
    """The value of every measure for every query (float64, Q, in [0, 1]); a measure's cutoff is the prompt's budget.

    ``ContextRecall``: the relevant tokens in the prompt, out of all relevant tokens or of the budget, whichever is
    less. Where each document brings the whole of its text, a perfect ranking reaches 1; where it brings one passage,
    what the others would have told counts as missing. ``ContextPrecision``: the relevant tokens in the prompt out of
    all that it holds, 0 for an empty one. A query without relevant text scores 0.

    Source: Smith and Troynikov, Evaluating Chunking Strategies for Retrieval (Chroma, 2024), "Metrics", for recall
    and precision over tokens; the names: Es et al., Ragas (arXiv 2309.15217), where a language model judges instead.
    The budget and the cap are ours.

    >>> prompts = Prompts(
    ...     tokens_QK=np.array([[30, 50, 40]]),
    ...     relevant_QK=np.array([[False, True, True]]),
    ...     relevant_tokens_Q=np.array([90]),
    ... )
    >>> wanted = [Measure.parse("ContextRecall@100"), Measure.parse("ContextPrecision@100")]
    >>> [value_Q.round(3).tolist() for value_Q in score_prompts(wanted, prompts).values()]
    [[0.778], [0.7]]
    """
    return {measure: _score(measure, prompts) for measure in measures}


def _score(measure: Measure, prompts: Prompts) -> Floats64:
    assert measure.is_of_prompt, f"{measure} is a measure of ranks"
    assert measure.cutoff is not None, "Measure demands one"
    before_QK = prompts.tokens_QK.cumsum(axis=1) - prompts.tokens_QK
    in_prompt_QK = np.clip(measure.cutoff - before_QK, 0, prompts.tokens_QK)
    relevant_Q = np.where(prompts.relevant_QK, in_prompt_QK, 0).sum(axis=1)
    if measure.name == "ContextRecall":
        of_Q = np.minimum(prompts.relevant_tokens_Q, measure.cutoff)
    else:
        of_Q = in_prompt_QK.sum(axis=1)
    share_Q: Floats64 = np.divide(relevant_Q, of_Q, out=np.zeros(len(of_Q)), where=of_Q > 0)
    return share_Q
