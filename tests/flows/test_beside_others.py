"""While a measurement, an advice or the build of an index is under way, everything else goes on at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from folders import write_jsonl
from nearer.core.progress import Silent
from nearer.flows.add import add
from nearer.flows.advise import advise
from nearer.flows.compress import compress
from nearer.flows.evaluate import evaluate
from nearer.flows.index import index, index_status
from nearer.flows.promote import promote
from nearer.flows.remove import remove
from nearer.flows.rollback import rollback
from nearer.flows.search import search
from nearer.flows.status import status
from nearer.store.workspace import Workspace

pytestmark = pytest.mark.slow

AT_ONCE_S = 20
"""Far more than any of them takes here, and far less than what is held, which does not end."""


class Held(Silent):
    """Progress that stops whoever encodes passages until it is let go."""

    def __init__(self):
        self.reached, self.let_go = threading.Event(), threading.Event()

    def track(self, items, **options):
        if options["label"] in ("encode passages", "encode documents"):
            self.reached.set()
            assert self.let_go.wait(300)
        return super().track(items, **options)


def operations(workspace, tmp_path, other):
    rows = write_jsonl(tmp_path / "c.jsonl", [{"_id": "new", "text": "music and water"}])
    return {
        "add": lambda: add(workspace, "corpus", rows),
        "remove": lambda: remove(workspace, ["d001"]),
        "search": lambda: search(workspace, "music"),
        "promote": lambda: promote(workspace, other["promote"], force_reason="to be undone"),
        "rollback": lambda: rollback(workspace),
        "index of another space": lambda: index(workspace, other["index"]),
        "status": lambda: status(workspace),
    }


HELD = {
    "evaluate": lambda workspace, held, name: evaluate(workspace, [name], progress=held),
    "advise": lambda workspace, held, name: advise(workspace, confirm_on_test=False, progress=held),
    "index": lambda workspace, held, name: index(workspace, name, progress=held),
}


@pytest.mark.parametrize("verb", HELD)
def test_everything_else_works_at_once(base_live, tmp_path, verb):
    with Workspace.open(base_live) as workspace:
        made = {size: compress(workspace, "base", dimension=size)["model_id"] for size in (8, 12, 16)}
        new_texts = [{"_id": f"n{number}", "text": f"text {number}, not encoded yet"} for number in range(5)]
        add(workspace, "corpus", write_jsonl(tmp_path / "n.jsonl", new_texts))
        held = Held()
        with ThreadPoolExecutor(1) as thread, Workspace.open(base_live) as other:
            running = thread.submit(HELD[verb], other, held, made[16])
            while not held.reached.wait(0.1):
                if running.done():
                    running.result()
                    pytest.fail("it ended without being held")
            for name, operation in operations(workspace, tmp_path, {"promote": made[8], "index": made[12]}).items():
                began = time.monotonic()
                operation()
                assert time.monotonic() - began < AT_ONCE_S, name
            assert not running.done()
            held.let_go.set()
            assert running.result(), "all is measured on the documents that it began with"
            if verb == "index":
                index(workspace, made[16])
                assert index_status(workspace, made[16]).verdict == "ok"
