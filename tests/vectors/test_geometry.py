import math

import numpy as np
import pytest

from nearer.vectors.geometry import effective_rank

RANDOM = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def test_the_effective_rank_is_exact_where_it_is_known():
    assert effective_rank(np.eye(7)) == pytest.approx(7)
    assert effective_rank(np.tile(RANDOM[0], (20, 1))) == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.zeros((3, 2))) == 0
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 0.0]])) == pytest.approx(math.exp(entropy))


def test_the_effective_rank_neither_knows_scale_nor_rotation_and_falls_with_directions_lost():
    turned, _ = np.linalg.qr(RANDOM[:8])
    whole = effective_rank(RANDOM)
    assert 1 < whole <= 8
    assert effective_rank(5 * RANDOM @ turned) == pytest.approx(whole, rel=1e-6)
    flat = RANDOM.copy()
    flat[:, 3:] = 0
    assert effective_rank(flat) <= 3 < whole
