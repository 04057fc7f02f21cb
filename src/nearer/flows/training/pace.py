"""How fast this model trains on this data on this machine, and what of a training fits into a time because of it."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from nearer.core.errors import RecipeError
from nearer.core.ids import canonical_json
from nearer.flows.systems.reranker import open_reranker
from nearer.flows.training.course import Course
from nearer.flows.training.mining import NUM_JUDGED
from nearer.learn.examples import Example, limit
from nearer.learn.lower_layers import layers_of
from nearer.learn.order import Order
from nearer.learn.plan import Pace, Plan, make_plan
from nearer.learn.rehearse import NUM_STEPS, rehearse

T = TypeVar("T")

_NUM_ENCODED, _NUM_READ = 128, 32
_WORTH = 1.1
"""Times as many pairs that a saving must make room for. Our rule: timings of a few steps are not exact."""
_LINEAR_EPOCHS = 5
"""Of the map that takes the place of passes there is no time for. Our rule, by dev (ADR 15): they take seconds."""
_FEWEST_TOKENS = 64
"""What training goes down to by itself. Our rule, from `settings` of benchmarks/training.py."""


def planned(
    course: Course, *, number: int, longest: float, clock: Callable[[], float]
) -> tuple[Course, dict[str, Any]]:
    """The training that ``number`` times fits into its time, begun, and how that was chosen, which the run keeps.

    ``longest`` are the most epochs. What an earlier process of the run chose stays chosen. Raises RecipeError when the
    time is too short.
    """
    kept = course.run.budget()
    if kept is not None:
        course = course.under({"train.linear_epochs": kept["plan"]["linear_epochs"]}).begin()
    else:
        course, plan, pace = _choose(course.under({"train.epochs": longest}), number=number, clock=clock)
        chosen = {"left_s": course.deadline.left_s, "plan": asdict(plan), "pace": asdict(pace)}
        course.run.keep_budget(kept := json.loads(canonical_json(chosen)))
    plan = Plan(**{**kept["plan"], "reasons": tuple(kept["plan"]["reasons"])})
    if plan.num_pairs < min(course.workspace.recipe.train.batch_size, len(course.examples)):
        course.run.remove()
        raise RecipeError(
            "the time is too short to train: of what is left after reading and encoding, not one batch fits; "
            f"a dev measurement takes {kept['pace']['dev_s']:.3g} s, a step {kept['pace']['plain_step_s']:.3g} s",
            hint="give it more time, as in --budget 20m; vectors that were encoded are kept",
        )
    for reason in plan.reasons:
        course.progress.say(f"the time decides: {reason}")
    course.progress.say(f"expects to train for {plan.estimate_s:.0f} s" + (" each time" if number > 1 else ""))
    return course.planned(plan), {"plan": kept["plan"], "pace": kept["pace"]}


def _choose(course: Course, *, number: int, clock: Callable[[], float]) -> tuple[Course, Plan, Pace]:
    """The course, begun, and its plan; with what saves time where more pairs fit by it. Trying that takes time too.

    Where the recipe does not say whether it begins with a linear map, it does where a pass is left out.
    """
    recipe = course.workspace.recipe.train
    has_begun = recipe.linear_epochs is not None
    course = course.begin() if has_begun else course
    pace, whys = measured(course, clock=clock), list[str]()
    plan = _plan(course, pace, number=number)
    if not has_begun and plan.passes < recipe.passes:
        course, has_begun = _mapped(course), True
        plan = _plan(course, pace, number=number)
    for why, settings in _savings(course):
        if plan.num_pairs == len(course.examples):
            break
        if not has_begun and "train.passes" in settings:
            course, has_begun = _mapped(course), True
        cheaper = course.under(settings)
        try:
            its_pace = _cheaper(pace, course, cheaper, clock=clock)
        except RecipeError:  # layers that cannot be passed by, for example
            continue
        plan, faster = _plan(course, pace, number=number), _plan(cheaper, its_pace, number=number)
        if faster.num_pairs > _WORTH * plan.num_pairs:
            whys.append(f"{why}: so {faster.num_pairs} pairs fit, instead of {plan.num_pairs}")
            course, pace, plan = cheaper, its_pace, faster
    course = course if has_begun else course.begin()
    return course, replace(plan, reasons=(*whys, *plan.reasons)), pace


def _mapped(course: Course) -> Course:
    """The course, begun with a linear map, if dev keeps it."""
    return course.under({"train.linear_epochs": _LINEAR_EPOCHS}).begin()


def _cheaper(pace: Pace, course: Course, cheaper: Course, *, clock: Callable[[], float]) -> Pace:
    """The pace with steps as they are under what saves time, which the number of passes leaves as they were."""
    if course.workspace.recipe.train.passes != cheaper.workspace.recipe.train.passes:
        return pace
    own = pace.mined_step_s if course.mines else pace.plain_step_s
    share = _step(cheaper, mined=course.mines, clock=clock) / own
    return replace(pace, plain_step_s=share * pace.plain_step_s, mined_step_s=share * pace.mined_step_s)


def _savings(course: Course) -> Iterator[tuple[str, dict[str, int]]]:
    """What saves time, the least harmful first: half of the tokens, one pass alone, the upper layers alone."""
    recipe, encoder = course.workspace.recipe.train, course.encoder
    longest = recipe.max_seq_length or encoder.settings.max_seq_length
    if longest // 2 >= _FEWEST_TOKENS:
        why = f"texts are read to {longest // 2} tokens in training, instead of {longest}"
        yield why, {"train.max_seq_length": longest // 2}
    if recipe.passes > 1:
        yield f"one pass is trained instead of {recipe.passes}", {"train.passes": 1}
    transformer = encoder.model.transformers_model
    half = len(layers_of(transformer)) // 2 if transformer is not None else 0
    if half > recipe.freeze_layers and not recipe.lora_rank:
        yield f"the lowest {half} layers stay as they are", {"train.freeze_layers": half}


def _plan(course: Course, pace: Pace, *, number: int) -> Plan:
    recipe = course.workspace.recipe.train

    def num_batches(num_pairs: int) -> int:
        return Order.of(limit(course.examples, max_pairs=num_pairs, seed=recipe.seed), recipe).num_batches

    return make_plan(
        pace,
        recipe=recipe,
        num_pairs=len(course.examples),
        num_batches=num_batches,
        time_s=course.deadline.left_s / number,
        first=course.first,
        mines_before=course.mines_before,
        mines_free=course.mines_free,
    )


def measured(course: Course, *, clock: Callable[[], float]) -> Pace:
    """Time one dev measurement, some texts of those that mining encodes or has judged, and a few steps of each kind.

    A curriculum encodes hardly more than mining does, and less where nothing was mined. What a guide encodes is left
    out: it goes through the cache.
    """
    began = clock()
    course.watch.point(course.encoder, 0)
    dev_s = clock() - began
    mines, has_curriculum = course.mines, course.workspace.recipe.train.curriculum != "none"
    encoding_s = _encoding_s(course, clock=clock) if mines or has_curriculum else 0.0
    plain_step_s = _step(course, mined=False, clock=clock)
    return Pace(
        plain_step_s=plain_step_s,
        mined_step_s=_step(course, mined=True, clock=clock) if mines else plain_step_s,
        dev_s=dev_s,
        mining_s=encoding_s + _judging_s(course, clock=clock) if mines else 0.0,
        hardness_s=encoding_s if has_curriculum else 0.0,
    )


def _encoding_s(course: Course, *, clock: Callable[[], float]) -> float:
    """What encoding everything that mining looks at is expected to take."""
    documents = sorted({*course.corpus.passages, *(each.positive for each in course.examples)})
    anchors = sorted({each.anchor for each in course.examples})
    rng, total_s = random.Random(course.workspace.recipe.train.seed), 0.0
    for encode, texts in ((course.encoder.encode_documents, documents), (course.encoder.encode_queries, anchors)):
        sample = rng.sample(texts, min(_NUM_ENCODED, len(texts)))
        total_s += _timed(encode, sample, number=len(texts), clock=clock)
    return total_s


def _judging_s(course: Course, *, clock: Callable[[], float]) -> float:
    """What the recipe's cross-encoders are expected to take for what one mining draws."""
    mining, examples = course.workspace.recipe.mining, course.examples
    asked = (
        (mining.reranker, len(examples) * (1 + mining.num_drawn)),
        (mining.judge, 2 * min(NUM_JUDGED, len(examples))),
    )
    sample = [(each.anchor, each.positive) for each in examples[:_NUM_READ]]
    return sum(
        _timed(open_reranker(course.workspace, name).scores, sample, number=number, clock=clock)
        for name, number in asked
        if name is not None
    )


def _timed(work: Callable[[list[T]], Any], sample: list[T], *, number: int, clock: Callable[[], float]) -> float:
    """What so many are expected to take, by what the sample takes."""
    began = clock()
    work(sample)
    return (clock() - began) / len(sample) * number


def _step(course: Course, *, mined: bool, clock: Callable[[], float]) -> float:
    """Seconds of a step on what an epoch draws, with mined negatives, for which random passages stand, or without."""
    recipe = course.workspace.recipe
    rng = random.Random(recipe.train.seed)
    drawn = [course.examples[row] for rows in Order.of(course.examples, recipe.train).batches(0) for row in rows]
    number = min(recipe.mining.num_negatives, len(course.corpus.passages)) if mined else 0
    sample = [
        _with(example, rng.sample(course.corpus.passages, number))
        for example in drawn[: NUM_STEPS * recipe.train.batch_size]
    ]
    return rehearse(course.encoder.model, sample, recipe=recipe.train, sides=course.sides, clock=clock)


def _with(example: Example, negatives: Sequence[str]) -> Example:
    return replace(example, negatives=(*example.negatives, *negatives))
