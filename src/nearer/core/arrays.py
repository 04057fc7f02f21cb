"""The types of arrays, by what they hold."""

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
"""Vectors, and scores made of them."""
Floats64 = NDArray[np.float64]
"""Values that are averaged and compared."""
Floats = Floats32 | Floats64
Ints = NDArray[np.int64]
"""Row numbers, grades and counts."""
Bools = NDArray[np.bool_]
"""Which rows, or which queries and rows."""
