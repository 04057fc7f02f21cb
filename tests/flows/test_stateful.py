"""Random sequences of changes, releases and crashes, against a dict of documents and an exact search of it."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import nearer
from flows.folders import write_jsonl
from flows.processes import run
from nearer.core.errors import NotFound
from nearer.encode.encoder import Encoder
from nearer.flows.systems import BASE, open_system
from nearer.store.registry import Model, Registry

SOURCE = Path(nearer.__file__).parent
STEPS = sorted(
    {
        step
        for path in SOURCE.rglob("*.py")
        for step in re.findall(r'reached\("([a-z]+\.[a-z]+)"\)', path.read_text(encoding="utf-8"))
        if step.split(".")[0] in ("import", "cache", "index", "registry")
    }
)
WORDS = ("music", "water", "school", "church", "river", "army", "film", "law", "book", "football", "the", "of")
PINNED = {f"p{number}": f"{word} {WORDS[number - 1]}" for number, word in enumerate(WORDS[:8])}
"""Documents that judgments are on, never removed, so that there is always something to be measured by."""
QUESTIONS = ("music and water", "a book of law", "the river army")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
doc_ids = st.sampled_from([f"d{number}" for number in range(12)])


class Loop(RuleBasedStateMachine):
    """What a workspace does, and beside it what it should hold: documents, indexes as built, and live."""

    recipe: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="nearer-stateful-"))
        self.folder = self.root / "workspace"
        self.workspace = nearer.Workspace.init(self.folder, recipe=self.recipe)
        self.documents: dict[str, str] = {}
        self.indexed: dict[str, dict[str, str]] = {}
        self.live: list[str] = []
        self.num_trained = 0
        self.num_asked = 0
        self.encoders: dict[str, Encoder] = {}

    def teardown(self) -> None:
        self.workspace.close()
        shutil.rmtree(self.root)

    @initialize()
    def begin(self) -> None:
        self._add(PINNED)
        queries = [{"_id": f"q{doc_id}", "text": text} for doc_id, text in PINNED.items()]
        judgments = [{"query_id": f"q{doc_id}", "doc_id": doc_id, "grade": 1} for doc_id in PINNED]
        nearer.add(self.workspace, "queries", write_jsonl(self.root / "queries.jsonl", queries))
        qrels = "".join(f"{each['query_id']}\t{each['doc_id']}\t1\n" for each in judgments)
        (self.root / "judgments.tsv").write_text(qrels)
        nearer.add(self.workspace, "judgments", self.root / "judgments.tsv")
        self._promote(BASE)
        self.train_stub()
        self._promote(nearer.status(self.workspace)["models"][-1]["model_id"])

    @rule(changes=st.dictionaries(doc_ids, texts, min_size=1, max_size=4))
    def add_or_edit(self, changes: dict[str, str]) -> None:
        self._add(changes)

    @rule(data=st.data())
    @precondition(lambda self: len(self.documents) > len(PINNED))
    def delete(self, data: st.DataObject) -> None:
        doc_id = data.draw(st.sampled_from(sorted(self.documents.keys() - PINNED.keys())))
        nearer.remove(self.workspace, [doc_id])
        del self.documents[doc_id]

    @rule()
    @precondition(lambda self: self.num_trained < 3)
    def train_stub(self) -> None:
        """Register a model with other weights than the base's, as training would."""
        self.num_trained += 1
        base = open_system(self.workspace, BASE)
        rng = np.random.default_rng(self.num_trained)
        for parameter in base.encoder.model.parameters():
            parameter.data += 0.05 * parameter.data.new_tensor(rng.standard_normal(parameter.shape))
        encoder = Encoder(base.encoder.model, settings=base.encoder.settings)
        encoder.save(self.workspace.models / encoder.encoder_id)
        record = Model(
            model_id=encoder.model_id,
            encoder_id=encoder.encoder_id,
            source=f"models/{encoder.encoder_id}",
            encoder=base.model.encoder,
            parent_model_id=base.model.model_id,
            training={},
        )
        Registry(self.workspace.database).add_model(record)

    @rule()
    @precondition(lambda self: self.live)
    def index(self) -> None:
        built = nearer.index(self.workspace)["indexes"]
        self._indexed(each["space_id"] for each in built)

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        system = self._candidate(data)
        if system is not None:
            self._promote(system)

    @rule()
    @precondition(lambda self: len(self.live) > 1)
    def rollback(self) -> None:
        nearer.rollback(self.workspace)
        self.live.pop()
        self._indexed([nearer.status(self.workspace)["live"]["space_id"]])

    @rule(step=st.sampled_from(STEPS), number=st.integers(1, 3), verb=st.integers(0, 4), data=st.data())
    def crash(self, step: str, number: int, verb: int, data: st.DataObject) -> None:
        """Kill a verb at a durable step, if it comes by there: what it changed is all there, or nothing is."""
        changes = data.draw(st.dictionaries(doc_ids, texts, min_size=1, max_size=3))
        source = write_jsonl(self.root / "crash.jsonl", [{"_id": key, "text": text} for key, text in changes.items()])
        calls: list[tuple[object, ...]] = [("add", "corpus", source)]
        if self.live:
            calls.append(("index",))
        if len(self.live) > 1:
            calls.append(("rollback",))
        if (system := self._candidate(data)) is not None:
            calls.append(("promote", system, "--force", "--reason", "the machine's choice"))
        call = calls[verb % len(calls)]
        self.workspace.close()
        ended = run(*call, "--dir", self.folder, die_at=f"{step}:{number}")
        assert ended.was_killed or ended.code == 0, ended.printed
        self.workspace = nearer.Workspace.open(self.folder)
        self._settle(call, changes)

    @invariant()
    def documents_are_what_was_acknowledged(self) -> None:
        assert self._stored_documents() == self.documents

    @invariant()
    def search_is_exact_over_what_was_indexed_and_is_still_there(self) -> None:
        if not self.live:
            with pytest.raises(NotFound):
                nearer.search(self.workspace, QUESTIONS[0])
            return
        live = nearer.status(self.workspace)["live"]
        assert live["model_id"] == self.live[-1]
        index = {key: text for key, text in self.indexed[live["space_id"]].items() if key in self.documents}
        encoder = self._encoder()
        keys = sorted(index)
        emb_ND = encoder.encode_documents([index[key] for key in keys])
        self.num_asked += 1
        question = QUESTIONS[self.num_asked % len(QUESTIONS)]
        scores = dict(zip(keys, (emb_ND @ encoder.encode_queries([question])[0]).tolist(), strict=True))
        found = nearer.search(self.workspace, question, k=100)
        assert bool(found["stale"]) == (self.indexed[live["space_id"]] != self.documents)
        answered = [each["score"] for each in found["results"]]
        assert {each["doc_id"] for each in found["results"]} == set(keys)
        assert answered == sorted(answered, reverse=True)
        assert answered == pytest.approx([scores[each["doc_id"]] for each in found["results"]], abs=1e-5)

    @invariant()
    def history_tells_how_live_came_about(self) -> None:
        moves = [event for event in nearer.history(self.workspace)["events"] if event["release_id"]]
        live = nearer.status(self.workspace)["live"]
        assert (moves[-1]["release_id"] if moves else None) == (live["release_id"] if live else None)

    def _add(self, documents: dict[str, str]) -> None:
        rows = [{"_id": key, "text": text} for key, text in documents.items()]
        nearer.add(self.workspace, "corpus", write_jsonl(self.root / "documents.jsonl", rows))
        self.documents |= documents

    def _promote(self, system: str) -> None:
        promoted = nearer.promote(self.workspace, system, force_reason="the machine's choice")
        assert promoted["verdict"] == "promoted"
        self._went_live()

    def _candidate(self, data: st.DataObject) -> str | None:
        models = [each["model_id"] for each in nearer.status(self.workspace)["models"]]
        known = models if models else [BASE]
        candidates = [each for each in known if not self.live or each != self.live[-1]]
        return data.draw(st.sampled_from(candidates)) if candidates else None

    def _encoder(self) -> Encoder:
        model_id = self.live[-1]
        if model_id not in self.encoders:
            self.encoders[model_id] = open_system(self.workspace, model_id).encoder
        return self.encoders[model_id]

    def _stored_documents(self) -> dict[str, str]:
        from nearer.store.collection import Collection

        return {each.doc_id: each.text for each in Collection(self.workspace.database).documents()}

    def _indexed(self, space_ids: Any) -> None:
        for space_id in space_ids:
            self.indexed[space_id] = dict(self.documents)

    def _went_live(self) -> None:
        live = nearer.status(self.workspace)["live"]
        self.live.append(live["model_id"])
        self._indexed([live["space_id"]])

    def _settle(self, call: tuple[object, ...], changes: dict[str, str]) -> None:
        """Find out which of the two allowed states a killed verb left, and go on from there."""
        if call[0] == "add" and (stored := self._stored_documents()) != self.documents:
            assert stored == {**self.documents, **changes}, "an import is all there or not at all"
            self.documents = stored
        live = nearer.status(self.workspace)["live"]
        if live and call[0] == "promote" and (not self.live or live["model_id"] != self.live[-1]):
            self.live.append(live["model_id"])
        if call[0] == "rollback" and live["model_id"] != self.live[-1]:
            self.live.pop()
        for space_id in self._spaces():
            self._settle_index(space_id)

    def _settle_index(self, space_id: str) -> None:
        """An index holds the documents of now, or those of before."""
        from nearer.flows.index import index_status

        live = nearer.status(self.workspace)["live"]
        if live and live["space_id"] == space_id:
            stale = nearer.search(self.workspace, QUESTIONS[0])["stale"]
            if not stale:
                self.indexed[space_id] = dict(self.documents)
        else:
            faults = index_status(self.workspace, self._model_of(space_id))["faults"]
            if not any(faults.values()):
                self.indexed[space_id] = dict(self.documents)

    def _spaces(self) -> set[str]:
        return {each.space_id for each in Registry(self.workspace.database).models()}

    def _model_of(self, space_id: str) -> str:
        models = Registry(self.workspace.database).models()
        return next(each.model_id for each in models if each.space_id == space_id)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_whatever_was_acknowledged_is_there_and_search_is_exact(tiny_recipe: dict[str, Any], kind: str) -> None:
    recipe = {**tiny_recipe, "evaluate": {"num_resamples": 100}, "index": {"kind": kind}}
    machine = type("Machine", (Loop,), {"recipe": recipe})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=7,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
