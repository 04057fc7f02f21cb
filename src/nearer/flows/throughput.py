"""How fast the base model encodes on this machine, measured on a sample."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.recipe import Recipe
from nearer.core.records import Document
from nearer.encode.chunk import passages
from nearer.encode.corpus import window_of
from nearer.encode.encoder import Encoder
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_local

SAMPLE_DOCUMENTS = 256
MEASURE_S = 10.0
"""Encoding is measured until so many seconds have passed, or the sample is through."""
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """How fast the base model encoded a sample: ``num_texts`` passages in ``duration_s`` seconds."""

    texts: str
    model: str
    dims: int
    device: str
    num_texts: int
    duration_s: float
    passages_per_document: float
    tokens_per_document: float

    @property
    def texts_per_second(self) -> float:
        """Passages encoded in a second."""
        return self.num_texts / self.duration_s


def measure_throughput(
    workspace: Workspace | None, recipe: Recipe, progress: Progress, *, clock: Callable[[], float] = time.perf_counter
) -> Throughput:
    """Encode a sample with the base model, batches of like length in random order, after one that warms up.

    Raises InputError for a base behind an API: its rate is the service's, and measuring it costs money.
    """
    if recipe.encoder.api.endpoint is not None:
        raise InputError("the base is behind an API, and is not measured here", hint="give --documents-per-second N")
    encoder = open_local(workspace, BASE).encoder if workspace else Encoder.load(recipe.encoder.model)
    documents, what = _sample(workspace)
    window = window_of(recipe.chunk, encoder) if workspace else None
    texts = [each.text for each in passages(documents, window=window, token_spans=encoder.token_spans)]
    progress.say(f"measuring how fast {recipe.encoder.model} encodes {what}")
    by_length = sorted(texts, key=len)
    batches = [by_length[at : at + encoder.batch_size] for at in range(0, len(by_length), encoder.batch_size)]
    order = np.random.default_rng(_SEED).permutation(len(batches))
    encoder.encode_documents(batches[order[0]])
    num_texts, began = 0, clock()
    for batch in order:
        encoder.encode_documents(batches[batch])
        num_texts += len(batches[batch])
        duration_s = clock() - began
        if duration_s >= MEASURE_S:
            break
    return Throughput(
        texts=what,
        model=recipe.encoder.model,
        dims=encoder.dimension,
        device=str(encoder.model.device),
        num_texts=num_texts,
        duration_s=max(duration_s, 1e-9),
        passages_per_document=len(texts) / len(documents),
        tokens_per_document=float(np.mean(encoder.count_tokens([each.full_text for each in documents]))),
    )


def _sample(workspace: Workspace | None) -> tuple[list[Document], str]:
    """Documents to encode, drawn from all, and what they are in words."""
    doc_ids = list(workspace.collection.document_hashes()) if workspace else []
    if workspace and doc_ids:
        drawn = np.random.default_rng(_SEED).permutation(len(doc_ids))[:SAMPLE_DOCUMENTS]
        documents = workspace.collection.documents([doc_ids[row] for row in drawn])
        return documents, f"{len(documents)} documents of the workspace"
    from nearer.flows.demo.corpus import stdlib_functions  # its package trains, and so loads all there is to load

    functions = islice(stdlib_functions(), SAMPLE_DOCUMENTS)
    documents = [Document(doc_id=each.name, text=each.source) for each in functions]
    return documents, f"{len(documents)} functions of the Python standard library"
