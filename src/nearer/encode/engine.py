"""What encodes texts that are not in the cache: this process, or the machines of a cluster.

Arrays: B texts of a block, D dimensions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.encode.encoder import Encoder, Side

LOCAL, RAY = ENGINES = ("local", "ray")

Engine = Callable[[Encoder, Side, Sequence[Sequence[str]]], Iterator[tuple[int, Floats32]]]
"""Encodes blocks of texts: the number of each and its vectors, shape (B, D), in the order in which they are done."""

_ENGINE: ContextVar[Engine | None] = ContextVar("engine", default=None)


def current_engine() -> Engine | None:
    """What encodes instead of this process; None where nothing does. It is best given many texts at once."""
    return _ENGINE.get()


@contextmanager
def encoding_by(name: str, progress: Progress) -> Iterator[None]:
    """Have an engine encode within what has weights here; a service is asked as always.

    Raises InputError for an engine that is not known or not installed, ServiceError for a cluster that is not there.
    """
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}", hint=f"choose one of: {', '.join(ENGINES)}")
    if name == LOCAL:
        yield
        return
    from nearer.encode.ray_engine import encode_blocks, on_ray

    with on_ray(progress):
        token = _ENGINE.set(encode_blocks)
        try:
            yield
        finally:
            _ENGINE.reset(token)
