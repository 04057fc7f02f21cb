"""What fine-tuning would bring, forecast from short trainings on few pairs; nothing of them is kept.

Arrays: A dev queries that are asked, P passages that they rank, D dimensions, C columns: the base, and each size.
"""

import math
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
from nearer.core.results.training_plan import Costs
from nearer.encode.blocks import longest_first
from nearer.encode.corpus import Corpus
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder, TextEncoder, local_reader
from nearer.evaluation.grades import scale_of
from nearer.evaluation.ready import ready_to_train
from nearer.learn.checkpoint import Checkpoints, weights_of
from nearer.learn.examples import Example, text_key
from nearer.learn.fit import fit
from nearer.measure.forecast import forecast, marginal_gain, remarks
from nearer.measure.significance import compare_all, mean_intervals
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_local
from nearer.training import dev_sample
from nearer.training.budget import PLANNING, measure_costs
from nearer.training.dev_sample import DevSample
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.dev_size import BACKWARD, SHARE, mean_tokens
from nearer.training.examples import find_excluded, read_examples
from nearer.training.feasible import refuse_hopeless
from nearer.training.query_side import learner, sides_of

SHARES = (0.25, 0.5, 1.0)
FEWEST_PAIRS, FEWEST_QUERIES = 50, 30
"""With fewer pairs, or dev queries, no curve tells a gain from chance. Our rule."""
_FEWEST_PASSAGES = 200
"""What a curve ranks at least. Our rule: with fewer every model is good."""
_MEASURING_S = 5.0
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
    time_s: float = math.inf,
    embedded: EmbeddedCorpus | None = None,
    num_bought: int | None = None,
) -> LearningCurve:
    """Train on ``shares`` of ``max_pairs`` pairs (``advise.curve_pairs`` by default), and forecast nDCG@10 with all.

    Where that takes longer than ``time_s`` seconds it is fewer pairs. ``embedded`` are the documents, where they are
    cut and encoded. ``num_bought`` pairs besides those there are have their marginal gain.

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
    embedded = embedded or EmbeddedCorpus.read(workspace, base.encoder, progress=progress)
    corpus = embedded.corpus
    examples = read_examples(embedded, excluded=excluded)
    sizes = _sizes(shares, min(most, len(examples)))
    expected_s = _Size.of(workspace, base.encoder, examples, corpus)
    if math.isfinite(time_s):
        costs = measure_costs(
            workspace, base.encoder, corpus.passages, num_judged=0, most_s=time_s * PLANNING, clock=clock
        )
        sizes = expected_s.within(sizes, shares, costs, time_s=(1 - PLANNING) * time_s)
    most_passages = expected_s.num_passages(sizes[-1])
    dev = DevSample.read(workspace, corpus, excluded=excluded.query_ids, most=most_passages)
    refuse_hopeless(workspace, base.encoder, num_examples=len(examples), num_dev_queries=len(dev.rows_A))
    base_values_A = dev.values(embedded.embed_queries(dev.queries), embedded.passage_emb_PD[dev.passages_P])
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
        marginal=_marginal(workspace, dev, base_values_A, trained, now=len(examples), num_bought=num_bought),
    )


def refuse_what_cannot_tell(workspace: Workspace) -> None:
    """Raise InputError where there are too few pairs or dev queries to tell what training gains."""
    collection, scale = workspace.collection, scale_of(workspace)
    positives = [each for each in collection.judgments("train") if each.grade >= scale.positive_from]
    num_pairs = len(positives) + collection.counts()["pairs"]
    num_dev = len({each.query_id for each in collection.judgments("dev") if each.grade >= scale.relevant_from})
    if num_pairs < FEWEST_PAIRS or num_dev < FEWEST_QUERIES:
        raise InputError(
            f"{num_pairs} training pairs and {num_dev} dev queries cannot tell what training gains: it takes "
            f"{FEWEST_PAIRS} pairs and {FEWEST_QUERIES} dev queries",
            hint="import more judgments: nearer add judgments FILE",
        )


def curve_seconds(
    workspace: Workspace, encoder: TextEncoder, corpus: Corpus, *, full: bool, clock: Callable[[], float]
) -> float:
    """What the learning curve is expected to take, by the cost of a token; 0 where there is none."""
    collection = workspace.collection
    texts = {query.query_id: query.text for query in collection.queries("train")}
    positive_from = scale_of(workspace).positive_from
    anchors = [texts[j.query_id] for j in collection.judgments("train") if j.grade >= positive_from]
    anchors += [pair.query for pair in collection.pairs()]
    reader = local_reader(encoder, "documents")
    if len(anchors) < FEWEST_PAIRS or reader is None:
        return 0.0
    most = len(anchors) if full else min(len(anchors), workspace.recipe.advise.curve_pairs)
    examples = [Example(anchor=text, positive=corpus.passages[0]) for text in anchors[:most]]
    costs = measure_costs(workspace, reader, corpus.passages, num_judged=0, most_s=_MEASURING_S, clock=clock)
    return _Size.of(workspace, reader, examples, corpus).seconds(_sizes(SHARES, most), costs)


def _sizes(shares: Sequence[float], most: int) -> list[int]:
    """The numbers of pairs that are trained on."""
    return sorted({max(2, round(share * most)) for share in shares})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """The tokens of a curve: of a pair and of a passage, as means."""

    pair: float
    passage: float
    batch_size: int
    most_passages: int

    @classmethod
    def of(cls, workspace: Workspace, encoder: TextEncoder, examples: Sequence[Example], corpus: Corpus) -> "_Size":
        recipe = workspace.recipe
        passage = mean_tokens(encoder, corpus.passages)
        anchor = mean_tokens(encoder, [each.anchor for each in examples], longest=recipe.train.max_seq_length)
        return cls(
            pair=anchor + min(passage, recipe.train.max_seq_length or passage),
            passage=passage,
            batch_size=recipe.train.batch_size,
            most_passages=min(dev_sample.MOST_PASSAGES, len(corpus.passages)),
        )

    def num_passages(self, largest: int) -> int:
        """As many as the largest training is worth: encoding them takes a fifth of its work, and tells something."""
        fitting = int(SHARE * BACKWARD * largest * self.pair / max(1.0, self.passage))
        return min(self.most_passages, max(_FEWEST_PASSAGES, fitting))

    def seconds(self, sizes: Sequence[int], costs: Costs) -> float:
        """What trainings of these sizes take, and measuring them."""
        token_s = costs.train_s + costs.step_s / (self.batch_size * self.pair)
        measured = len(sizes) * self.num_passages(sizes[-1]) * self.passage * costs.encode_s
        return sum(sizes) * self.pair * token_s + measured

    def within(self, sizes: list[int], shares: Sequence[float], costs: Costs, *, time_s: float) -> list[int]:
        """These sizes, or smaller ones of these shares that take no longer. Raises InputError when none is enough."""
        while self.seconds(sizes, costs) > time_s:
            if sizes[-1] // 2 < FEWEST_PAIRS:
                took = f"the learning curve takes {self.seconds(sizes, costs):.0f} s for {sizes[-1]} pairs"
                raise InputError(f"{took}, and {time_s:.0f} s are left", hint="give it more time")
            sizes = _sizes(shares, sizes[-1] // 2)
        return sizes


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
    """Every size, the largest last; the weights change, so the encoder's id and cache mean nothing."""
    start, trained = weights_of(encoder.model), []
    drawn = _in_drawn_order(examples, seed=workspace.recipe.train.seed)
    texts = [corpus.passages[row] for row in dev.passages_P]
    for size in sizes:
        began = clock()
        encoder.model.load_state_dict(start)
        _fit(workspace, encoder, drawn[:size], progress=progress)
        between = clock()
        passage_emb_PD = _encoded(encoder, texts, progress)
        values_A = dev.values(encoder.encode_queries([query.text for query in dev.queries]), passage_emb_PD)
        found = _Trained(num_pairs=size, values_A=values_A, training_s=between - began, measuring_s=clock() - between)
        over = f"{len(dev.rows_A)} dev queries over {len(dev.documents_M):,} documents"
        progress.say(f"{size} pairs: {DEV_MEASURE} {values_A.mean():.3f} of {over}, {clock() - began:.0f} s")
        trained.append(found)
    return trained


