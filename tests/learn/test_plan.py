"""What of a training fits into a time."""

import dataclasses
import math
from itertools import pairwise

import pytest

from learn.test_fit import equal, examples, weights
from nearer.core.results.training import Pace
from nearer.core.sections import TrainRecipe
from nearer.learn.fit import Sides
from nearer.learn.objective import Objective
from nearer.learn.plan import make_plan
from nearer.learn.rehearse import NUM_STEPS, rehearse

PACE = Pace(plain_step_s=1.0, mined_step_s=2.0, dev_s=1.0, encoding_s=10.0)


def plan(time_s, *, pace=PACE, num_pairs=1000, num_batches=None, first=1, map_mines=(), **recipe):
    recipe = TrainRecipe(**{"batch_size": 10, "epochs": 3, **recipe})
    return make_plan(
        pace,
        recipe=recipe,
        num_pairs=num_pairs,
        num_batches=num_batches or (lambda number: math.ceil(number / 10)),
        time_s=time_s,
        first=first,
        mines_before=lambda number: recipe.mines_before(number) or number in map_mines,
        map_mines=lambda number: number in map_mines,
    )


def test_with_much_time_it_is_the_recipe():
    made = plan(10_000)
    assert (made.epochs, made.passes, made.num_pairs, made.evals_per_pass) == (3, 2, 1000, 4)
    assert made.estimate_s == 10 + 2 * 5 * 1 + 3 * 100 * (1 + 2)
    assert made.reasons == ("all that the recipe asks for: an epoch of all 1000 pairs in all passes takes 300 s",)


def test_epochs_are_what_gives_way_first():
    made = plan(500)  # 448 s to use, 20 of them for dev and mining: 1.42 epochs of 300 s
    assert (made.epochs, made.passes, made.num_pairs, made.evals_per_pass) == (1.42, 2, 1000, 4)
    assert made.reasons == ("1.42 epochs a pass instead of 3: an epoch of all 1000 pairs in all passes takes 300 s",)


def test_then_pairs_do():
    made = plan(200)
    assert (made.epochs, made.passes, made.num_pairs) == (1, 2, 520)
    assert made.reasons == ("520 of 1000 pairs: an epoch of all 1000 pairs in all passes takes 300 s",)
    assert plan(200, epochs=0.5).num_pairs == 1000, "half an epoch was asked for, and fits"


def test_mining_that_takes_most_of_the_time_costs_a_pass():
    slow = dataclasses.replace(PACE, encoding_s=400)
    made = plan(500, pace=slow)
    assert (made.passes, made.epochs, made.num_pairs) == (1, 3, 1000)
    assert made.reasons[0] == "1 pass instead of 2: mining takes 400 s each time"
    assert plan(500, pace=slow, first=2).passes == 1, "one pass is left, though it mines"


def test_what_a_map_mines_costs_its_steps_and_what_cross_encoders_read():
    freely = plan(10_000, map_mines=(1,))
    assert freely.estimate_s == 10 + 2 * 5 * 1 + 3 * 100 * (2 + 2)
    assert plan(10_000, map_mines=(1,), passes=1).estimate_s == 5 * 1 + 3 * 100 * 2
    judged = plan(10_000, map_mines=(1,), pace=dataclasses.replace(PACE, judging_s=30.0))
    assert judged.estimate_s == freely.estimate_s + 2 * 30


def test_dev_takes_little_of_the_time_but_is_measured_once():
    slow = dataclasses.replace(PACE, dev_s=20.0)
    made = plan(500, pace=slow)
    assert made.evals_per_pass == 1
    assert made.reasons[0] == "dev measurements a pass: 1 instead of 4, as each takes 20 s"
    less_slow = dataclasses.replace(PACE, dev_s=10.0)  # 430 s to use, 64.5 s of them for 6 measurements
    assert plan(500, pace=less_slow).evals_per_pass == 2


@pytest.mark.parametrize("first", [1, 2])
def test_the_estimate_fits_and_as_many_passes_train_no_less_with_more_time(first):
    made = [plan(time_s, first=first) for time_s in range(40, 2000, 7)]
    for time_s, each in zip(range(40, 2000, 7), made, strict=True):
        assert each.estimate_s <= time_s or each.num_pairs == 0
    for before, after in pairwise(made):
        if (before.passes, before.evals_per_pass) == (after.passes, after.evals_per_pass):
            assert before.epochs * before.num_pairs <= after.epochs * after.num_pairs


def test_batches_are_those_that_sources_make_of_so_many_pairs():
    twice = plan(10_000, num_batches=lambda number: math.ceil(2 * number / 10))
    assert twice.estimate_s == 10 + 2 * 5 * 1 + 3 * 200 * (1 + 2)
    apart = plan(200, num_batches=lambda number: math.ceil(0.7 * number / 10) + math.ceil(0.3 * number / 10))
    assert (apart.epochs, apart.num_pairs) == (1, 514), "36 batches of 359.8 pairs, and 16 of 154.2"
    assert apart.estimate_s == 10 + 2 * 5 * 1 + 52 * (1 + 2)


def test_no_time_is_no_pairs():
    assert plan(5).num_pairs == 0


def test_a_rehearsal_times_real_steps_and_leaves_no_trace(tiny_encoder, monkeypatch):
    now, forward, before = [0.0], Objective.__call__, weights(tiny_encoder.model)

    def slow(*args):
        now[0] += 100.0 if not now[0] else 3.0
        return forward(*args)

    monkeypatch.setattr(Objective, "__call__", slow)
    recipe = TrainRecipe(batch_size=8, learning_rate=1e-2)
    for data in (examples(64), examples(8)):
        now[0] = 0.0
        sides = Sides(query="", document="")
        assert rehearse(tiny_encoder.model, data, recipe=recipe, sides=sides, clock=lambda: now[0]) == 3.0
        assert now[0] == 100.0 + 3.0 * (NUM_STEPS - 1), "the first, slow one does not count"
    assert equal(weights(tiny_encoder.model), before)
