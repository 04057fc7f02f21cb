"""Adapters as models: trained on cached vectors, measured, released over the index that is there, rolled back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import processes
from embedding_server import EmbeddingServer
from folders import write_jsonl
from nearer.core.errors import InputError
from nearer.core.ids import text_hash
from nearer.core.progress import Silent
from nearer.core.results.serving import Recall
from nearer.encode.adapter import Adapter, Map
from nearer.encode.api import PROBE
from nearer.encode.encoder import Encoder
from nearer.evaluation.judged_split import read_judged_split
from nearer.flows.adapt import adapt
from nearer.retrieval.index import open_index
from nearer.retrieval.lance import LanceIndex
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.adapter_set import read_adapter_set
from nearer.training.adapters import settings_of

SIDES = ("query", "shared", "separate")


@pytest.fixture(scope="session")
def _adapted(_made, tmp_path_factory):
    """Workspaces with the base live and an adapter trained, with what training answered; only copies are handed out."""
    root, made = tmp_path_factory.mktemp("adapted"), {}
    for sides in SIDES:
        workspace = Workspace.open(Path(shutil.copytree(_made["base live"], root / sides)))
        made[sides] = workspace.folder, adapt(workspace, sides)
        workspace.close()
    return made


@pytest.fixture
def adapted(_adapted, tmp_path):
    """``adapted("query")``: the folder of such a workspace, one's own, and the model of its adapter."""

    def copied(sides):
        folder, trained = _adapted[sides]
        return Path(shutil.copytree(folder, tmp_path / sides)), trained["model_id"]

    return copied


def indexed(folder):
    """The manifest of every index, by space."""
    return {path.parent.name: path.read_text() for path in folder.glob(".nearer/indexes/*/manifest.json")}


def vectors_of(folder, space_id):
    return open_index(folder / ".nearer" / "indexes" / space_id, space_id=space_id).content.vectors_PD


def answers(ask, folder, text="music and water"):
    return [(each["doc_id"], each["score"]) for each in ask(folder, "search", text, "-k", 80)["results"]]


# The whole life


