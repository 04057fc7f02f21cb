"""Random sequences of changes, releases and crashes, against a dict of documents and an exact search of it."""

import copy
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import nearer
from conftest import empty_tables
from folders import write_jsonl
from nearer.encode.encoder import Encoder
from nearer.flows.index import index_status
from nearer.store.registered import Model
from nearer.systems import BASE, open_system
from processes import run

INDEX_STEPS = {
    "exact": ("cache.commit", "index.vectors", "index.passages", "index.manifest", "index.cleanup"),
    "lancedb": ("cache.commit", "index.rows", "index.rows:2", "index.table", "index.manifest", "index.cleanup"),
}
"""The durable steps of bringing an index of each kind up to date."""
WORDS = ("music", "water", "school", "church", "river", "army", "film", "law", "book", "football", "the", "of")
PINNED = {f"p{number}": f"{word} {WORDS[number - 1]}" for number, word in enumerate(WORDS[:8])}
"""Documents that judgments are on, never removed, so that there is always something to be measured by."""
FIRST = {**PINNED, "d0": "film of the church", "d1": "football", "d2": "the river"}
REASON = "the machine's choice"
QUESTIONS = ("music and water", "a book of law", "the river army")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
doc_ids = st.sampled_from([f"d{number}" for number in range(12)])


def prepare(folder: Path, recipe: dict[str, Any]) -> None:
    """A workspace in which two models were made live one after the other, so that there is something to go back to."""
    workspace = nearer.Workspace.init(folder, recipe=recipe)
    nearer.add(workspace, "corpus", rows_in(folder, FIRST))
    queries = [{"_id": f"q{doc_id}", "text": text} for doc_id, text in PINNED.items()]
    nearer.add(workspace, "queries", write_jsonl(folder / "queries.jsonl", queries))
    (folder / "judgments.tsv").write_text("".join(f"q{doc_id}\t{doc_id}\t1\n" for doc_id in PINNED))
    nearer.add(workspace, "judgments", folder / "judgments.tsv")
    for model_id in (BASE, train_stub(workspace, seed=1)):
        nearer.promote(workspace, model_id, force_reason=REASON)
    workspace.close()


def rows_in(folder: Path, documents: dict[str, str]) -> Path:
    return write_jsonl(folder / "documents.jsonl", [{"_id": key, "text": text} for key, text in documents.items()])


def train_stub(workspace: nearer.Workspace, *, seed: int) -> str:
    """The id of a new model with other weights than the base's, as training would make one."""
    base = open_system(workspace, BASE)
    encoder = Encoder(copy.deepcopy(base.encoder.model), settings=base.encoder.settings)
    rng = np.random.default_rng(seed)
    for parameter in encoder.model.parameters():
        parameter.data += 0.05 * parameter.data.new_tensor(rng.standard_normal(parameter.shape))
    encoder.save(workspace.models / encoder.encoder_id)
    record = Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=f"models/{encoder.encoder_id}",
        encoder=base.model.encoder,
        parent_model_id=base.model.model_id,
    )
    workspace.registry.add_model(record, parent=base.model)
    return encoder.model_id


