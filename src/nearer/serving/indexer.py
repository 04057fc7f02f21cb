"""The indexes of what is served, brought up to the documents while they change."""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread

from nearer.core.errors import Conflict, NearerError, WorkspaceBusy
from nearer.core.progress import Silent
from nearer.core.recipe import RECIPE_FILE, load_recipe
from nearer.encode.corpus import cut, embed_passages
from nearer.serving.served import Served
from nearer.store.collection import batches
from nearer.store.workspace import Workspace
from nearer.systems.space_index import build, changed_documents

_log = logging.getLogger(__name__)
_POLL_S = 0.2
_RETRY_S = 2.0
_TOGETHER = 8  # documents encoded between two queries


class Indexer:
    """Updates indexes once documents have changed, by whomever; of several services on a workspace one does it.

    New documents are encoded a few at a time, so that queries come between. ``updated`` is called after each update.
    """

    def __init__(
        self, workspace: Workspace, *, served: Callable[[], Sequence[Served]], updated: Callable[[], None]
    ) -> None:
        self._workspace, self._served, self._updated = workspace, served, updated
        self._wake = Event()
        self._is_ending = False
        self._last_warning = ""
        self._thread = Thread(target=self._work, name="nearer-index", daemon=True)

    def start(self) -> None:
        """Begin to watch the documents."""
        self._thread.start()

    def wake(self) -> None:
        """Say that documents have changed."""
        self._wake.set()

    def close(self) -> None:
        """Stop after the update at hand."""
        self._is_ending = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        wait_s = _POLL_S
        while not self._is_ending:
            self._wake.wait(wait_s)
            self._wake.clear()
            try:
                wait_s = _POLL_S
                for served in self._served():
                    if not self._is_ending:
                        self._follow(served)
                self._last_warning = ""
            except (WorkspaceBusy, Conflict):  # another process is at it
                continue
            except NearerError as error:
                wait_s = _RETRY_S
                if self._last_warning != str(error):
                    _log.warning("the index cannot follow the documents: %s", error)
                self._last_warning = str(error)
            except Exception:
                wait_s = _RETRY_S
                _log.exception("the index cannot follow the documents")

    def _follow(self, served: Served) -> None:
        """Bring the index up to the documents of this moment, if it is not; the recipe is that of this moment too."""
        if served.manifest_now(self._workspace).revision == self._workspace.collection.revision():
            return
        recipe = load_recipe(self._workspace.folder / RECIPE_FILE)
        workspace = self._workspace.with_recipe(recipe)
        workspace.begin_writing()
        encoder = served.system.encoder
        for part in batches(changed_documents(workspace, served.system), _TOGETHER):
            if self._is_ending:
                return
            documents = workspace.collection.documents(part)
            embed_passages(
                workspace, encoder, cut(documents, encoder, served.window).passages, Silent()
            )  # into the cache
        build(workspace, served.system, progress=Silent())
        self._updated()
