from collections import Counter
from random import Random

import pytest

from nearer.signals.explore import explore


@pytest.mark.parametrize(("num_results", "share"), [(0, 1.0), (1, 1.0), (5, 0.0)])
def test_nothing_is_swapped_where_nothing_can_be(num_results, share):
    shown = explore(num_results, share=share, rng=Random(0))
    assert shown.order == tuple(range(num_results))
    assert shown.propensities == (1.0,) * num_results


def test_the_logged_propensities_are_those_of_the_draw():
    rng, share, num_results, draws = Random(0), 0.4, 5, 40_000
    stood, logged = Counter(), {}
    for _ in range(draws):
        shown = explore(num_results, share=share, rng=rng)
        assert sorted(shown.order) == list(range(num_results))
        for rank, (place, likely) in enumerate(zip(shown.order, shown.propensities, strict=True)):
            stood[place, rank] += 1
            assert logged.setdefault((place, rank), likely) == likely, "one chance a place"
    for key, likely in logged.items():
        assert stood[key] / draws == pytest.approx(likely, abs=0.01), key
    swapped = draws - sum(n for (place, rank), n in stood.items() if place == rank) / num_results
    assert stood.keys() == {(a, b) for a in range(5) for b in range(5) if abs(a - b) <= 1}
    assert swapped > 0