class Loop(RuleBasedStateMachine):
    """What a workspace does, and beside it what it should hold: documents, indexes as built, and live."""

    kind: str
    prepared: Path
    address: str | None
    """Of the PostgreSQL that the records are in, where they are in one."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="nearer-stateful-"))
        self.folder = Path(shutil.copytree(self.prepared, self.root / "workspace"))
        if self.address:
            empty_tables(self.address)
            with nearer.Workspace.open(self.folder) as workspace:
                nearer.copy_store(workspace, self.address, write=True)
        self.workspace = nearer.Workspace.open(self.folder)
        reported = nearer.status(self.workspace)
        releases = [reported["previous"], reported["live"]]
        self.documents = dict(FIRST)
        self.indexed = {each["space_id"]: dict(FIRST) for each in releases}
        self.live = [each["model_id"] for each in releases]
        self.num_trained = 1
        self.num_asked = 0
        self.num_edits = 0

    def teardown(self) -> None:
        self.workspace.close()
        shutil.rmtree(self.root)

    @rule(changes=st.dictionaries(doc_ids, texts, min_size=1, max_size=4), dies=st.booleans())
    def add_or_edit(self, changes: dict[str, str], dies: bool) -> None:
        if dies:
            assert self._run("import.commit", "add", "corpus", rows_in(self.root, changes))
        else:
            nearer.add(self.workspace, "corpus", rows_in(self.root, changes))
        self.documents |= changes

    @rule(data=st.data(), dies=st.booleans())
    @precondition(lambda self: len(self.documents) > len(PINNED))
    def delete(self, data: st.DataObject, dies: bool) -> None:
        doc_id = data.draw(st.sampled_from(sorted(self.documents.keys() - PINNED.keys())))
        if dies:
            assert self._run("remove.commit", "remove", doc_id)
        else:
            nearer.remove(self.workspace, [doc_id])
        del self.documents[doc_id]

    @rule()
    @precondition(lambda self: self.num_trained < 3)
    def train(self) -> None:
        self.num_trained += 1
        train_stub(self.workspace, seed=self.num_trained)

    @rule(data=st.data())
    def index(self, data: st.DataObject) -> None:
        ended = self._do(data, lambda: nearer.index(self.workspace), "index")
        assert not self._has_moved()
        self._settle(ended, "live", "previous")

    @rule(data=st.data())
    @precondition(lambda self: len(self.live) > 1)
    def rollback(self, data: st.DataObject) -> None:
        ended = self._do(data, lambda: nearer.rollback(self.workspace), "rollback", after=("registry.pointer",))
        if has_moved := self._has_moved():
            self.live.pop()
        assert has_moved or not ended
        self._settle(has_moved, "live")

    @rule(data=st.data())
    @precondition(lambda self: self._candidates())
    def promote(self, data: st.DataObject) -> None:
        system = data.draw(st.sampled_from(self._candidates()))
        ended = self._do(
            data,
            lambda: nearer.promote(self.workspace, system, force_reason=REASON),
            *("promote", system, "--force", "--reason", REASON),
            after=("registry.release", "registry.pointer"),
        )
        if has_moved := self._has_moved():
            self.live.append(system)
        assert has_moved or not ended
        self._settle(has_moved, "live")

    @invariant()
    def documents_are_what_was_acknowledged(self) -> None:
        stored = self.workspace.collection.documents()
        assert {each.doc_id: each.text for each in stored} == self.documents

    @invariant()
    def search_is_exact_over_what_was_indexed_and_is_still_there(self) -> None:
        live = nearer.status(self.workspace)["live"]
        assert live["model_id"] == self.live[-1]
        index = {key: text for key, text in self.indexed[live["space_id"]].items() if key in self.documents}
        encoder = open_system(self.workspace, self.live[-1]).encoder
        keys = sorted(index)
        emb_ND = encoder.encode_documents([index[key] for key in keys])
        self.num_asked += 1
        question = QUESTIONS[self.num_asked % len(QUESTIONS)]
        scores = dict(zip(keys, (emb_ND @ encoder.encode_queries([question])[0]).tolist(), strict=True))
        found = nearer.search(self.workspace, question, k=100)
        assert bool(found["stale"]) == (self.indexed[live["space_id"]] != self.documents)
        answered = [each["score"] for each in found["results"]]
        ids = [doc_id for each in found["results"] for doc_id in (each["doc_id"], *each["identical_ids"])]
        assert sorted(ids) == keys, "documents of one text take one rank"
        assert answered == sorted(answered, reverse=True)
        assert answered == pytest.approx([scores[each["doc_id"]] for each in found["results"]], abs=1e-5)

    @invariant()
    def history_tells_how_live_came_about(self) -> None:
        moves = [event for event in nearer.history(self.workspace)["events"] if event["release_id"]]
        live = nearer.status(self.workspace)["live"]
        assert moves[-1]["release_id"] == live["release_id"]

    def _candidates(self) -> list[str]:
        models = [each["model_id"] for each in nearer.status(self.workspace)["models"]]
        return [each for each in models if each != self.live[-1]]

    def _has_moved(self) -> bool:
        return bool(nearer.status(self.workspace)["live"]["model_id"] != self.live[-1])

    def _settle(self, is_done: bool, *releases: str) -> None:
        """A verb that came so far left the indexes of these up to date; one that was killed each as before, or so."""
        models = self.workspace.registry.models()
        sound = {each.space_id for each in models if index_status(self.workspace, each.model_id)["verdict"] == "ok"}
        reported = nearer.status(self.workspace)
        assert not is_done or sound >= {reported[each]["space_id"] for each in releases if reported[each]}
        self.indexed |= {space_id: dict(self.documents) for space_id in sound}

    def _do(self, data: st.DataObject, here: Callable[[], object], *call: object, after: tuple[str, ...] = ()) -> bool:
        """Do a verb here, or in a process that dies at a durable step of its index or ``after``; whether it ended.

        Before that a document is edited, so that the index has something to follow.
        """
        steps = [*INDEX_STEPS[self.kind], *after, *(("postgres.commit",) if self.address and after else ())]
        step = data.draw(st.none() | st.sampled_from(steps))
        if step is None:
            here()
            return True
        self.num_edits += 1
        edit = {"edited": f"{WORDS[self.num_edits % len(WORDS)]} {WORDS[self.num_edits // len(WORDS)]}"}
        nearer.add(self.workspace, "corpus", rows_in(self.root, edit))
        self.documents |= edit
        return not self._run(step, *call)

    def _run(self, step: str, *call: object) -> bool:
        """Run a verb in another process, which dies at ``step``; whether it came by there."""
        self.workspace.close()
        ended = run(*call, "--dir", self.folder, die_at=step)
        assert ended.was_killed or ended.code == 0, ended.printed
        self.workspace = nearer.Workspace.open(self.folder)
        return ended.was_killed


@pytest.fixture
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are loaded once here, by the names of their folders, which are ids; the processes that die load anew."""
    load, paths = Encoder.load, {}

    @cache
    def kept(name: str, **settings: Any) -> Encoder:
        return load(paths[name], **settings)

    def by_name(model: str, **settings: Any) -> Encoder:
        paths[Path(model).name] = model
        return kept(Path(model).name, **settings)

    monkeypatch.setattr(Encoder, "load", by_name)


@pytest.mark.slow
@pytest.mark.usefixtures("_loaded_once")
@pytest.mark.parametrize(("kind", "store"), [("exact", "sqlite"), ("lancedb", "sqlite"), ("exact", "postgres")])
def test_whatever_was_acknowledged_is_there_and_search_is_exact(
    tiny_recipe: dict[str, Any], kind: str, store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("postgres_store") if store == "postgres" else None
    prepare(tmp_path / "prepared", {**tiny_recipe, "evaluate": {"num_resamples": 100}, "index": {"kind": kind}})
    machine = type("Machine", (Loop,), {"kind": kind, "prepared": tmp_path / "prepared", "address": address})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=5,
            stateful_step_count=9,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
