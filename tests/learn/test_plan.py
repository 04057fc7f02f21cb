"""What of a training fits into a time, by made-up costs."""

import dataclasses
import math
from itertools import pairwise

import pytest

from nearer.core.results.training_plan import Costs
from nearer.core.sections import TrainRecipe
from nearer.learn.plan import NUM_STEPS, Work, lengths, make_plan

COSTS = Costs(encode_s=0.001, train_s=0.003, step_s=0.1)
"""A pair of 100 tokens takes 0.3 s, a step of ten of them 3.1 s."""
LONGEST = 128


def work(**changes):
    own = Work(
        num_pairs=1000,
        pair={length: 100 * length / LONGEST for length in lengths(LONGEST)},
        negatives={length: 100 * length / LONGEST for length in lengths(LONGEST)},
        mining=100_000.0,
        dev=50_000.0,
        least_dev=500.0,
        num_batches=lambda number, batch_size: math.ceil(number / batch_size),
        mines_before=lambda number: number > 1,
        map_mines=lambda number: False,
        first=1,
        longest=LONGEST,
    )
    return dataclasses.replace(own, **changes)


def plan(time_s, *, costs=COSTS, savings=None, recipe=None, **changes):
    values = {"batch_size": 10, "epochs": 2, "evals_per_pass": 1, **(recipe or {})}
    return make_plan(costs, work(**changes), recipe=TrainRecipe(**values), time_s=time_s, savings=savings)


def test_with_much_time_it_is_the_recipe():
    made = plan(100_000)
    assert (made.epochs, made.passes, made.num_pairs, made.savings) == (2, 2, 1000, {})
    assert (made.plain_step_s, made.mined_step_s) == (pytest.approx(3.1), pytest.approx(6.1))
    mining_s, dev_s = 100, 2 * 50
    assert made.estimate_s == pytest.approx(mining_s + dev_s + 200 * 3.1 + 200 * 6.1)
    assert made.reasons == ("all that the recipe asks for: an epoch of all 1000 pairs in all passes takes 920 s",)


def test_epochs_give_way_before_anything_is_left_out():
    made = plan(1600)
    assert 1 <= made.epochs < 2
    assert (made.passes, made.num_pairs, made.savings) == (2, 1000, {})
    assert made.reasons[0].startswith(f"{made.epochs:g} epochs a pass instead of 2")


def test_then_texts_are_read_to_half_and_after_that_a_pass_is_left_out():
    made = plan(780)
    assert (made.savings, made.num_pairs) == ({"train.max_seq_length": 64}, 1000)
    assert made.reasons[0].startswith("texts are read to 64 tokens in training, instead of 128: so 1000 pairs fit")
    made = plan(280)
    assert made.savings["train.passes"] == made.passes == 1
    assert made.savings["train.warm_start_epochs"] == 5
    assert "train.freeze_layers" not in made.savings


def test_a_map_is_not_learned_where_it_cannot_be_or_is_not_wanted():
    assert "train.warm_start_epochs" not in plan(280, can_map=False).savings
    assert "train.warm_start_epochs" not in plan(280, recipe={"warm_start_epochs": 0}).savings


def test_layers_are_frozen_where_no_pass_can_be_left_out():
    once = {"passes": 1, "max_seq_length": 64}
    made = plan(100, recipe=once, num_layers=6)
    assert made.savings == {"train.freeze_layers": 3}
    assert made.num_pairs > 1.25 * plan(100, recipe=once).num_pairs
    assert plan(100, recipe={**once, "lora_rank": 4}, num_layers=6).savings == {}


def test_bfloat16_comes_first_where_it_is_faster():
    faster = dataclasses.replace(COSTS, coarse_s=0.0012)
    assert plan(700, costs=faster).savings == {"train.precision": "bfloat16"}
    as_fast = dataclasses.replace(COSTS, coarse_s=0.003)
    assert "train.precision" not in plan(700, costs=as_fast).savings


def test_mining_that_takes_most_of_the_time_costs_a_pass():
    made = plan(1600, mining=1_000_000.0)
    assert made.passes == 1
    assert "1 pass instead of 2: mining takes 1e+03 s each time" in made.reasons
    judged = dataclasses.replace(COSTS, judging_s=1000.0)
    assert plan(1600, costs=judged).passes == 1


def test_what_a_map_mines_costs_its_steps_and_what_a_teacher_reads():
    mines = {"mines_before": lambda number: True, "map_mines": lambda number: number == 1}
    freely = plan(100_000, **mines)
    assert freely.estimate_s == pytest.approx(100 + 100 + 400 * 6.1)
    judged = plan(100_000, costs=dataclasses.replace(COSTS, judging_s=30.0), **mines)
    assert judged.estimate_s == pytest.approx(freely.estimate_s + 2 * 30)


def test_measuring_takes_a_sixth_at_most():
    for time_s in (30, 100, 300, 1000):
        made = plan(time_s)
        assert made.passes * made.dev_tokens * COSTS.encode_s <= time_s / 6


@pytest.mark.parametrize("time_s", [4, 6, 10, 15, 20, 30, 60])
def test_ten_steps_of_some_size_fit_in_little_time(time_s):
    made = plan(time_s, recipe={"batch_size": 64, "epochs": 1})
    assert made.num_pairs
    batch = made.savings.get("train.batch_size", 64)
    assert made.passes * math.ceil(made.num_pairs / batch) * made.epochs >= NUM_STEPS - 1
    assert made.estimate_s <= time_s


def test_few_pairs_are_no_reason_for_smaller_batches():
    made = plan(1000, recipe={"batch_size": 32, "epochs": 1}, num_pairs=21)
    assert (made.num_pairs, made.savings) == (21, {})


def test_no_time_is_no_pairs_and_what_would_do():
    made = plan(0.5)
    assert made.num_pairs == 0
    assert plan(1.01 * made.least_s).num_pairs > 0
    assert plan(0.5 * made.least_s).num_pairs == 0


def test_what_is_settled_stays():
    settled = {"train.passes": 1, "train.warm_start_epochs": 5}
    made = plan(1000, savings=settled, mines_before=lambda number: True, map_mines=lambda number: True)
    assert (made.savings, made.passes) == (settled, 1)


@pytest.mark.parametrize("first", [1, 2])
def test_the_estimate_fits_and_more_time_trains_no_less(first):
    times = range(5, 3000, 17)
    made = [plan(time_s, first=first) for time_s in times]
    for time_s, each in zip(times, made, strict=True):
        assert each.estimate_s <= time_s or not each.num_pairs
    for before, after in pairwise(made):
        if before.savings == after.savings and before.passes == after.passes:
            assert before.epochs * before.num_pairs <= after.epochs * after.num_pairs + 1e-9