def test_a_query_adapter_goes_live_over_the_index_that_is_there(ask, base_live, opened, no_document_encoded):
    before, base = answers(ask, base_live), ask(base_live, "status")["live"]
    index = indexed(base_live)
    trained = ask(base_live, "train", "--adapter", "query")
    assert trained["improved"] is True
    assert trained["dev"]["best"] > trained["dev"]["start"]
    assert trained["space_id"] == base["space_id"] != trained["encoder_id"]
    assert trained["adapter"]["sides"] == "query"
    assert (trained["num_pairs"], trained["dev"]["num_documents"]) == (140, 80)

    measured = ask(base_live, "evaluate", "base", trained["model_id"])["results"]
    assert [each["metrics"]["nDCG@10"]["value"] for each in measured] == pytest.approx(
        [trained["dev"]["start"], trained["dev"]["best"]]
    )
    promoted = ask(base_live, "promote")  # the model trained last
    assert promoted["verdict"] == "promoted"
    status = ask(base_live, "status")
    assert (status["live"]["model_id"], status["live"]["space_id"]) == (trained["model_id"], base["space_id"])
    assert status["previous"]["release_id"] == base["release_id"]
    assert indexed(base_live) == index, "the same index serves"

    adapter = Adapter.load(base_live / ".nearer" / "models" / trained["encoder_id"])
    query_1D = open_system(opened(base_live), "base").encoder.encode_queries(["music and water"])
    scores = adapter.apply_queries(query_1D) @ vectors_of(base_live, base["space_id"]).T
    after = answers(ask, base_live)
    assert sorted(score for _, score in after) == pytest.approx(np.sort(scores[0]), abs=1e-5)
    assert [doc_id for doc_id, _ in after] != [doc_id for doc_id, _ in before]
    assert len(ask(base_live, "index")["indexes"]) == 1, "live and its predecessor share it"
    assert ask(base_live, "index", trained["model_id"], "--verify")["verdict"] == "ok"

    assert ask(base_live, "rollback")["model_id"] == base["model_id"]
    assert answers(ask, base_live) == before
    assert ask(base_live, "promote", promoted["release_id"])["verdict"] == "promoted"
    assert answers(ask, base_live) == after
    moves = [event["action"] for event in ask(base_live, "history")["events"]]
    assert moves == ["promote", "promote", "rollback", "promote"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("sides", ["shared", "separate"])
def test_an_adapter_of_both_sides_gets_an_index_by_one_product(ask, adapted, no_document_encoded, sides):
    folder, model_id = adapted(sides)
    before, base = answers(ask, folder), ask(folder, "status")["live"]
    [built] = ask(folder, "index", model_id)["indexes"]
    assert (built["num_encoded"], built["num_documents"]) == (0, 80)
    assert built["space_id"].startswith("space-")
    assert indexed(folder).keys() == {base["space_id"], built["space_id"]}
    encoder_id = ask(folder, "lineage", model_id)["lineage"][0]["encoder_id"]
    adapter = Adapter.load(folder / ".nearer" / "models" / encoder_id)
    np.testing.assert_allclose(
        vectors_of(folder, built["space_id"]),
        adapter.apply_documents(vectors_of(folder, base["space_id"])),
        atol=1e-6,
    )
    assert ask(folder, "promote", model_id, "--force", "--reason", "to see it live", code=None)["verdict"] == "promoted"
    assert ask(folder, "search", "music")["space_id"] == built["space_id"]
    assert len(ask(folder, "index")["indexes"]) == 2
    ask(folder, "rollback")
    assert answers(ask, folder) == before


@pytest.mark.exhaustive
def test_lineage_report_and_what_is_printed_know_the_adapter(ask, nearer, adapted):
    folder, model_id = adapted("query")
    mine, parent = ask(folder, "lineage", model_id)["lineage"]
    assert parent["model_id"] == ask(folder, "status")["live"]["model_id"]
    assert mine["encoder"]["adapter"] == {"sides": "query"}
    assert (mine["data"]["num_pairs"], mine["seed"]) == (140, 0)
    assert "query adapter, trained on 140 pairs" in nearer("lineage", model_id, "--dir", folder).out
    nearer("report", "--dir", folder)
    page = (folder / ".nearer" / "reports" / "report.html").read_text()
    assert model_id in page
    assert "140 pairs" in page
    said = nearer("train", "--adapter", "shared", "--dir", folder)
    assert "140 pairs, shared adapter" in said.out


def test_the_same_training_makes_the_same_adapter(ask, adapted):
    folder, model_id = adapted("query")
    assert ask(folder, "train", "--adapter", "query")["model_id"] == model_id
    assert ask(folder, "train", "--adapter", "query", "--set", "train.seed=1")["model_id"] != model_id


@pytest.mark.exhaustive
def test_adapters_lie_over_one_another(ask, adapted, no_document_encoded):
    folder, _ = adapted("shared")
    model_id = ask(folder, "train", "--adapter", "shared", "--set", "adapter.max_epochs=1")["model_id"]
    trained = ask(folder, "train", "--adapter", "query", "--from", model_id)
    [shared] = ask(folder, "index", model_id)["indexes"]
    assert trained["space_id"] == shared["space_id"]
    lineage = ask(folder, "lineage", trained["model_id"])["lineage"]
    assert [each["encoder"].get("adapter", {}).get("sides") for each in lineage] == ["query", "shared", None]
    [_, result] = ask(folder, "evaluate", model_id, trained["model_id"])["results"]
    assert result["metrics"]["nDCG@10"]["value"] == pytest.approx(trained["dev"]["best"])


def test_what_is_no_better_on_dev_is_not_registered(ask, nearer, base_live):
    before = ask(base_live, "status")["models"]
    trained = ask(base_live, "train", "--adapter", "query", "--set", "adapter.learning_rate=9")
    assert trained["improved"] is False
    assert trained["model_id"] == before[0]["model_id"]
    assert trained["dev"]["best"] == trained["dev"]["start"]
    assert ask(base_live, "status")["models"] == before
    assert not (base_live / ".nearer" / "models").exists() or not list((base_live / ".nearer" / "models").iterdir())
    assert "brought nothing better" in ask(base_live, "promote", code=2)["error"]["message"]
    said = nearer("train", "--adapter", "query", "--set", "adapter.learning_rate=9", "--dir", base_live)
    assert "nothing was better on training dev" in said.out


@pytest.mark.exhaustive
def test_an_api_is_adapted_without_asking_for_a_document_again(ask, beir, tmp_path, monkeypatch):
    monkeypatch.setattr("nearer.evaluation.comparison.examples", lambda *_, **__: [])  # explaining cuts some anew
    with EmbeddingServer(dimension=12) as server:
        api = {"endpoint": server.endpoint}
        recipe = {"encoder": {"model": "bag", "api": api}, "evaluate": {"num_resamples": 200}}
        Workspace.init(tmp_path / "api", recipe=recipe).close()
        folder = tmp_path / "api"
        ask(folder, "add", "beir", beir)
        ask(folder, "promote", "base")
        trained = ask(folder, "train", "--adapter", "separate", "--set", "adapter.learning_rate=0.01")
        assert trained["improved"] is True
        assert trained["api"]["num_requests"] > 0
        [built] = ask(folder, "index", trained["model_id"])["indexes"]
        assert built["num_encoded"] == 0
        ask(folder, "evaluate", "base", trained["model_id"])
        documents = [text for text in server.texts if "." in text and text not in PROBE]
        assert len(documents) == len(set(documents)) == 80
        server.model = "newer"
        assert ask(folder, "evaluate", trained["model_id"], code=2)["error"]["code"] == "model_refused"


# One index, two models


def test_live_goes_on_as_it_was_when_the_recipe_cuts_otherwise(ask, adapted):
    folder, model_id = adapted("query")
    index = indexed(folder)
    ask(folder, "promote", model_id, "--set", "chunk.max_tokens=16", code=None)
    assert indexed(folder) == index
    assert ask(folder, "search", "music")["stale"] == []


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_approximate_index_must_find_what_the_adapted_queries_look_for(ask, adapted, monkeypatch, opened):
    folder, model_id = adapted("query")
    sets = ("--set", "index.kind=lancedb", "--set", "index.exact_up_to=10")
    built = ask(folder, "index", *sets)["indexes"][0]
    assert built["index"]["recall"]["value"] >= 0.98
    assert ask(folder, "index", model_id, "--verify", *sets)["verdict"] == "ok"
    asked = []

    def low(_, query_emb_QD):
        asked.append(query_emb_QD)
        return Recall(value=0.5, k=10, num_queries=len(query_emb_QD), measured_on="queries")

    monkeypatch.setattr(LanceIndex, "recall", low)
    refused = ask(folder, "promote", model_id, *sets, code=3)
    assert any("recall@10 against exact search is 0.500" in reason for reason in refused["reasons"])
    lengths = np.linalg.norm(asked[0], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    base = open_system(opened(folder), "base").encoder
    assert not np.allclose(asked[0][0], base.encode_queries([first_query(folder, opened)])[0])


def first_query(folder, opened):
    """The first that recall is measured on."""
    queries = opened(folder).collection.queries()
    return min(queries, key=lambda query: text_hash(query.query_id)).text


# What it learns from


@pytest.fixture
def small(new_workspace, ask, opened, words):
    """A workspace of ten documents, graded 0 to 4, with a near-duplicate, a query's own text, and a grade between."""
    texts = [" ".join(words[8 * n : 8 * n + 8]) for n in range(10)]
    texts[1] = f"{texts[0]} {words[-1]}"  # nearly document 0
    queries = {f"q{n}": " ".join(words[8 * n : 8 * n + 3]) for n in range(6)}
    texts[9] = queries["q0"]
    folder = new_workspace(mining={"margins": [-1.0]})
    rows = {
        "corpus": [{"_id": f"d{n}", "text": text} for n, text in enumerate(texts)],
        "queries": [{"_id": query_id, "text": text} for query_id, text in queries.items()],
        "judgments": [
            *({"query_id": f"q{n}", "doc_id": f"d{n}", "grade": 4} for n in range(6)),
            {"query_id": "q0", "doc_id": "d5", "grade": 2},
            {"query_id": "q0", "doc_id": "d6", "grade": 1},
        ],
    }
    for kind, content in rows.items():
        ask(folder, "add", kind, write_jsonl(folder.parent / f"{kind}.jsonl", content))
    return opened(folder)


def known_of(workspace, learners, others=(), system="base"):
    return read_adapter_set(workspace, open_system(workspace, system), learners, others, progress=Silent())


def test_no_false_negative_is_learned_from(small):
    known = known_of(small, small.collection.queries())
    assert known.pairs.mining.margin == -1
    assert known.pairs.queries_E.tolist() == known.pairs.positives_E.tolist() == list(range(6))
    assert known.pairs.masked_E[0] == {0, 1, 5, 9}, "positive, near-duplicate, grade between, its own text; not grade 1"
    candidates = set(known.pairs.negatives_EC[0].tolist())
    assert not candidates & {0, 1, 5, 9}
    assert 6 in candidates
    assert known.pairs.mining.num_examples == 6


def test_rows_choose_what_is_learned_and_what_is_measured(adapted, opened):
    folder, _ = adapted("query")
    workspace = opened(folder)
    learners, dev = (read_judged_split(workspace, split).queries for split in ("train", "dev"))
    known = known_of(workspace, [*learners, *dev])
    some = known.examples(range(0, 40, 2))
    assert len(some.positives) == 20
    np.testing.assert_array_equal(some.query_emb_QD, known.query_emb_QD[0:40:2])
    settings = settings_of(workspace.recipe, "query")
    before = workspace.registry.history(), sorted(workspace.models.iterdir())
    rows = np.arange(len(known.query_emb_QD))
    for fold in range(2):
        mine, others = rows[rows % 2 == fold], rows[rows % 2 != fold]
        adapter, report = known.fit(others, mine, settings=settings, progress=Silent())
        assert known.measure(adapter, mine) == max(point.value for point in report.dev) >= report.dev[0].value
        assert report.num_examples == len(others)
    assert (workspace.registry.history(), sorted(workspace.models.iterdir())) == before


def test_a_set_without_pairs_for_some_queries_still_measures_them(adapted, opened, ask):
    folder, model_id = adapted("separate")
    workspace = opened(folder)
    learners, dev = (read_judged_split(workspace, split).queries for split in ("train", "dev"))
    known = known_of(workspace, learners[:9], dev)
    assert set(known.pairs.queries_E.tolist()) == set(range(9))
    adapter = Adapter.load(workspace.models / workspace.registry.model(model_id).encoder_id)
    [result] = ask(folder, "evaluate", model_id)["results"]
    value = known.measure(adapter, range(9, 9 + len(dev)))
    assert value == pytest.approx(result["metrics"]["nDCG@10"]["value"])


def test_queries_that_leak_are_left_out_of_both_sides(ask, new_workspace, beir, tmp_path):
    source = Path(shutil.copytree(beir, tmp_path / "leaky"))
    queries = [json.loads(line) for line in (source / "queries.jsonl").read_text().splitlines()]
    text_of = {query["_id"]: query["text"] for query in queries}
    for train, dev in (("q001-0", "q004-1"), ("q002-0", "q001-2")):  # one repeats a dev query, the other one of test
        next(query for query in queries if query["_id"] == train)["text"] = text_of[dev]
    next(query for query in queries if query["_id"] == "q008-1")["text"] = text_of["q003-2"]
    write_jsonl(source / "queries.jsonl", queries)
    folder = new_workspace()
    ask(folder, "add", "beir", source)
    trained = ask(folder, "train", "--adapter", "query", "--set", "adapter.max_epochs=1")
    assert (trained["num_pairs"], trained["dev"]["num_queries"]) == (138, 19)
    assert trained["num_excluded"] == {"queries": 3, "pairs": 0}


def test_pairs_given_as_text_are_said_to_be_unused(ask, nearer, base_live, tmp_path):
    pairs = write_jsonl(tmp_path / "pairs.jsonl", [{"query": "what is rain", "positive": "water that falls"}])
    ask(base_live, "add", "pairs", pairs)
    said = nearer("train", "--adapter", "query", "--dir", base_live)
    assert "1 pairs given as text are not used" in said.err


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--adapter", "both"), "--adapter both: no such adapter"),
        (("--adapter", "query", "--from", "run:x"), "is a ranking, not a model"),
        (("--adapter", "query", "--from", "model-0"), "no system 'model-0'"),
        (("--adapter", "query", "--set", "grades.max_grade=2", "--set", "grades.positive_from=2"), "positive grade"),
    ],
)
def test_what_cannot_work_is_refused(ask, base_live, options, message):
    error = ask(base_live, "train", *options, code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


def test_without_judged_queries_nothing_is_encoded(ask, new_workspace, beir, monkeypatch):
    folder = new_workspace()
    ask(folder, "add", "corpus", beir / "corpus.jsonl")
    monkeypatch.setattr(Encoder, "_encode", lambda *_, **__: pytest.fail("encoded"))
    assert "no judgments" in ask(folder, "train", "--adapter", "query", code=2)["error"]["message"]


def test_an_adapter_has_no_weights_to_train_further(ask, adapted):
    folder, model_id = adapted("query")
    error = ask(folder, "train", "--from", model_id, code=2)["error"]
    assert "is an adapter" in error["message"]
    assert "nearer lineage" in error["hint"]


def cut(folder, _):
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def drop(folder, _):
    shutil.rmtree(folder)


def drop_manifest(folder, _):
    (folder / "adapter.json").unlink()


def save_instead(folder, adapter):
    shutil.rmtree(folder)
    adapter.save(folder)


def of_another_dimension(folder, adapter):
    query = Map.identity(5)
    save_instead(folder, Adapter(space_id=adapter.space_id, query=query))


def of_another_base(folder, adapter):
    save_instead(folder, Adapter(space_id="enc-other", query=adapter.query))


def with_other_weights(folder, adapter):
    query = Map(weights={"matrix": adapter.query.weights["matrix"] + 1})
    save_instead(folder, Adapter(space_id=adapter.space_id, query=query))


def not_square(folder, adapter):
    """Weights that agree with their manifest, and with nothing else."""
    matrix = np.ones((3, 32), np.float32)
    query = Map(weights={"matrix": matrix})
    forged = Adapter(space_id=adapter.space_id, query=query)
    manifest = json.loads((folder / "adapter.json").read_text())
    (folder / "adapter.json").write_text(json.dumps({**manifest, "adapter_id": forged.adapter_id}))
    (folder / "adapter.safetensors").write_bytes(save({"query.matrix": matrix}))


def a_deep_manifest(folder, _):
    (folder / "adapter.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (cut, "model_refused", "damaged"),
        (drop, "model_refused", "holds no adapter"),
        (drop_manifest, "model_refused", "holds no adapter"),
        (of_another_dimension, "model_refused", "5 dimensions met an encoder of 32"),
        (of_another_base, "space_mismatch", "for vectors of enc-other"),
        (with_other_weights, "model_refused", "now makes enc-"),
        (not_square, "model_refused", "matrix of shape (3, 32)"),
        (a_deep_manifest, "model_refused", "damaged"),
    ],
)
def test_files_that_are_not_what_was_registered_are_refused(ask, adapted, damage, code, message):
    folder, model_id = adapted("query")
    encoder_id = ask(folder, "lineage", model_id)["lineage"][0]["encoder_id"]
    path = folder / ".nearer" / "models" / encoder_id
    damage(path, Adapter.load(path))
    for verb in (("evaluate", model_id), ("promote", model_id), ("index", model_id)):
        error = ask(folder, *verb, code=2)["error"]
        assert (error["code"], message in error["message"]) == (code, True), error
        assert error["hint"]
    assert ask(folder, "search", "music")["results"], "live is another"


def test_another_word_than_there_is(opened, base_live):
    with pytest.raises(InputError, match="no such adapter"):
        settings_of(opened(base_live).recipe, "fixed")


# Killed


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("step", ["adapter.manifest", "adapt.model", "adapt.registered"])
def test_a_killed_training_leaves_all_or_nothing_and_can_be_repeated(ask, base_live, adapted, step):
    _, model_id = adapted("query")
    before, live = ask(base_live, "status"), answers(ask, base_live)
    train = ("train", "--adapter", "query", "--dir", base_live)
    assert processes.run(*train, die_at=step).was_killed
    known = [each["model_id"] for each in ask(base_live, "status")["models"]]
    assert known in ([before["live"]["model_id"]], [before["live"]["model_id"], model_id])
    assert answers(ask, base_live) == live
    if model_id in known:
        assert ask(base_live, "evaluate", model_id)["results"]
    assert processes.run(*train).code == 0
    assert ask(base_live, "status")["models"][-1]["model_id"] == model_id
    assert len(list((base_live / ".nearer" / "models").iterdir())) == 1
    assert not list(base_live.rglob(".tmp-*"))
    assert ask(base_live, "promote")["verdict"] == "promoted"
