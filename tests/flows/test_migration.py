"""Documents that change while the next model's index is built end in both: a state machine against a plain dict."""

import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from nearer.core.progress import Silent
from nearer.core.records import Document
from nearer.flows.documents import put, remove_documents
from nearer.retrieval.index import open_index
from nearer.serving.indexer import Indexer
from nearer.serving.searcher import Searcher
from nearer.store.workspace import Workspace
from nearer.systems import open_system, space_index

pytestmark = pytest.mark.slow
IDS = [f"m{number}" for number in range(6)]
WORDS = ["rain", "harbour", "lantern", "music", "zebra"]
PATIENCE_S = 30


class Paused:
    """Progress that waits before each part of a job until it is let on."""

    def __init__(self):
        self.may_go, self.is_waiting = threading.Semaphore(0), threading.Event()
        self.is_free = False

    def track(self, items, *, label, total, size=None):
        for item in items:
            if not self.is_free:
                self.is_waiting.set()
                assert self.may_go.acquire(timeout=PATIENCE_S)
            yield item

    def say(self, text):
        pass


class Migration(RuleBasedStateMachine):
    """Live answers from one space while the index of another is built in parts; documents come, change and go."""

    made: Path
    candidate: str

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.made, self.folder / "shop")
        self.workspace = Workspace.open(self.folder / "shop")
        self.searcher = Searcher.open(self.workspace)
        self.indexer = Indexer(self.workspace, served=lambda: [self.searcher.served], updated=lambda: None)
        self.documents = {each.doc_id: each.text for each in self.workspace.collection.documents()}
        self.building, self.paused, self.failure = None, None, None

    @initialize()
    def begin(self):
        self.next = open_system(self.workspace, self.candidate)
        assert self.next.model.space_id != self.searcher.served.release.space_id

    @precondition(lambda self: self.building is None)
    @rule()
    def start_building(self):
        shutil.rmtree(self.workspace.indexes / self.next.model.space_id, ignore_errors=True)
        self.paused = Paused()

        def work():
            try:
                space_index.build(self.workspace, self.next, progress=self.paused)
            except Exception as error:
                self.failure = error

        self.building = threading.Thread(target=work)
        self.building.start()

    @precondition(lambda self: self.building)
    @rule()
    def build_a_part(self):
        self.paused.is_waiting.wait(0.2)
        self.paused.is_waiting.clear()
        self.paused.may_go.release()

    @rule(doc_id=st.sampled_from(IDS), word=st.sampled_from(WORDS), other=st.sampled_from(WORDS))
    def put(self, doc_id, word, other):
        put(self.workspace, [Document(doc_id=doc_id, text=f"{word} {other}")])
        self.documents[doc_id] = f"{word} {other}"

    @rule(doc_id=st.sampled_from(IDS))
    def remove(self, doc_id):
        if doc_id in self.documents:
            remove_documents(self.workspace, [doc_id])
            del self.documents[doc_id]

    @rule()
    def live_follows(self):
        self.indexer._follow(self.searcher.served)
        self.searcher.refresh()
        self.same_as_the_documents(self.searcher.served.system)

    @precondition(lambda self: self.building)
    @rule()
    def finish_and_swap(self):
        """What a promotion does: the build ends, the new index is brought up, and both have all documents."""
        self.finish()
        space_index.build(self.workspace, self.next, progress=Silent())
        self.same_as_the_documents(self.next)
        self.indexer._follow(self.searcher.served)
        self.same_as_the_documents(self.searcher.served.system)

    def same_as_the_documents(self, system):
        assert space_index.verify(self.workspace, system) == ()
        index = open_index(self.workspace.indexes / system.model.space_id, space_id=system.model.space_id)
        assert index.hashes().keys() == self.documents.keys()
        vectors_QD = system.encoder.encode_queries(WORDS)
        mine = {each: text for each, text in self.documents.items() if each in IDS}
        if not mine:
            return
        emb_ND = system.encoder.encode_documents(list(mine.values()))
        for vector_D, ranking in zip(
            vectors_QD, index.search(vectors_QD, space_id=system.model.space_id, k=len(self.documents)), strict=True
        ):
            found = dict(ranking)
            scores = np.array([found[doc_id] for doc_id in mine])
            assert np.allclose(scores, emb_ND @ vector_D, atol=1e-5), "today's texts, in this space"

    def finish(self):
        if self.building:
            self.paused.is_free = True
            for _ in range(50):
                self.paused.may_go.release()
            self.building.join(PATIENCE_S)
            assert not self.building.is_alive()
            self.building = None
            assert self.failure is None

    def teardown(self):
        self.finish()
        self.workspace.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def small_parts():
    """Documents are encoded a few at a time, so that others come between."""
    before = space_index.DOCUMENTS_AT_ONCE
    space_index.DOCUMENTS_AT_ONCE = 16
    try:
        yield
    finally:
        space_index.DOCUMENTS_AT_ONCE = before


def test_documents_that_change_while_an_index_is_built_end_in_both(trained):
    with Workspace.open(trained) as workspace:
        candidate = workspace.registry.models()[-1].model_id
    machine = type("Migrating", (Migration,), {"made": trained, "candidate": candidate})
    with small_parts():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
