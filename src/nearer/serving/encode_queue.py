"""Texts that wait to be encoded: one thread takes those of an encoder and a side together.

Arrays: N texts x D dimensions, float32.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Literal

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import Conflict, DeadlineExceeded, Overloaded
from nearer.encode.encoder import TextEncoder

Side = Literal["query", "document"]
Observer = Callable[[int, float], None]
"""Is given the texts of each batch, and the seconds for which its first text waited."""

_PIECE_TEXTS = 32
_PIECE_CHARACTERS = 200_000  # so that what is tokenized at once stays small, however long the texts are


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Piece:
    """Some texts of one caller."""

    encoder: TextEncoder
    side: Side
    texts: Sequence[str]
    deadline: float | None
    since: float = field(default_factory=time.monotonic)
    done: "Future[Floats32]" = field(default_factory=Future)

    def goes_with(self, other: "_Piece") -> bool:
        """Whether one call may encode both."""
        return self.encoder is other.encoder and self.side == other.side


class EncodeQueue:
    """Many threads ask for vectors, and one encodes what waits, together.

    It waits for more texts, up to ``max_wait_s``, only while fewer wait than came together the time before: a lone
    caller never waits. Searches (``urgent``) go before the rest. ``close`` ends it; what waits then is refused.
    """

    def __init__(
        self,
        *,
        max_wait_s: float = 0.002,
        max_batch: int = 64,
        max_waiting: int = 8192,
        observe: Observer = lambda num_texts, waited_s: None,
    ) -> None:
        self._max_wait_s, self._max_batch, self._max_waiting = max_wait_s, max_batch, max_waiting
        self._observe = observe
        self._changed = Condition()
        self._urgent: deque[_Piece] = deque()
        self._others: deque[_Piece] = deque()
        self._num_waiting = 0
        self._last_batch = 1
        self._is_closed = False
        self._thread = Thread(target=self._work, name="nearer-encode", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """The texts that wait now."""
        return self._num_waiting

    def encode(
        self,
        encoder: TextEncoder,
        texts: Sequence[str],
        *,
        side: Side,
        deadline: float | None = None,
        urgent: bool = False,
    ) -> Floats32:
        """Unit vectors of texts, shape (N, D); ``deadline`` is a time of ``time.monotonic``.

        Raises Overloaded when too many texts wait, DeadlineExceeded, Conflict after ``close``, and what encoding
        raises.
        """
        if not texts:
            return np.empty((0, encoder.dimension), dtype=np.float32)
        pieces = [_Piece(encoder=encoder, side=side, texts=part, deadline=deadline) for part in _parts(texts)]
        self._put(pieces, urgent=urgent)
        try:
            return np.concatenate([piece.done.result(_left_s(deadline)) for piece in pieces])
        except FutureTimeout as error:
            raise _too_late() from error
        finally:
            for piece in pieces:
                piece.done.cancel()

    def close(self) -> None:
        """End the thread after the batch at hand."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        for piece in (*self._urgent, *self._others):
            if piece.done.set_running_or_notify_cancel():
                piece.done.set_exception(_closed())

    def _put(self, pieces: Sequence[_Piece], *, urgent: bool) -> None:
        num_texts = sum(len(piece.texts) for piece in pieces)
        with self._changed:
            if self._is_closed:
                raise _closed()
            if self._num_waiting + num_texts > self._max_waiting and self._num_waiting:
                raise Overloaded(f"{self._num_waiting} texts wait to be encoded", hint="repeat the request later")
            self._num_waiting += num_texts
            (self._urgent if urgent else self._others).extend(pieces)
            self._changed.notify_all()

    def _work(self) -> None:
        while batch := self._next():
            self._observe(sum(len(piece.texts) for piece in batch), time.monotonic() - batch[0].since)
            self._encode([piece for piece in batch if _is_wanted(piece)])

    def _next(self) -> list[_Piece]:
        """The pieces to encode now, waited for; none once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._num_waiting)
            if self._is_closed:
                return []
            until = time.monotonic() + self._max_wait_s
            while self._num_waiting < self._last_batch and (left_s := until - time.monotonic()) > 0:
                self._changed.wait(left_s)
            batch = self._take()
            self._last_batch = sum(len(piece.texts) for piece in batch)
            self._num_waiting -= self._last_batch
            return batch

    def _take(self) -> list[_Piece]:
        """The first piece and those that go with it, up to a batch; the others stay in their order."""
        batch: list[_Piece] = []
        room = self._max_batch
        for lane in (self._urgent, self._others):
            left = []
            while lane and room > 0:
                piece = lane.popleft()
                if not batch or (piece.goes_with(batch[0]) and len(piece.texts) <= room):
                    batch.append(piece)
                    room -= len(piece.texts)
                else:
                    left.append(piece)
            lane.extendleft(reversed(left))
        return batch

    def _encode(self, batch: list[_Piece]) -> None:
        if not batch:
            return
        encoder, texts = batch[0].encoder, [text for piece in batch for text in piece.texts]
        try:
            encode = encoder.encode_queries if batch[0].side == "query" else encoder.encode_documents
            vectors_ND = encode(texts)
        except Exception as error:
            if len(batch) == 1:
                batch[0].done.set_exception(error)
                return
            for piece in batch:  # one text that cannot be encoded fails nobody else's
                self._encode([piece])
            return
        ends = np.cumsum([len(piece.texts) for piece in batch])[:-1]
        for piece, part_ND in zip(batch, np.split(vectors_ND, ends), strict=True):
            piece.done.set_result(part_ND)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in order, a few at a time: neither many texts nor many characters."""
    part: list[str] = []
    num_characters = 0
    for text in texts:
        if part and (len(part) == _PIECE_TEXTS or num_characters + len(text) > _PIECE_CHARACTERS):
            yield part
            part, num_characters = [], 0
        part.append(text)
        num_characters += len(text)
    yield part


def _is_wanted(piece: _Piece) -> bool:
    """Whether its caller still waits; from then on it cannot be cancelled."""
    if not piece.done.set_running_or_notify_cancel():
        return False
    if piece.deadline is not None and time.monotonic() > piece.deadline:
        piece.done.set_exception(_too_late())
        return False
    return True


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the texts were not encoded in time", hint="send fewer texts, or repeat the request later")


def _closed() -> Conflict:
    return Conflict("the service is ending", hint="repeat the request at another one")
