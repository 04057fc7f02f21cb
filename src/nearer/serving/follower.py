"""A searcher that follows the live pointer, or another, the index and the documents while many ask it."""

import gc
import logging
import math
import time
from collections.abc import Callable
from threading import Condition, Event, Thread

from nearer.core.errors import DeadlineExceeded, NearerError, NotFound, NotReady
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.searcher import Searcher
from nearer.serving.served import Served, index_stamp, live_release
from nearer.store.registered import Release
from nearer.store.workspace import Workspace

_log = logging.getLogger(__name__)
POLL_S, RARE_S = 0.1, 0.5
_RETRY_S = 1.0
_LET_GO_S = 1.0
"""So long after a swap the queries that were being answered have ended, and what answered them can go."""


class Follower:
    """Looks every ``poll_s`` whether something else is live or indexed, and opens it beside what is asked.

    What is opened answers a query before others may ask it. Until then, and where it cannot be opened, the searcher of
    before answers; there is none while ``target`` names nothing. What is not ``is_urgent`` waits for what is.
    A model holds on to itself in cycles, so the garbage is collected after a swap: until then it keeps its memory.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        queue: EncodeQueue,
        swapped: Callable[[Served], None] = lambda served: None,
        target: Callable[[Workspace], Release] = live_release,
        is_urgent: bool = True,
        poll_s: float = POLL_S,
    ) -> None:
        self._workspace, self._queue, self._swapped = workspace, queue, swapped
        self._target, self._is_urgent, self._poll_s = target, is_urgent, poll_s
        self._searcher: Searcher | None = None
        self._fault: NearerError = NotReady("the live release is being opened", hint="repeat the request in a moment")
        self._last_warning = ""
        self._is_ending = False
        self._let_go_at = math.inf
        self._wake = Event()
        self._followed = Condition()
        self._thread = Thread(target=self._follow, name="nearer-follow", daemon=True)

    def start(self) -> None:
        """Begin to open what is live."""
        self._thread.start()

    def close(self) -> None:
        """Stop following; the searcher goes with its last query."""
        self._is_ending = True
        self._wake.set()
        self._thread.join()
        self._searcher = None

    @property
    def searcher(self) -> Searcher:
        """What answers now. Raises NotReady before something does."""
        if self._searcher is None:
            raise self._fault
        return self._searcher

    @property
    def served(self) -> Served | None:
        """What is served now, if anything is."""
        return self._searcher.served if self._searcher else None

    def wake(self) -> None:
        """Say that something else is to be served."""
        self._wake.set()

    def wait_for(self, revision: int, *, deadline: float) -> None:
        """Wait until the documents of that revision can be found; ``deadline`` is a time of ``time.monotonic``.

        Raises DeadlineExceeded, and NotReady where nothing is served.
        """
        with self._followed:
            while self.searcher.served.index.manifest.revision < revision:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    hint = "they are saved, and will be found once the index has followed"
                    raise DeadlineExceeded("the documents cannot be found yet", hint=hint)
                self._followed.wait(min(left_s, POLL_S))

    def _follow(self) -> None:
        seen: object = None
        while not self._is_ending:
            wait_s = self._poll_s
            try:
                state = self._state()
                if state is not None and state != seen:
                    self._catch_up()
                    with self._followed:
                        self._followed.notify_all()
                seen, self._last_warning = state, ""
            except NearerError as error:
                self._tell(error)
                wait_s = _RETRY_S
            except Exception:
                _log.exception("the live release cannot be followed")
                wait_s = _RETRY_S
            if time.monotonic() >= self._let_go_at:
                self._let_go_at = math.inf
                gc.collect()
            self._wake.wait(wait_s)
            self._wake.clear()

    def _state(self) -> object:
        """What differs when something is to be done."""
        try:
            release_id = self._target(self._workspace).release_id
        except NotFound as error:
            if self._searcher:
                self._let_go_at = time.monotonic() + _LET_GO_S
            self._searcher, self._fault = None, NotReady(error.message, hint=error.hint)
            return None
        served, revision = self.served, self._workspace.collection.revision()
        return release_id, revision, served and index_stamp(self._workspace, served.release.space_id)

    def _catch_up(self) -> None:
        if self._searcher is None:
            self._searcher = Searcher.open(
                self._workspace, target=self._target, queue=self._queue, is_urgent=self._is_urgent
            )
            self._swapped(self._searcher.served)
        elif self._searcher.refresh():
            self._swapped(self._searcher.served)
            self._let_go_at = time.monotonic() + _LET_GO_S

    def _tell(self, error: NearerError) -> None:
        """Say once what keeps it from following; who asks before anything was opened is not given its paths."""
        if str(error) == self._last_warning:
            return
        self._last_warning = str(error)
        _log.warning("cannot open what is to be served: %s", error)
        self._fault = NotReady("the live release cannot be opened", hint="see the log of the service")
