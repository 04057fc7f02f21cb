"""A model in training whose documents keep the vectors that they had before.

Arrays: T texts, N of them asked for, D dimensions.
"""

from collections.abc import Sequence
from itertools import chain

from nearer.core.arrays import Floats32
from nearer.core.progress import Progress
from nearer.core.sections import TrainRecipe
from nearer.encode.corpus import embed_passages
from nearer.encode.encoder import Encoder
from nearer.learn.examples import Example
from nearer.learn.fit import Sides
from nearer.store.workspace import Workspace


class QuerySide(Encoder):
    """``encoder`` for queries, as its weights are now; for documents the vectors ``emb_TD`` of ``texts``.

    Its ids mean nothing: they are those of neither.
    """

    def __init__(self, encoder: Encoder, texts: Sequence[str], emb_TD: Floats32) -> None:
        super().__init__(encoder.model, settings=encoder.settings, batch_size=encoder.batch_size)
        self._emb_TD = emb_TD
        self._row_of = {text: row for row, text in enumerate(texts)}

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """The vectors that these texts had, shape (N, D); every text must be known."""
        return self._emb_TD[[self._row_of[text] for text in texts]]


def sides_of(encoder: Encoder, recipe: TrainRecipe) -> Sides:
    """The sides of an encoder in training; documents keep their vectors where only queries are trained."""
    return Sides(
        query=encoder.settings.query_prompt,
        document=encoder.settings.document_prompt,
        vectors=encoder.encode_documents if recipe.sides == "query" else None,
    )


def learner(
    workspace: Workspace,
    encoder: Encoder,
    examples: Sequence[Example],
    *others: Sequence[str],
    progress: Progress,
) -> Encoder:
    """The encoder as the recipe's ``train.sides`` has it learn: itself, or for queries alone.

    Documents then keep its vectors: every text of the examples, and of ``others``, is embedded now, through the cache.
    """
    if workspace.recipe.train.sides == "both":
        return encoder
    learned = ((example.positive, *example.negatives) for example in examples)
    texts = list(dict.fromkeys(chain(*others, *learned)))
    emb_TD, _ = embed_passages(workspace, encoder, texts, progress)
    return QuerySide(encoder, texts, emb_TD)
