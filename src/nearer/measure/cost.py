"""What vectors cost on paper: bytes, hours of encoding, and how dear a search is beside another.

Bytes are decimal: 1 GB is 10^9 bytes.
"""

import math
import re
from dataclasses import dataclass

from nearer.core.errors import InputError
from nearer.vectors.precision import vector_bytes

HNSW_LINKS = 32
"""Links a vector has on each layer of the graph (M), twice as many on the lowest. Source: the default of FAISS."""
LINK_BYTES = 4
ID_BYTES = 8
"""What an inverted file keeps beside each vector. Source: FAISS wiki, Guidelines to choose an index."""
LISTS_PER_ROOT = 4
"""Inverted lists are this many times the root of the number of vectors. Source: the same page, which says 4 to 16."""

_HOUR_S = 3600
_COUNT = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)([kmb]?)", re.IGNORECASE | re.ASCII)
_SUFFIXES = {"": 0, "k": 3, "m": 6, "b": 9}
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSize:
    """The bytes of a set of vectors: alone, and as an index that holds them (``index_bytes``, by kind)."""

    dims: int
    precision: str
    raw_bytes: int
    index_bytes: dict[str, int]


def parse_count(text: str) -> int:
    """A number of things as people write it: underscores between digits, and k, M or B for 10^3, 10^6 or 10^9.

    Raises InputError for anything else, for fractions of a thing, and for 0.

    >>> parse_count("100_000_000"), parse_count("1.5B"), parse_count("10k")
    (100000000, 1500000000, 10000)
    """
    hint = "write for example 100_000_000, 100M, 1.5B or 10k"
    found = _COUNT.fullmatch(text.strip())
    if not found or len(found[1]) > _MOST_DIGITS:
        raise InputError(f"{text!r} is not a number of things", hint=hint)
    whole, _, fraction = found[1].replace("_", "").partition(".")
    places = _SUFFIXES[found[2].lower()]
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        raise InputError(f"{text!r} is not a whole number", hint=hint)
    count = int(whole + fraction + "0" * (places - len(fraction)))
    if count == 0:
        raise InputError(f"{text!r} is none at all", hint=hint)
    return count


def size(num_vectors: int, *, dims: int, precision: str) -> CorpusSize:
    """The bytes of ``num_vectors`` vectors, alone and in two kinds of index over vectors of that precision.

    ``ivf`` adds an id a vector and float32 centroids of its lists, ``hnsw`` the links of its graph. Texts, metadata
    and the float32 vectors that quantised ones are often rescored with come on top.

    Source: ivf: FAISS wiki, Guidelines to choose an index; hnsw: Malkov and Yashunin, Efficient and Robust Approximate
    Nearest Neighbor Search Using Hierarchical Navigable Small World Graphs (2018), section 4.2.3, with M = 32 and 4
    bytes a link, 293 bytes a vector (274 were measured with FAISS 1.15 on 100,000 vectors).

    >>> size(100_000_000, dims=384, precision="float32").raw_bytes
    153600000000
    """
    if num_vectors < 1:
        raise InputError(f"{num_vectors} vectors cost nothing", hint="for example: --documents 100M")
    raw_bytes = num_vectors * vector_bytes(dims, precision)
    num_lists = math.ceil(LISTS_PER_ROOT * math.sqrt(num_vectors))
    links_a_vector = 2 * HNSW_LINKS + HNSW_LINKS / math.log(HNSW_LINKS)
    return CorpusSize(
        dims=dims,
        precision=precision,
        raw_bytes=raw_bytes,
        index_bytes={
            "ivf": raw_bytes + num_vectors * ID_BYTES + num_lists * vector_bytes(dims, "float32"),
            "hnsw": raw_bytes + round(num_vectors * links_a_vector * LINK_BYTES),
        },
    )


def encoding_hours(num_documents: int, *, documents_per_second: float) -> float:
    """How long one machine encodes all documents.

    Raises InputError for a rate that is not a positive finite number.

    >>> round(encoding_hours(100_000_000, documents_per_second=1000), 1)
    27.8
    """
    if not (math.isfinite(documents_per_second) and documents_per_second > 0):
        raise InputError(
            f"{documents_per_second} documents a second encode nothing",
            hint="for example: --documents-per-second 500",
        )
    return num_documents / documents_per_second / _HOUR_S


def encoding_work(dims: int, *, measured_dims: int) -> float:
    """How many times the measured model's work a model of ``dims`` dimensions does at least, for the same text.

    A transformer has 12 x layers x width^2 weights and works in proportion to them; at the same number of layers that
    grows with the square of the width. Wider models mostly have more layers too, so it is a lower bound. Fewer
    dimensions are cut from the same vectors and save nothing.

    Source: Kaplan et al., Scaling Laws for Neural Language Models (2020), section 2.1.

    >>> encoding_work(768, measured_dims=384), encoding_work(128, measured_dims=384)
    (4.0, 1.0)
    """
    return max(1.0, (dims / measured_dims) ** 2)


def relative_search_cost(dims: int, precision: str, *, baseline: tuple[int, str]) -> float:
    """The bytes that comparing a query with one vector reads, as a multiple of those of ``baseline``.

    Search in memory waits for memory, so time follows bytes, for a scan and for each step of a graph alike. Rescoring
    and overheads make the gain smaller: with 1/4 and 1/32 of the bytes, 3.7 and 25 times the speed were measured.

    Source: Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024, Hugging Face blog).

    >>> relative_search_cost(3072, "float32", baseline=(384, "float32"))
    8.0
    """
    return vector_bytes(dims, precision) / vector_bytes(*baseline)
