"""What fine-tuning would bring, forecast from short trainings on few pairs; nothing of them is kept.

Arrays: A dev queries that are asked, P passages that they rank, D dimensions, C columns: the base, and each size.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nearer.core.arrays import Floats32, Floats64
from nearer.core.errors import InputError, RecipeError
from nearer.core.progress import Progress
from nearer.core.results.advice import CurveForecast, CurvePoint, LearningCurve
from nearer.core.results.measuring import Interval
from nearer.core.results.training import DevPoint
from nearer.encode.blocks import longest_first
from nearer.encode.corpus import Corpus, embed_corpus, embed_queries, read_corpus
from nearer.encode.encoder import Encoder
from nearer.evaluation.ready import ready_to_train
from nearer.learn.checkpoint import Checkpoints, weights_of
from nearer.learn.examples import Example, text_key
from nearer.learn.fit import fit
from nearer.measure.forecast import forecast, remarks
from nearer.measure.significance import compare_all, mean_intervals
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_local
from nearer.training.dev_sample import DevSample
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.examples import find_excluded, read_examples
from nearer.training.feasible import refuse_hopeless
from nearer.training.guiding import guide_of
from nearer.training.query_side import learner, sides_of

SHARES = (0.25, 0.5, 1.0)
_METHOD = (
    "one pass with in-batch negatives on nested random subsets, always from the base, the last weights measured; "
    "later passes with mined negatives are not in it"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trained:
    """What a training reached, query by query, and what it took."""

    num_pairs: int
    values_A: Floats64
    training_s: float
    measuring_s: float


def measure_curve(
    workspace: Workspace,
    *,
    shares: Sequence[float] = SHARES,
    max_pairs: int | None = None,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> LearningCurve:
    """Train on ``shares`` of ``max_pairs`` pairs (``advise.curve_pairs`` by default), and forecast nDCG@10 with all.

    Raises InputError for shares or numbers that cannot be and for data that cannot be measured, RecipeError for
    settings or data that cannot be trained with.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise InputError(f"shares of {list(shares)}", hint="give shares above 0 and up to 1, such as 0.25, 0.5, 1")
    most = workspace.recipe.advise.curve_pairs if max_pairs is None else max_pairs
    if most < 2:
        raise InputError(f"max_pairs is {most}", hint="a batch needs 2 pairs or more; 600 is the default")
    ready_to_train(workspace)
    excluded = find_excluded(workspace)
    base = open_local(workspace, BASE)
    corpus = read_corpus(workspace, base.encoder)
    passage_emb, _ = embed_corpus(workspace, base.encoder, corpus, progress)
    examples = read_examples(workspace, base.encoder, corpus, passage_emb, excluded=excluded, progress=progress)
    dev = DevSample.read(workspace, corpus, excluded=excluded.query_ids)
    refuse_hopeless(workspace, base.encoder, num_examples=len(examples), num_dev_queries=len(dev.rows_A))
    query_emb_AD = embed_queries(workspace, base.encoder, dev.queries, progress)
    base_values_A = dev.values(query_emb_AD, passage_emb[dev.passages_P])
    sizes = sorted({max(2, round(share * min(most, len(examples)))) for share in shares})
    encoder = learner(workspace, base.encoder, examples, corpus.passages, progress=progress)
    trained = _train_all(workspace, encoder, examples, sizes, dev, corpus, progress=progress, clock=clock)
    expected = _forecasts(workspace, dev, base_values_A, trained, num_pairs=len(examples))
    points = _points(workspace, dev, base_values_A, trained)
    return LearningCurve(
        metric=str(DEV_MEASURE),
        num_queries=len(dev.rows_A),
        num_groups=len(set(dev.groups)) if dev.groups else None,
        num_documents=len(dev.documents_M),
        num_training_pairs=len(examples),
        points=points,
        forecast=expected[0],
        more_pairs=tuple(expected[1:]),
        notes=tuple(remarks(expected[0], measured=[(each.num_pairs, each.value) for each in points[1:]])),
        hours=round(_hours(workspace, trained[-1], corpus, dev, num_pairs=len(examples)), 4),
        method=_METHOD,
    )


def _train_all(
    workspace: Workspace,
    encoder: Encoder,
    examples: Sequence[Example],
    sizes: Sequence[int],
    dev: DevSample,
    corpus: Corpus,
    *,
    progress: Progress,
    clock: Callable[[], float],
) -> list[_Trained]:
    """Every size from each seed, the largest last; the weights change, so the encoder's id and cache mean nothing."""
    recipe = workspace.recipe
    start, trained = weights_of(encoder.model), []
    seeds = range(recipe.train.seed, recipe.train.seed + recipe.advise.curve_trainings)
    drawn = {seed: _in_drawn_order(examples, seed=seed) for seed in seeds}
    texts = [corpus.passages[row] for row in dev.passages_P]
    for size in sizes:
        for seed in seeds:
            began = clock()
            encoder.model.load_state_dict(start)
            _fit(workspace, encoder, drawn[seed][:size], seed=seed, progress=progress)
            between = clock()
            passage_emb_PD = _encoded(encoder, texts, progress)
            values_A = dev.values(encoder.encode_queries([query.text for query in dev.queries]), passage_emb_PD)
            found = _Trained(
                num_pairs=size, values_A=values_A, training_s=between - began, measuring_s=clock() - between
            )
            progress.say(f"{size} pairs: {DEV_MEASURE} on dev {values_A.mean():.3f}, {clock() - began:.0f} s")
            trained.append(found)
    return trained


