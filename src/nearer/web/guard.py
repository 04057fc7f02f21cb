"""The guard of a canary: it looks at what users did, and ends the canary by itself where that does harm."""

import logging
import threading

from nearer.core.errors import Conflict, NearerError
from nearer.flows.experiment import guard_experiment
from nearer.store.events.reading import EventReader
from nearer.store.workspace import Workspace

_log = logging.getLogger(__name__)

EVERY_S = 60.0
"""How often it looks; its intervals may be read at any time."""
_UNREAD_S = 300.0
"""The records of a log that nobody has asked for so long leave the memory."""


class CanaryGuard:
    """A thread that looks once a minute; of several services on one workspace the first to see harm ends it.

    Of the event log it reads what is new since it looked.
    """

    def __init__(self, workspace: Workspace, *, log: EventReader, every_s: float = EVERY_S) -> None:
        self._workspace, self._log, self._every_s = workspace, log, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nearer-guard", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._every_s):
            try:
                self._log.let_go(unread_s=_UNREAD_S)
                ended = guard_experiment(self._workspace, log=self._log)
            except Conflict:  # another service was first
                continue
            except (NearerError, OSError) as error:
                _log.error("the canary cannot be looked at: %s", error)
                continue
            if ended is not None:
                _log.warning("%s %s", ended.experiment.experiment_id, ended.experiment.reason)
