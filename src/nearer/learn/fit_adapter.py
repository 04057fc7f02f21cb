"""Training an adapter on cached vectors: seconds on a CPU, and step 0, which changes nothing, is a candidate.

Shapes: Q queries, P passages, D dimensions, C candidate negatives of a query, E pairs of a query and a positive,
B pairs of a batch, X passages of a batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from nearer.core.arrays import Bools, Floats32, Ints
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.results.training import DevPoint, Fit
from nearer.encode.adapter import Adapter, Map

AdapterSides = Literal["query", "shared", "separate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """How an adapter is trained.

    ``sides`` says what is mapped: ``"query"`` leaves the stored vectors and their index alone, ``"shared"`` maps
    them as the queries, ``"separate"`` by a matrix of their own. ``l2_sp`` weighs the squared distance of all
    weights from those of step 0. ``batch_size`` counts pairs.

    Only the learning rate has a source, in the recipe. The others are not tuned: dev, with step 0 a candidate, ends
    what does harm.
    """

    sides: AdapterSides = "query"
    learning_rate: float = 1e-3
    l2_sp: float = 1e-3
    scale: float = 20.0
    batch_size: int = 128
    num_negatives: int = 1
    max_epochs: int = 30
    patience: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdapterExamples:
    """What an adapter learns from: unit vectors, and rows of passages for every query.

    ``positives`` has at least one row a query. ``negatives_QC`` (int64) holds candidates to draw hard negatives from,
    -1 where there are fewer. ``masked`` rows are never negatives of their query: its own text, near-duplicates of a
    positive, grades in between; positives are masked in any case.
    """

    query_emb_QD: Floats32
    passage_emb_PD: Floats32
    positives: Sequence[Sequence[int]]
    negatives_QC: Ints
    masked: Sequence[Sequence[int]] = ()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products this small gain nothing from more threads, which wait for one another on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def fit_adapter(
    examples: AdapterExamples,
    *,
    settings: AdapterSettings,
    space_id: str,
    measure_dev: Callable[[Adapter], float],
    progress: Progress,
) -> tuple[Adapter, Fit]:
    """The adapter that was best on dev, for vectors of ``space_id``.

    ``measure_dev`` measures an adapter: before the first step, and after every epoch until ``patience`` epochs in a
    row bring no new best. So what is returned is never worse on dev than no adapter. The loss is a softmax over the
    positive, drawn negatives and the batch's other passages, less all that is masked; the same seed gives the same
    weights.

    Raises InputError for examples that cannot be learned from, settings that cannot work, and weights that diverge.

    Source: the loss: van den Oord et al., Representation Learning with Contrastive Predictive Coding (arXiv
    1807.03748), eq. 4; query adapters: Chroma, Embedding Adapters (2024).
    """
    _refuse_unusable(examples)
    rng = np.random.default_rng(settings.seed)
    start = _identity(examples.query_emb_QD.shape[1], settings.sides, space_id=space_id)
    trained = _converted(start, lambda weight: torch.tensor(weight, requires_grad=True))
    weights, starts = _weights(trained), [torch.from_numpy(weight) for weight in _weights(start)]
    optimiser = torch.optim.Adam(weights, settings.learning_rate)
    batches = _Batches(examples, settings, rng)
    best = _Best(measure_dev, start)
    losses: list[float] = []
    for epoch in progress.track(range(settings.max_epochs), label="train adapter", total=settings.max_epochs):
        of_epoch: list[float] = []
        for batch in batches.epoch():
            distances = torch.stack([(now - then).square().sum() for now, then in zip(weights, starts, strict=True)])
            loss = _loss(trained, batch, scale=settings.scale) + settings.l2_sp * distances.sum()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            of_epoch.append(loss.item())
        losses.append(sum(of_epoch) / len(of_epoch))
        measured = _converted(trained, lambda weight: weight.detach().numpy().copy())
        best.measure(measured, step=(epoch + 1) * len(batches))
        if best.num_since >= settings.patience:
            break
    report = Fit(
        num_examples=batches.num_pairs,
        num_steps=best.points[-1].step,
        best_step=best.point.step,
        stopped_early=best.points[-1].step < settings.max_epochs * len(batches),
        dev=tuple(best.points),
        losses=tuple(losses),
    )
    return best.adapter, report


def _identity(dimension: int, sides: AdapterSides, *, space_id: str) -> Adapter:
    """The adapter of step 0."""
    query = Map.identity(dimension)
    if sides == "query":
        return Adapter(space_id=space_id, query=query)
    document = query if sides == "shared" else Map.identity(dimension)
    return Adapter(space_id=space_id, query=query, document=document)


def _converted(adapter: Adapter, convert: Callable[[Any], Any]) -> Adapter:
    """The same adapter with its weights as arrays or as tensors; what is shared stays shared."""

    def converted(each: Map) -> Map:
        return Map(weights={name: convert(weight) for name, weight in each.weights.items()})

    query, document = converted(adapter.query), adapter.document
    if document is not None:
        document = query if document is adapter.query else converted(document)
    return Adapter(space_id=adapter.space_id, query=query, document=document)


def _weights(adapter: Adapter) -> list[Any]:
    """Every weight once."""
    own = [adapter.document] if adapter.document not in (None, adapter.query) else []
    return [weight for each in (adapter.query, *own) if each for weight in each.weights.values()]


class _Best:
    """Measures adapters on dev and keeps the best; the first is that of step 0."""

    def __init__(self, measure_dev: Callable[[Adapter], float], start: Adapter) -> None:
        self._measure_dev = measure_dev
        self.adapter = start
        self.point = DevPoint(step=0, value=measure_dev(start))
        self.points = [self.point]

    @property
    def num_since(self) -> int:
        """Measurements since the best."""
        return sum(point.step > self.point.step for point in self.points)

    def measure(self, adapter: Adapter, *, step: int) -> None:
        """Measure the adapter of a step; an equal value is no new best."""
        if not all(np.isfinite(weight).all() for weight in _weights(adapter)):
            raise InputError(f"the adapter's weights diverged before step {step}", hint="use a lower learning rate")
        self.points.append(DevPoint(step=step, value=self._measure_dev(adapter)))
        if self.points[-1].value > self.point.value:
            self.adapter, self.point = adapter, self.points[-1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Vectors of a batch, the column of each query's positive, and the columns that it leaves out."""

    queries_BD: Tensor
    passages_XD: Tensor
    target_B: Tensor
    masked_BX: Tensor


