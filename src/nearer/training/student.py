"""A student: what it learns from, which layers it has, and how many steps it learns.

Arrays: N texts x D dimensions, E those of the teacher's vectors.
"""

import math
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, ModelRefused
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.corpus import embed_passages, embed_queries, tell_cost
from nearer.encode.embedded import Corpora
from nearer.encode.encoder import Encoder, TextEncoder
from nearer.learn.distil import BATCH, Taught, map_onto
from nearer.learn.fewer_layers import layers_to_keep, only
from nearer.store.workspace import Workspace
from nearer.systems import LocalSystem
from nearer.training.examples import find_excluded
from nearer.vectors.geometry import of_length_1

EPOCHS, MOST_STEPS = 20, 1000
"""Each text is learned at most so often; and so many steps are made at most. Our rule."""
_MOST_APART = 1e-5
"""Of 1 minus the cosine between a model with fewer layers and the same one loaded. Our rule: rounding of float32."""
_NUM_COMPARED, _NUM_MAPPED = 16, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What is learned from: the queries of train that do not leak into a later side, judged or not, and passages."""

    queries: tuple[str, ...]
    passages: tuple[str, ...]

    @classmethod
    def read(cls, corpora: Corpora, start: LocalSystem) -> "Texts":
        """Those of a workspace, cut for an encoder. Raises InputError when there are no documents."""
        collection, excluded = corpora.workspace.collection, find_excluded(corpora.workspace)
        queries = [each.text for each in collection.queries("train") if each.query_id not in excluded.query_ids]
        queries += [pair.query for pair in collection.pairs() if pair not in excluded.pairs]
        corpus = corpora.corpus(start.encoder, chunk=start.chunk)
        kept = (tuple(dict.fromkeys(each for each in texts if each.strip())) for texts in (queries, corpus.passages))
        return cls(queries=next(kept), passages=next(kept))

    def some(self, number: int, *, seed: int) -> "Texts":
        """At most so many of each."""
        rng = random.Random(seed)
        queries, passages = (rng.sample(each, min(number, len(each))) for each in (self.queries, self.passages))
        return Texts(queries=tuple(queries), passages=tuple(passages))

    def vectors(self, encoder: TextEncoder) -> Floats32:
        """The vectors (N, D) of all of them, queries first; nothing is cached."""
        return np.concatenate([encoder.encode_queries(self.queries), encoder.encode_documents(self.passages)])


def fewer_layers(start: LocalSystem, number: int, texts: Texts, *, seed: int, progress: Progress) -> tuple[int, ...]:
    """The places of the layers that a student keeps: those without which the vectors of some texts change the least.

    Raises InputError for a number of layers that the model has not, or has not more than.
    """
    encoder, some = start.encoder, texts.some(_NUM_COMPARED, seed=seed)

    def track(total: int) -> Iterator[int]:
        return progress.track(range(total), label="take layers out", total=total)

    return layers_to_keep(encoder.model, number, embed=lambda: some.vectors(encoder), track=track)


def with_layers(encoder: Encoder, places: Sequence[int], texts: Texts) -> Encoder:
    """Another model with these layers of one, as it is when it is loaded from its files.

    Raises InputError for an architecture whose layers compute something else at other places.
    """
    some = texts.some(_NUM_COMPARED, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        with only(encoder.model, places):
            shallow = Encoder(encoder.model, settings=encoder.settings, batch_size=encoder.batch_size)
            shallow.save(Path(folder))
            before_ND = some.vectors(shallow)
        student = Encoder.load(folder, **asdict(encoder.settings), batch_size=encoder.batch_size)
    cosines_N = np.einsum("nd,nd->n", before_ND.astype(np.float64), some.vectors(student).astype(np.float64))
    if not (cosines_N > 1 - _MOST_APART).all():
        raise InputError(
            f"{encoder.model_id}: its layers compute something else where others are missing",
            hint="serve it as it is; nearer compress measures smaller vectors of it",
        )
    return student


def taught_by(
    workspace: Workspace, teacher: TextEncoder, start: Encoder, texts: Texts, progress: Progress
) -> list[Taught]:
    """The texts of each side with the teacher's vectors, through the cache; in the start's dimensions.

    Raises ModelRefused for vectors that are not numbers.
    """
    tell_cost(workspace, teacher, "queries", [texts.queries], progress)
    tell_cost(workspace, teacher, "documents", [texts.passages], progress)
    queries_ND, passages_ND = _embedded(workspace, teacher, texts, progress)
    if not (np.isfinite(queries_ND).all() and np.isfinite(passages_ND).all()):
        raise ModelRefused("the teacher gives vectors that are not numbers", hint="take another: nearer evaluate")
    if teacher.encoder_id != start.encoder_id:
        some = texts.some(_NUM_MAPPED, seed=0)
        pairs = (np.concatenate(_embedded(workspace, each, some, progress)) for each in (teacher, start))
        map_ED = map_onto(*pairs)
        queries_ND, passages_ND = (of_length_1(each @ map_ED) for each in (queries_ND, passages_ND))
    settings = start.settings
    sides = (
        Taught(texts=texts.queries, prompt=settings.query_prompt, emb_ND=queries_ND),
        Taught(texts=texts.passages, prompt=settings.document_prompt, emb_ND=passages_ND),
    )
    return [side for side in sides if side.texts]


def _embedded(
    workspace: Workspace, encoder: TextEncoder, texts: Texts, progress: Progress
) -> tuple[Floats32, Floats32]:
    asked = [Query(query_id=str(row), text=text) for row, text in enumerate(texts.queries)]
    passages_ND, _ = embed_passages(workspace, encoder, texts.passages, progress)
    return embed_queries(workspace, encoder, asked, progress), passages_ND


def number_of_steps(texts: Texts) -> int:
    """How many steps of learning there are: ``EPOCHS`` for each text of the larger side, at most ``MOST_STEPS``."""
    sides = [each for each in (texts.queries, texts.passages) if each]
    return min(MOST_STEPS, math.ceil(EPOCHS * max(map(len, sides)) * len(sides) / BATCH))
