"""A searcher that follows the live pointer, the index and the documents while many ask it."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from nearer.core.errors import NearerError, NotFound, NotReady
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.searcher import Searcher
from nearer.serving.served import Served, index_stamp
from nearer.store.workspace import Workspace

_log = logging.getLogger(__name__)
POLL_S = 0.1
_RETRY_S = 1.0


class Follower:
    """Looks every tenth of a second whether something else is live or indexed, and opens it beside what is asked.

    What is opened answers a query before others may ask it. Until then, and where it cannot be opened, the searcher of
    before answers; there is none before the first release.
    """

    def __init__(
        self, workspace: Workspace, *, queue: EncodeQueue, swapped: Callable[[Served], None] = lambda served: None
    ) -> None:
        self._workspace, self._queue, self._swapped = workspace, queue, swapped
        self._searcher: Searcher | None = None
        self._fault: NearerError = NotReady("the live release is being opened", hint="repeat the request in a moment")
        self._told = ""
        self._ending = Event()
        self._thread = Thread(target=self._follow, name="nearer-follow", daemon=True)

    def start(self) -> None:
        """Begin to open what is live."""
        self._thread.start()

    def close(self) -> None:
        """Stop following; the searcher goes with its last query."""
        self._ending.set()
        self._thread.join()
        self._searcher = None

    @property
    def searcher(self) -> Searcher:
        """What answers now. Raises NotReady before something does."""
        if self._searcher is None:
            raise self._fault
        return self._searcher

    def _follow(self) -> None:
        seen: object = None
        while not self._ending.wait(POLL_S):
            try:
                state = self._state()
                if state != seen:
                    self._catch_up()
                seen, self._told = state, ""
            except NearerError as error:
                self._tell(error)
                self._ending.wait(0 if isinstance(error, NotFound) else _RETRY_S)
            except Exception:
                _log.exception("the live release cannot be followed")
                self._ending.wait(_RETRY_S)

    def _state(self) -> object:
        """What differs when something is to be done."""
        live_id, revision = self._workspace.registry.live_id(), self._workspace.collection.revision()
        served = self._searcher.served if self._searcher else None
        return live_id, revision, served and index_stamp(self._workspace, served.release.space_id)

    def _catch_up(self) -> None:
        if self._searcher is None:
            self._searcher = Searcher.open(self._workspace, queue=self._queue)
            self._swapped(self._searcher.served)
        elif self._searcher.refresh():
            self._swapped(self._searcher.served)

    def _tell(self, error: NearerError) -> None:
        """Say once what keeps it from following; who asks before anything was opened is not given its paths."""
        if str(error) == self._told:
            return
        self._told = str(error)
        _log.warning("cannot follow the live release: %s", error)
        if isinstance(error, NotFound) and self._workspace.registry.live_id() is None:
            self._fault = NotReady(error.message, hint=error.hint)
        else:
            self._fault = NotReady("the live release cannot be opened", hint="see the log of the service")