def _loss(adapter: Adapter, batch: _Batch, *, scale: float) -> Tensor:
    passages_XD = batch.passages_XD if adapter.document is None else adapter.document(batch.passages_XD)
    cosine_BX = normalize(adapter.query(batch.queries_BD)) @ normalize(passages_XD).T
    return cross_entropy((cosine_BX * scale).masked_fill(batch.masked_BX, -torch.inf), batch.target_B)


class _Batches:
    """Pairs in random order, each with negatives drawn anew from its query's candidates."""

    def __init__(self, examples: AdapterExamples, settings: AdapterSettings, rng: np.random.Generator) -> None:
        self._queries, self._passages = (
            torch.from_numpy(np.ascontiguousarray(emb, dtype=np.float32))
            for emb in (examples.query_emb_QD, examples.passage_emb_PD)
        )
        self._size, self._num_negatives, self._rng = settings.batch_size, settings.num_negatives, rng
        self._queries_E = np.repeat(np.arange(len(examples.positives)), [len(rows) for rows in examples.positives])
        self._positives_E = np.concatenate([np.asarray(rows, np.int64) for rows in examples.positives])
        self._masked_keys = self._keys_of(examples.positives, examples.masked)
        self._candidates_QC = self._unmasked_first(examples.negatives_QC)

    def __len__(self) -> int:
        return math.ceil(self.num_pairs / self._size)

    @property
    def num_pairs(self) -> int:
        """E, the pairs of an epoch."""
        return len(self._queries_E)

    def epoch(self) -> Iterator[_Batch]:
        """Every pair once."""
        order_E = self._rng.permutation(self.num_pairs)
        for first in range(0, self.num_pairs, self._size):
            yield self._batch(order_E[first : first + self._size])

    def _batch(self, pairs_B: Ints) -> _Batch:
        queries_B, positives_B = self._queries_E[pairs_B], self._positives_E[pairs_B]
        rows_X = np.unique(np.concatenate([positives_B, self._draw(queries_B)]))
        target_B = np.searchsorted(rows_X, positives_B)
        masked_BX = self._are_masked(queries_B[:, None], rows_X[None])
        masked_BX[np.arange(len(pairs_B)), target_B] = False
        return _Batch(
            queries_BD=self._queries[torch.from_numpy(queries_B)],
            passages_XD=self._passages[torch.from_numpy(rows_X)],
            target_B=torch.from_numpy(target_B),
            masked_BX=torch.from_numpy(masked_BX),
        )

    def _draw(self, queries_B: Ints) -> Ints:
        """Rows of negatives for a batch, at most ``num_negatives`` a query, in no order."""
        candidates_BC = self._candidates_QC[queries_B]
        num_B = (candidates_BC >= 0).sum(axis=1)
        places = (self._rng.random((len(queries_B), self._num_negatives)) * num_B[:, None]).astype(np.int64)
        drawn: Ints = np.take_along_axis(candidates_BC, places, axis=1)[num_B > 0].ravel()
        return drawn

    def _keys_of(self, *rows_by_query: Sequence[Sequence[int]]) -> Ints:
        """One number for every pair of a query and a row, ascending."""
        keys = {
            q * len(self._passages) + row for lines in rows_by_query for q, rows in enumerate(lines) for row in rows
        }
        return np.array(sorted(keys), np.int64)

    def _are_masked(self, queries: Ints, rows: Ints) -> Bools:
        keys = queries * len(self._passages) + rows
        places = np.searchsorted(self._masked_keys, keys).clip(max=len(self._masked_keys) - 1)
        found: Bools = self._masked_keys[places] == keys
        return found

    def _unmasked_first(self, negatives_QC: Ints) -> Ints:
        """The candidates with -1 in place of the masked ones, and every -1 at the end."""
        queries_Q = np.arange(len(negatives_QC))
        kept_QC = np.where(self._are_masked(queries_Q[:, None], negatives_QC), -1, negatives_QC)
        kept_QC = np.pad(kept_QC, ((0, 0), (0, 1)), constant_values=-1)  # so that there is a place to draw from
        order_QC = np.argsort(kept_QC < 0, axis=1, kind="stable")
        return np.take_along_axis(kept_QC, order_QC, axis=1)


