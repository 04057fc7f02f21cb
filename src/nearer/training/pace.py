"""How fast a model trains on its data on this machine, measured on a few steps and texts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nearer.core.results.training import Pace
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.examples import Example
from nearer.learn.lower_layers import Activations
from nearer.learn.rehearse import NUM_STEPS, rehearse
from nearer.systems.reranker import open_reranker
from nearer.training.job import TrainingJob

T = TypeVar("T")

_NUM_ENCODED, _NUM_READ = 128, 32


def measured(job: TrainingJob, *, clock: Callable[[], float]) -> Pace:
    """Time one dev measurement, some texts that mining encodes or a teacher reads, and a few steps of each kind.

    What a guide encodes is left out: it goes through the cache.
    """
    began = clock()
    job.monitor.point(job.encoder, 0)
    dev_s = clock() - began
    recipe = job.workspace.recipe.train
    mines = job.mines or bool(recipe.warm_start_epochs)
    encoding_s = _encoding_s(job, clock=clock) if mines else 0.0
    plain_step_s = _step(job, mined=False, clock=clock)
    return Pace(
        plain_step_s=plain_step_s,
        mined_step_s=_step(job, mined=True, clock=clock) if mines else plain_step_s,
        dev_s=dev_s,
        encoding_s=encoding_s,
        judging_s=_judging_s(job, clock=clock) if mines else 0.0,
    )


def cheaper(pace: Pace, job: TrainingJob, saving: TrainingJob, *, clock: Callable[[], float]) -> Pace:
    """The pace of ``job`` with steps as they are under what saves time.

    Raises RecipeError where that cannot be trained: layers that cannot be passed by, for example.
    """
    own = pace.mined_step_s if job.mines else pace.plain_step_s
    share = _step(saving, mined=job.mines, clock=clock) / own
    return replace(pace, plain_step_s=share * pace.plain_step_s, mined_step_s=share * pace.mined_step_s)


def _encoding_s(job: TrainingJob, *, clock: Callable[[], float]) -> float:
    """What encoding everything that mining looks at is expected to take."""
    documents = sorted({*job.corpus.passages, *(each.positive for each in job.examples)})
    anchors = sorted({each.anchor for each in job.examples})
    rng, total_s = random.Random(job.workspace.recipe.train.seed), 0.0
    for encode, texts in ((job.encoder.encode_documents, documents), (job.encoder.encode_queries, anchors)):
        sample = rng.sample(texts, min(_NUM_ENCODED, len(texts)))
        total_s += _timed(encode, sample, number=len(texts), clock=clock)
    return total_s


def _judging_s(job: TrainingJob, *, clock: Callable[[], float]) -> float:
    """What the recipe's teacher is expected to take for what one mining draws."""
    mining, examples = job.workspace.recipe.mining, job.examples
    if mining.reranker is None:
        return 0.0
    sample = [(each.anchor, each.positive) for each in examples[:_NUM_READ]]
    number = len(examples) * (1 + mining.num_drawn)
    return _timed(open_reranker(job.workspace, mining.reranker).scores, sample, number=number, clock=clock)


def _timed(work: Callable[[list[T]], Any], sample: list[T], *, number: int, clock: Callable[[], float]) -> float:
    """What so many are expected to take, by what the sample takes."""
    began = clock()
    work(sample)
    return (clock() - began) / len(sample) * number


def _step(job: TrainingJob, *, mined: bool, clock: Callable[[], float]) -> float:
    """Seconds of a step on what an epoch draws, with mined negatives, for which random passages stand, or without."""
    recipe = job.workspace.recipe
    rng = random.Random(recipe.train.seed)
    drawn = [job.examples[row] for rows in BatchOrder.of(job.examples, recipe.train).batches(0) for row in rows]
    number = min(recipe.mining.num_negatives, len(job.corpus.passages)) if mined else 0
    sample = [
        _with(example, rng.sample(job.corpus.passages, number))
        for example in drawn[: NUM_STEPS * recipe.train.batch_size]
    ]
    sides = replace(job.sides, activations=Activations())  # none known, as in a first epoch
    return rehearse(job.encoder.model, sample, recipe=recipe.train, sides=sides, clock=clock)


def _with(example: Example, negatives: Sequence[str]) -> Example:
    return replace(example, negatives=(*example.negatives, *negatives))
