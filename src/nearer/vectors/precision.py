"""The precisions that a vector may be stored in, and their bytes."""

import math

from nearer.core.errors import InputError

PRECISIONS = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}
"""Bits a dimension."""


def vector_bytes(dims: int, precision: str) -> int:
    """The bytes of one vector; bits are packed, and the last byte is filled up.

    Raises InputError for dimensions below 1 and a precision that is none.

    >>> vector_bytes(384, "float32"), vector_bytes(384, "int8"), vector_bytes(100, "binary")
    (1536, 384, 13)
    """
    if dims < 1:
        raise InputError(f"a vector has at least 1 dimension, not {dims}", hint="for example: --dims 384,1024")
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise InputError(f"no precision is called {precision!r}", hint=f"the names are: {known}")
    return math.ceil(dims * PRECISIONS[precision] / 8)