def _in_drawn_order(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The examples by query, queries in an order drawn with the seed; so that the first few are a subset of more."""
    anchors = list(dict.fromkeys(text_key(example.anchor) for example in examples))
    random.Random(seed).shuffle(anchors)
    place = {anchor: number for number, anchor in enumerate(anchors)}
    return sorted(examples, key=lambda example: place[text_key(example.anchor)])


def _fit(workspace: Workspace, encoder: Encoder, examples: Sequence[Example], *, progress: Progress) -> None:
    """Train one pass and keep its last weights: the step stands for dev. Raises RecipeError when it breaks down."""
    changes = {"seed": workspace.recipe.train.seed + 1, "evals_per_pass": 1, "checkpoint_steps": None}
    with tempfile.TemporaryDirectory(prefix="nearer-") as scratch:
        report = fit(
            encoder.model,
            examples,
            recipe=workspace.recipe.train.model_copy(update=changes),
            sides=sides_of(encoder, workspace.recipe.train),
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


def _marginal(
    workspace: Workspace,
    dev: DevSample,
    base_values_A: Floats64,
    trained: Sequence[_Trained],
    *,
    now: int,
    num_bought: int | None,
) -> Interval | None:
    if num_bought is None:
        return None
    recipe = workspace.recipe.evaluate
    return marginal_gain(
        base_values_A,
        [each.values_A for each in trained],
        pairs_T=[each.num_pairs for each in trained],
        span=(now, now + num_bought),
        groups_Q=dev.groups,
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )


def _points(
    workspace: Workspace, dev: DevSample, base_values_A: Floats64, trained: Sequence[_Trained]
) -> tuple[CurvePoint, ...]:
    """The base, as the point of no pairs, and the training of each size, with what was gained."""
    values_AC = np.stack([base_values_A, *(each.values_A for each in trained)], axis=1)
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
    sizes = [0, *(each.num_pairs for each in trained)]
    seconds = [0.0, *(each.training_s + each.measuring_s for each in trained)]
    return tuple(
        CurvePoint(
            num_pairs=num_pairs,
            metric=gain.metric,
            **interval.to_dict(),
            gain=Interval(value=gain.difference, low=gain.low, high=gain.high),
            seconds=round(taken, 1),
        )
        for num_pairs, interval, gain, taken in zip(sizes, intervals, gains, seconds, strict=True)
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
    measured = train.passes * train.most_evals * min(train.most_dev_distractors, len(corpus.passages))
    return (training_s + passage_s * (measured + (train.passes - 1) * len(corpus.passages))) / 3600
