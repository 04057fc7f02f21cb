"""A candidate that is asked a share of what live is asked: after live has answered, and never in its way."""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Lock, Thread

from nearer.core.errors import NearerError, NotFound
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.follower import RARE_S, Follower
from nearer.serving.query import Hit
from nearer.serving.searcher import Answer, Ask, Searcher
from nearer.serving.served import Served
from nearer.serving.shadow_report import COMPARED
from nearer.store.registered import Release
from nearer.store.registry import utc_now
from nearer.store.shadows import ShadowAnswer, ShadowEntry, Shadows
from nearer.store.workspace import Workspace

_log = logging.getLogger(__name__)
_MOST_WAITING = 64
_WRITE_S = 1.0
_YIELD_S = 0.005
_MOST_YIELDED_S = 2.0
_DEADLINE_S = 30.0


@dataclass(slots=True)
class _Counts:
    offered: int = 0
    dropped: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offered:
    """A query that live has answered, and the shadow that it was drawn for."""

    shadow_id: str
    ask: Ask
    answer: Answer


class Shadow:
    """Asks the candidate of ``nearer shadow`` in a thread of its own, while ``is_busy`` says that live is not asked.

    The ``queue`` is its own, for in live's a query that comes meanwhile would wait until the candidate's is encoded.
    A query that finds no room is dropped, and counted. What both answered is written once a second.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        queue: EncodeQueue,
        is_busy: Callable[[], bool],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._is_busy, self._draw = Shadows(workspace.database), is_busy, draw
        self._entry: ShadowEntry | None = None
        self._follower = Follower(workspace, queue=queue, target=self._target, is_urgent=False, poll_s=RARE_S)
        self._waiting: Queue[_Offered | None] = Queue(_MOST_WAITING)
        self._counts: dict[str, _Counts] = defaultdict(_Counts)  # of each shadow, by its id
        self._answers: dict[str, list[ShadowAnswer]] = defaultdict(list)
        self._counting = Lock()
        self._is_ending = False
        self._last_warning = ""
        self._thread = Thread(target=self._work, name="nearer-shadow", daemon=True)

    @property
    def served(self) -> Served | None:
        """The candidate as it is asked now, if there is one."""
        return self._follower.served

    @property
    def searcher(self) -> Searcher:
        """What is asked. Raises NotReady where no candidate is open."""
        return self._follower.searcher

    def start(self) -> None:
        """Begin to look for a candidate."""
        self._follower.start()
        self._thread.start()

    def close(self) -> None:
        """Stop after the query at hand; what was answered is written."""
        self._is_ending = True
        with suppress(Full):
            self._waiting.put_nowait(None)  # nothing to ask: it ends a wait for the next
        self._thread.join()
        self._follower.close()

    def offer(self, ask: Ask, answer: Answer) -> None:
        """Draw a query that live has answered, or not; it takes no time."""
        entry, served = self._entry, self._follower.served
        if entry is None or served is None or ask.mode != "release" or self._draw() >= entry.share:
            return
        try:
            self._waiting.put_nowait(_Offered(shadow_id=entry.shadow_id, ask=ask, answer=answer))
            self._count(entry.shadow_id, offered=1)
        except Full:
            self._count(entry.shadow_id, offered=1, dropped=1)

    def _target(self, _: Workspace) -> Release:
        self._entry = self._store.active()
        if self._entry is None:
            raise NotFound("no candidate is in the shadow", hint="nearer shadow start SYSTEM")
        return self._entry.release

    def _count(self, shadow_id: str, *, offered: int = 0, dropped: int = 0, failed: int = 0) -> None:
        with self._counting:
            counts = self._counts[shadow_id]
            counts.offered += offered
            counts.dropped += dropped
            counts.failed += failed

    def _work(self) -> None:
        write_at = time.monotonic() + _WRITE_S
        while not self._is_ending:
            try:
                offered = self._waiting.get(timeout=max(0.01, min(_WRITE_S, write_at - time.monotonic())))
            except Empty:
                offered = None
            if offered:
                self._yield()
                self._ask(offered)
            if time.monotonic() >= write_at:
                self._write()
                write_at = time.monotonic() + _WRITE_S
        self._write()

    def _yield(self) -> None:
        """Let live go first; not for ever, since a busy service is to be compared too."""
        until = time.monotonic() + _MOST_YIELDED_S
        while self._is_busy() and time.monotonic() < until and not self._is_ending:
            time.sleep(_YIELD_S)

    def _ask(self, offered: _Offered) -> None:
        served, entry = self._follower.served, self._entry
        if served is None or entry is None or entry.shadow_id != offered.shadow_id:
            self._count(offered.shadow_id, failed=1)
            return
        try:
            deadline = time.monotonic() + _DEADLINE_S
            [answer] = self._follower.searcher.search_many([offered.ask], deadline=deadline)
        except NearerError as error:
            self._count(offered.shadow_id, failed=1)
            self._tell(str(error))
            return
        except Exception:
            self._count(offered.shadow_id, failed=1)
            _log.exception("the candidate in the shadow failed")
            return
        self._keep(offered, answer)

    def _keep(self, offered: _Offered, answer: Answer) -> None:
        self._answers[offered.shadow_id].append(
            ShadowAnswer(
                at=utc_now(),
                query=offered.ask.text,
                live_release_id=offered.answer.release_id,
                live=_ranked(offered.answer.hits),
                shadow=_ranked(answer.hits),
                live_ms=_took_ms(offered.answer),
                shadow_ms=_took_ms(answer),
            )
        )

    def _write(self) -> None:
        with self._counting:
            counted, self._counts = self._counts, defaultdict(_Counts)
        answered, self._answers = self._answers, defaultdict(list)
        for shadow_id in {*counted, *answered}:
            counts = counted[shadow_id]
            try:
                self._store.add(
                    shadow_id,
                    answered[shadow_id],
                    num_offered=counts.offered,
                    num_dropped=counts.dropped,
                    num_failed=counts.failed,
                )
            except NearerError as error:
                self._tell(str(error))

    def _tell(self, what: str) -> None:
        """Say once what keeps the candidate from being compared."""
        if what != self._last_warning:
            _log.warning("the candidate in the shadow: %s", what)
            self._last_warning = what


def _ranked(hits: tuple[Hit, ...]) -> list[tuple[str, float]]:
    return [(hit.document.doc_id, float(hit.score)) for hit in hits[:COMPARED]]


def _took_ms(answer: Answer) -> float:
    """How long an answer took, without what was waited for before and after it."""
    return round(1000 * sum(answer.took_s.values()), 3)