def _refuse_unusable(examples: AdapterExamples) -> None:
    num_queries, num_passages = len(examples.query_emb_QD), len(examples.passage_emb_PD)
    if examples.query_emb_QD.shape[1] != examples.passage_emb_PD.shape[1]:
        raise InputError("queries and passages differ in dimension", hint="encode both with encoders of one space")
    if not (np.isfinite(examples.query_emb_QD).all() and np.isfinite(examples.passage_emb_PD).all()):
        raise InputError("a vector is not finite", hint="encode the texts again; try precision float32")
    if not num_queries or not num_queries == len(examples.positives) == len(examples.negatives_QC):
        raise InputError(
            f"{num_queries} queries lack positives or negatives", hint="give a line of each for every query"
        )
    if not all(examples.positives):
        raise InputError("a query has no positive", hint="leave out queries that nothing is relevant to")
    if examples.masked and len(examples.masked) != num_queries:
        raise InputError("the masked rows are of other queries", hint="give a line for every query, or none at all")
    rows = np.concatenate([np.ravel(each) for each in (*examples.positives, *examples.masked, [0])]).astype(np.int64)
    if rows.min() < 0 or max(rows.max(), examples.negatives_QC.max(initial=-1)) >= num_passages:
        raise InputError(f"a row is outside 0 to {num_passages - 1}", hint="give rows of the passage vectors")
