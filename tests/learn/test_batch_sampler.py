"""Which examples come in which batch: as often as their source weighs, apart or mixed, easy ones first."""

import math
from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from nearer.core.sections import TrainRecipe
from nearer.learn.batch_sampler import BatchOrder, BatchSampler, sources_of
from nearer.learn.examples import Example


def examples(*sources):
    return [Example(anchor=f"a{row}", positive=f"p{row}", source=source) for row, source in enumerate(sources)]


def order_of(sources, **recipe):
    return BatchOrder.of(examples(*sources), TrainRecipe(**{"batch_size": 4, **recipe}))


@st.composite
def orders(draw):
    """An order, the source of each example, and the weights."""
    names = draw(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=60))
    weights = draw(st.dictionaries(st.sampled_from(["unnamed", "a", "b"]), st.floats(0, 4), max_size=3))
    options = {"batches": draw(st.sampled_from(["mixed", "single"])), "batch_size": draw(st.integers(1, 9))}
    options["seed"] = draw(st.integers(0, 99))
    return order_of(names, source_weights=weights, **options), names, weights


def drawn(order, epoch=0):
    return Counter(row for rows in order.batches(epoch) for row in rows)


@given(orders(), st.integers(0, 3))
def test_every_epoch_has_each_example_as_often_as_its_source_weighs(made, epoch):
    order, names, weights = made
    times = drawn(order, epoch)
    for name in set(names):
        rows = [row for row, own in enumerate(names) if own == name]
        weight = weights.get(name or "unnamed", 1.0)
        total = sum(times[row] for row in rows)
        assert total == max(math.floor(weight * len(rows) + 0.5), 1 if weight else 0)
        spread = {times[row] for row in rows}
        assert max(spread) - min(spread) <= 1, "no example of a source comes twice before another comes once"


@given(orders(), st.integers(0, 3))
def test_batches_are_full_but_for_the_last_and_as_many_as_was_said(made, epoch):
    order, names, _ = made
    batches = order.batches(epoch)
    assert len(batches) == order.num_batches == len(BatchSampler(order))
    kinds = [tuple(sorted({names[row] for row in rows})) if not order.is_mixed else () for rows in batches]
    assert all(len(kind) <= 1 for kind in kinds), "no batch of two sources"
    smaller = Counter(kind for kind, rows in zip(kinds, batches, strict=True) if len(rows) != order.batch_size)
    assert all(number == 1 for number in smaller.values())
    assert all(0 < len(rows) <= order.batch_size for rows in batches)


@given(orders())
def test_batches_are_a_function_of_seed_and_epoch_alone(made):
    order, *_ = made
    sampler = BatchSampler(order)
    before = [order.batches(epoch) for epoch in range(3)]
    torch.manual_seed(order.seed + 7)
    for epoch in (2, 0, 1):
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler) == before[epoch]


def test_without_wishes_the_order_is_that_of_the_trainer_of_transformers():
    order = order_of(["b", "", "a"] * 7, seed=5)
    for epoch in (0, 1):
        rows = torch.randperm(21, generator=torch.Generator().manual_seed(5 + epoch)).tolist()
        assert order.batches(epoch) == [rows[first : first + 4] for first in range(0, 21, 4)]


def test_another_half_in_another_epoch():
    order = order_of(["a"] * 20, source_weights={"a": 0.5})
    halves = [frozenset(drawn(order, epoch)) for epoch in range(4)]
    assert len(set(halves)) == 4
    assert all(len(half) == 10 for half in halves)


def test_sources_mix_or_do_not_and_come_in_random_order():
    names = ["a"] * 40 + ["b"] * 40
    mixed, single = order_of(names), order_of(names, batches="single")
    assert sum(len({names[row] for row in rows}) == 2 for rows in mixed.batches(0)) > 10
    kinds = ["".join(names[rows[0]] for rows in single.batches(epoch)) for epoch in (0, 1)]
    assert sorted(kinds[0]) == sorted(kinds[1]) == ["a"] * 10 + ["b"] * 10
    assert kinds[0] != kinds[1]
    assert "ab" in kinds[0]
    assert "ba" in kinds[0]


def test_one_source_alone_is_no_other_order_whatever_batches_there_may_be():
    assert order_of(["a"] * 21, batches="single").batches(1) == order_of(["a"] * 21).batches(1)


def test_a_few_batches_stand_for_an_epoch_from_its_beginning_to_its_end():
    order = order_of([""] * 200)
    shown = order.some_batches()
    assert len(shown) == 8
    assert (shown[0], shown[-1]) == (order.batches(0)[0], order.batches(0)[-1])
    assert order_of([""] * 3).some_batches() == order_of([""] * 3).batches(0)


def test_no_examples_make_no_batches():
    assert (order_of([]).num_batches, order_of([]).batches(0)) == (0, [])


def test_sources_are_reported_by_name_with_what_an_epoch_draws():
    found = sources_of(examples("b", "", "b", "unnamed", "b"), {"b": 0.5})
    assert [source.described.to_dict() for source in found] == [
        {"source": "b", "num_pairs": 3, "weight": 0.5, "num_drawn": 2},
        {"source": "unnamed", "num_pairs": 2, "weight": 1.0, "num_drawn": 2},
    ]


def test_a_source_that_weighs_little_is_drawn_from_all_the_same():
    assert sum(drawn(order_of(["a", *"b" * 9], source_weights={"a": 0.01})).values()) == 10
