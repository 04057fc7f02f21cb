"""What the routes share: the workspace, what is live, and the threads in which they work."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from nearer.core.errors import NearerError, NotFound
from nearer.flows.job import start_waiting_jobs
from nearer.flows.retention import enforce_retention
from nearer.serving.arms import Arm, Router
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.follower import Follower
from nearer.serving.indexer import Indexer
from nearer.serving.models import Last, Models
from nearer.serving.searcher import Searcher
from nearer.serving.served import Served
from nearer.serving.shadow import Shadow
from nearer.store.events.log import EventLog
from nearer.store.events.reading import EventReader
from nearer.store.events.salt import Salt
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace
from nearer.web.errors import TooLarge
from nearer.web.guard import CanaryGuard
from nearer.web.limits import Limits
from nearer.web.metrics import Metrics
from nearer.web.work import Work

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Service:
    """One process of the service on an open workspace."""

    def __init__(self, workspace: Workspace, *, limits: Limits | None = None) -> None:
        self.workspace = workspace
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.queue = EncodeQueue(
            max_wait_s=self.limits.encode_wait_s,
            max_batch=self.limits.encode_batch,
            max_waiting=4 * self.limits.texts,
            observe=self.metrics.batch,
        )
        self.follower = Follower(
            workspace, queue=self.queue, swapped=lambda served: self.metrics.swapped(served.release.release_id)
        )
        self.indexer = Indexer(workspace, served=self._all_served, updated=self.follower.wake)
        self.models = Models(workspace, searcher=lambda: self.searcher)
        self.salt = _salt(workspace)
        self.events = EventLog(
            workspace.events,
            locks=workspace.locks,
            lost=self.metrics.lost,
            sealed=self._tend_events,
        )
        self.is_ending = False
        self._work = Work(self.limits)
        self._previous: Last[Searcher] = Last()
        self.router = Router(workspace, queue=self.queue)
        self.log = EventReader(workspace.events)
        self.guard = CanaryGuard(workspace, log=self.log)
        self._beside = EncodeQueue(max_wait_s=0.0)
        self.shadow = Shadow(workspace, queue=self._beside, is_busy=lambda: self._work.num_pending > 0)

    @property
    def searcher(self) -> Searcher:
        """What answers now. Raises NotReady before something does."""
        return self.follower.searcher

    def searcher_of(self, arm: Arm) -> Searcher:
        """What answers an arm. Raises NotReady before something does."""
        if arm == "holdout":
            return self.router.first.searcher
        return self.router.follower.searcher if arm == "treatment" else self.searcher

    def refuse_not_ready(self) -> None:
        """Raises NotReady before something answers."""
        _ = self.searcher

    def _all_served(self) -> list[Served]:
        beside = (self.router.served, self.router.first.served, self.shadow.served)
        return [served for served in (self.follower.served, *beside) if served]

    def start(self) -> None:
        """Begin to open what is live."""
        self.follower.start()
        self.indexer.start()
        self.router.start()
        self.shadow.start()
        self.guard.start()
        start_waiting_jobs(self.workspace)

    def close(self) -> None:
        """End what was begun, after the requests at hand."""
        self.is_ending = True
        self._work.close()
        self.guard.close()
        self.indexer.close()
        self.shadow.close()
        self.router.close()
        self.follower.close()
        self.queue.close()
        self._beside.close()
        self.events.close()
        self._share_last_events()
        self.metrics.close()

    def _tend_events(self) -> None:
        enforce_retention(self.workspace)
        event_folder(self.workspace)

    def _share_last_events(self) -> None:
        try:
            event_folder(self.workspace)
        except NearerError as error:
            _log.warning("%s; what was sealed is here, and goes there the next time", error.message)

    def measured(self) -> bytes:
        """The numbers for Prometheus."""
        self.metrics.now(pending=self._work.num_pending, texts=self.queue.num_waiting, lag=self.index_lag())
        return self.metrics.text()

    def index_lag(self) -> int:
        """How many changes of the documents cannot be found yet."""
        served = self.follower.served
        return max(0, self.workspace.collection.revision() - served.index.manifest.revision) if served else 0

    def other_searcher(self, name: str) -> Searcher:
        """What the dashboard compares: live, shadow, treatment or previous. Raises NotFound, NotReady."""
        found = {"live": lambda: self.searcher, "shadow": lambda: self.shadow.searcher}
        found |= {"treatment": lambda: self.router.follower.searcher, "previous": self._previous_searcher}
        if name not in found:
            raise NotFound(f"no system {name!r} is open", hint=f"one of: {', '.join(found)}")
        return found[name]()

    def _previous_searcher(self) -> Searcher:
        release = self.workspace.registry.previous()
        if release is None:
            raise NotFound("there is no release before", hint="see: nearer history")

        def opened() -> Searcher:
            return Searcher.open(self.workspace, target=lambda _: release, queue=self.queue, is_urgent=False)

        return self._previous.get(f"{release.release_id} {self.workspace.collection.revision()}", opened)

    async def do(self, work: Callable[[float], T]) -> T:
        """Work in a thread, by its deadline. Raises Overloaded, DeadlineExceeded, and what ``work`` raises."""
        return await self._work.do(work)

    def refuse_text(self, text: str, *, what: str, limit: int | None = None) -> None:
        """Raises TooLarge for a text of too many characters."""
        limit = limit or self.limits.text_characters
        if len(text) > limit:
            raise TooLarge(f"{what} has {len(text)} characters, more than {limit}", hint="send a shorter text")

    def refuse_many(self, number: int, *, what: str, limit: int) -> None:
        """Raises TooLarge for too many of something."""
        if number > limit:
            raise TooLarge(f"{number} {what} at once, more than {limit}", hint="send them in several requests")


def _salt(workspace: Workspace) -> Salt:
    try:
        return Salt.open(workspace.events)
    except OSError as error:
        _log.warning("%s: cannot be written (%s): what users do is not recorded", workspace.events, error.strerror)
        return Salt.passing()


def since_ms(start: float) -> float:
    """Milliseconds since a time of ``time.perf_counter``."""
    return round(1000 * (time.perf_counter() - start), 3)
