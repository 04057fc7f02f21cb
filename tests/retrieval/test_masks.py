"""A mask over columns says of every document what the filter says of it alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearer.core.filters import Comparison, Compound, matches
from nearer.retrieval.masks import columns_of, mask_of

FIELDS = {"year": "integer", "lang": "text", "free": "boolean", "price": "number"}
INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]))
FLOATS = st.one_of(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 2.0**53, 1e300, -1e300]), st.floats(-3, 3))
VALUES = {
    "year": INTEGERS,
    "lang": st.sampled_from(["", "a", "B", "é", "中", "a\0"]),
    "free": st.booleans(),
    "price": FLOATS,
}
ASKED = {**VALUES, "year": st.one_of(INTEGERS, FLOATS), "price": st.one_of(st.integers(-3, 3), FLOATS)}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | each for name, each in VALUES.items()}), max_size=12)


def comparisons(name):
    kinds = ["eq", "ne"] if name == "free" else ["eq", "ne", "gt", "gte", "lt", "lte"]
    one = st.builds(
        lambda kind, value: Comparison(type=kind, key=name, value=value), st.sampled_from(kinds), ASKED[name]
    )
    among = st.lists(ASKED[name], min_size=1, max_size=3).map(tuple)
    several = st.builds(
        lambda kind, value: Comparison(type=kind, key=name, value=value), st.sampled_from(["in", "nin"]), among
    )
    return one | several


FILTERS = st.recursive(
    st.sampled_from(sorted(FIELDS)).flatmap(comparisons),
    lambda inner: st.builds(
        lambda kind, filters: Compound(type=kind, filters=tuple(filters)),
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


@given(rows=ROWS, condition=FILTERS)
def test_a_mask_is_what_matches_says_of_each(rows, condition):
    columns = columns_of({name: [row[name] for row in rows] for name in FIELDS}, FIELDS)
    assert mask_of(condition, columns).tolist() == [matches(condition, row) for row in rows]


def test_an_integer_meets_a_float_exactly():
    columns = columns_of({"year": [2**53, 2**53 + 1]}, {"year": "integer"})
    more = Comparison(type="gt", key="year", value=2.0**53)
    assert np.array_equal(mask_of(more, columns), [False, True])
