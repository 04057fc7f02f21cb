"""Users with a stated model: which documents of a list they click on, and what they ask for as time goes on.

Arrays: R ranks from the top, Q queries.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nearer.core.arrays import Bools, Floats64

UserModel = Literal["position", "cascade", "trust"]
USER_MODELS: tuple[UserModel, ...] = get_args(UserModel)

_TRUST = 0.3
"""How likely a document is clicked only because it stands first. Our choice, of the size of Agarwal et al., table 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """How users behave.

    position: they look at rank k with a chance of 1/k, and click on what attracts them. cascade: they read from the top
    and stop at the first click. trust: as position, and what stands high is clicked although it does not attract.
    ``noise`` is the chance that a document of grade 0 attracts; with ``drift`` 1 the last users ask for other queries
    than the first.

    Source: Craswell et al. (WSDM 2008), position and cascade; Agarwal et al., Addressing Trust Bias (WWW 2019).
    """

    model: UserModel = "position"
    noise: float = 0.1
    drift: float = 0.0


def attraction_of(grade: float, *, max_grade: int, noise: float) -> float:
    """How likely a document of a grade attracts who looks at it.

    Source: Chapelle et al., Expected Reciprocal Rank (CIKM 2009), the gain of a grade.

    >>> [round(attraction_of(grade, max_grade=2, noise=0.1), 2) for grade in (0, 1, 2)]
    [0.1, 0.4, 1.0]
    """
    return noise + (1 - noise) * (math.pow(2, grade) - 1) / (math.pow(2, max_grade) - 1)


def clicks_of(users: Users, attract_R: Floats64, rng: np.random.Generator) -> Bools:
    """The clicks of one user on one list, shape (R,)."""
    ranks_R, drawn_R = np.arange(1, len(attract_R) + 1), rng.random(len(attract_R))
    if users.model == "cascade":
        wanted_R: Bools = drawn_R < attract_R
        first_R: Bools = wanted_R & (np.cumsum(wanted_R) == 1)
        return first_R
    if users.model == "trust":
        attract_R = attract_R + (1 - attract_R) * _TRUST / ranks_R
    clicked_R: Bools = drawn_R < attract_R / ranks_R
    return clicked_R


def asked_queries(users: Users, *, num_queries: int, num_sessions: int, rng: np.random.Generator) -> list[int]:
    """The query of each session: few are asked often, and which changes over time by ``drift``."""
    often_Q = 1 / np.arange(1, num_queries + 1)
    first_Q, last_Q = (often_Q[rng.permutation(num_queries)] for _ in range(2))
    found = []
    for number in range(num_sessions):
        share = users.drift * number / max(1, num_sessions - 1)
        weight_Q = (1 - share) * first_Q + share * last_Q
        found.append(int(np.searchsorted(np.cumsum(weight_Q), rng.random() * weight_Q.sum(), side="right")))
    return [min(each, num_queries - 1) for each in found]