def _in_drawn_order(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The examples by query, queries in an order drawn with the seed; so that the first few are a subset of more."""
    anchors = list(dict.fromkeys(text_key(example.anchor) for example in examples))
    random.Random(seed).shuffle(anchors)
    place = {anchor: number for number, anchor in enumerate(anchors)}
    return sorted(examples, key=lambda example: place[text_key(example.anchor)])


def _fit(workspace: Workspace, encoder: Encoder, examples: Sequence[Example], *, seed: int, progress: Progress) -> None:
    """Train one pass and keep its last weights: the step stands for dev. Raises RecipeError when it breaks down."""
    changes = {"seed": seed + 1, "evals_per_pass": 1, "checkpoint_steps": None}
    guide = guide_of(workspace, progress=progress)
    with tempfile.TemporaryDirectory(prefix="nearer-") as scratch:
        report = fit(
            encoder.model,
            examples,
            recipe=workspace.recipe.train.model_copy(update=changes),
            sides=sides_of(encoder, workspace.recipe.train, guide=guide),
            measure=lambda step: DevPoint(step=step, value=float(step)),
            checkpoints=Checkpoints(Path(scratch), start=None),
            progress=progress,
        )
    finite = all(weight.isfinite().all() for weight in encoder.model.state_dict().values())
    fault = report.fault or ("" if finite else "its weights are not numbers")
    if fault:
        raise RecipeError(
            f"training on {len(examples)} pairs broke down: {fault}",
            hint=f"lower train.learning_rate (it is {workspace.recipe.train.learning_rate:g})",
        )


def _encoded(encoder: Encoder, texts: Sequence[str], progress: Progress) -> Floats32:
    blocks = longest_first(texts)
    emb_PD = np.empty((len(texts), encoder.dimension), np.float32)
    for block in progress.track(blocks, label="encode for the learning curve", total=len(texts), size=len):
        emb_PD[block] = encoder.encode_documents([texts[row] for row in block])
    return emb_PD


def _forecasts(
    workspace: Workspace, dev: DevSample, base_values_A: Floats64, trained: Sequence[_Trained], *, num_pairs: int
) -> list[CurveForecast]:
    """With all the pairs, with twice and with four times as many."""
    recipe = workspace.recipe.evaluate
    return forecast(
        base_values_A,
        [each.values_A for each in trained],
        pairs_T=[each.num_pairs for each in trained],
        wanted_F=[num_pairs, 2 * num_pairs, 4 * num_pairs],
        groups_Q=dev.groups,
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )


def _points(
    workspace: Workspace, dev: DevSample, base_values_A: Floats64, trained: Sequence[_Trained]
) -> tuple[CurvePoint, ...]:
    """The base, as the point of no pairs, and the mean over the trainings of each size, with what was gained."""
    by_size: dict[int, list[_Trained]] = {}
    for each in trained:
        by_size.setdefault(each.num_pairs, []).append(each)
    means = [np.mean([each.values_A for each in found], axis=0) for found in by_size.values()]
    values_AC = np.stack([base_values_A, *means], axis=1)
    recipe = workspace.recipe.evaluate
    compare = partial(
        compare_all,
        groups_Q=dev.groups,
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    intervals = mean_intervals(values_AC, **compare.keywords)
    names = [str(DEV_MEASURE)] * values_AC.shape[1]
    gains = compare(np.tile(base_values_A[:, None], len(names)), values_AC, metrics=names)
    seconds = [0.0, *(sum(each.training_s + each.measuring_s for each in found) for found in by_size.values())]
    return tuple(
        CurvePoint(
            num_pairs=num_pairs,
            metric=gain.metric,
            **interval.to_dict(),
            gain=Interval(value=gain.difference, low=gain.low, high=gain.high),
            seconds=round(taken, 1),
        )
        for num_pairs, interval, gain, taken in zip((0, *by_size), intervals, gains, seconds, strict=True)
    )


def _hours(workspace: Workspace, largest: _Trained, corpus: Corpus, dev: DevSample, *, num_pairs: int) -> float:
    """What the recipe's training on all pairs is estimated to take on this machine.

    A pass with mined negatives trains on that many more documents a pair, encodes the corpus before, and every pass
    encodes what dev ranks. Documents are taken for all of the work, so that this is rather too long.
    """
    train, num_negatives = workspace.recipe.train, workspace.recipe.mining.num_negatives
    pass_s = largest.training_s / largest.num_pairs * num_pairs
    training_s = pass_s * (1 + (train.passes - 1) * (1 + num_negatives))
    passage_s = largest.measuring_s / max(1, len(dev.passages_P))
    measured = train.passes * (train.evals_per_pass + 1) * min(train.num_dev_distractors, len(corpus.passages))
    return (training_s + passage_s * (measured + (train.passes - 1) * len(corpus.passages))) / 3600
