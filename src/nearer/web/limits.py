"""How much a client may ask for at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes above which a request is refused; what waits beyond ``waiting`` is told to come again.

    A request is answered within ``deadline_s`` or not at all. ``encode_wait_s`` is how long a text may wait so that
    others are encoded with it, and ``encode_batch`` how many at most.
    """

    body_bytes: int = 16 * 2**20
    query_characters: int = 20_000
    text_characters: int = 2**20
    results: int = 1000
    queries: int = 64
    texts: int = 2048
    documents: int = 1000
    events: int = 1000
    threads: int = 32
    waiting: int = 256
    deadline_s: float = 30.0
    encode_wait_s: float = 0.002
    encode_batch: int = 64
