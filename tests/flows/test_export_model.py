"""A model exported as a plain folder: equal vectors without Nearer, a card that the Hub's library reads, and a push."""

import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import OfflineModeIsEnabled
from sentence_transformers import SentenceTransformer

from embedding_server import EmbeddingServer
from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.flows.adapt import adapt
from nearer.flows.compress import compress
from nearer.flows.export_model import export_model
from nearer.flows.merge import merge
from nearer.flows.rotate import rotate
from nearer.flows.train import train
from nearer.store.workspace import Workspace
from nearer.systems import open_system

TEXTS = ["music and water", "the king of a river " * 40, "雨 naïve", "x"]


@pytest.fixture(scope="module")
def workspace(_made, tmp_path_factory):
    folder = Path(shutil.copytree(_made["trained"], tmp_path_factory.mktemp("export-model") / "workspace"))
    with Workspace.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def models(workspace):
    """``models(kind)``: the id of a model of that kind, made when it is first asked for."""
    first = workspace.registry.models()[-1].model_id
    lora = {"train.lora_rank": 4, "train.lora_alpha": 32, "train.learning_rate": 0.01}
    queries = {"train.sides": "query", "train.learning_rate": 3e-3}

    def with_recipe(values):
        return workspace.with_values({"train.passes": 1, **values})

    makers = {
        "lora": lambda: train(with_recipe(lora)),
        "merged": lambda: merge(workspace, first, weight=0.5),
        "rotated": lambda: rotate(workspace, "base"),
        "compressed": lambda: compress(workspace, made("rotated"), dimension=8),
        "shared adapter": lambda: adapt(workspace, "shared"),
        "separate adapter": lambda: adapt(workspace, "separate"),
        "query adapter": lambda: adapt(workspace, "query"),
        "compressed query adapter": lambda: compress(workspace, made("query adapter"), dimension=16),
        "queries alone": lambda: train(with_recipe(queries)),
    }

    @cache
    def made(kind):
        return {"base": "base", "trained": first}.get(kind) or makers[kind]()["model_id"]

    return made


KINDS = {
    **dict.fromkeys(("base", "trained", "lora", "merged", "rotated", "compressed", "shared adapter"), False),
    **dict.fromkeys(("separate adapter", "query adapter", "compressed query adapter", "queries alone"), True),
}
"""Kinds of models, and whether queries and documents take different ways through them."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_gives_our_vectors_without_us(workspace, models, tmp_path, kind):
    ours = open_system(workspace, models(kind)).encoder
    made = export_model(workspace, tmp_path / "out", system=models(kind))
    loaded = SentenceTransformer(str(tmp_path / "out"), local_files_only=True)
    for mine, theirs in ((ours.encode_queries, loaded.encode_query), (ours.encode_documents, loaded.encode_document)):
        np.testing.assert_allclose(theirs(TEXTS), mine(TEXTS), atol=1e-6, rtol=0)
    assert made.is_routed is KINDS[kind]
    assert made.dimension == ours.dimension == loaded.get_embedding_dimension()
    assert made.max_difference <= 1e-6
    assert made.num_compared > 20
    if made.is_routed:
        with pytest.raises(ValueError, match="route"):
            loaded.encode(TEXTS)
    else:
        np.testing.assert_allclose(loaded.encode(TEXTS), ours.encode_documents(TEXTS), atol=1e-6, rtol=0)
    back = open_system(workspace, str(tmp_path / "out")).encoder
    np.testing.assert_allclose(back.encode_queries(TEXTS), ours.encode_queries(TEXTS), atol=1e-6, rtol=0)
    assert (back.encoder_id == ours.encoder_id) == (kind in ("base", "trained", "lora", "merged"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_prompts_and_length_go_with_it(base_live, tmp_path, opened):
    prompts = ('encoder.query_prompt="query: "', 'encoder.document_prompt="passage: "')
    workspace = opened(base_live, *prompts, "encoder.max_seq_length=16")
    ours = open_system(workspace, "base").encoder
    export_model(workspace, tmp_path / "out", system="base")
    loaded = SentenceTransformer(str(tmp_path / "out"), local_files_only=True)
    assert loaded.prompts == {"query": "query: ", "document": "passage: "}
    np.testing.assert_allclose(loaded.encode_query(TEXTS), ours.encode_queries(TEXTS), atol=1e-6, rtol=0)
    np.testing.assert_allclose(loaded.encode_document(TEXTS), ours.encode_documents(TEXTS), atol=1e-6, rtol=0)
    assert "Queries begin with `query: `" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_has_figures_with_intervals_data_and_limits(ask, trained, tmp_path, tiny_model_folder):
    model = ask(trained, "status")["models"][-1]["model_id"]
    measured = ask(trained, "evaluate", "base", model, "--split", "test")
    ask(trained, "evaluate", "base", f"{model}+hybrid")
    made = ask(trained, "export", "model", model, tmp_path / "out")
    assert made["measured_on"] == ["test"], "a hybrid system says nothing of the model alone"
    card = ModelCard.load(tmp_path / "out" / "README.md")
    figures = {each.metric_name: each for each in card.data.eval_results}
    [values] = [each for each in measured["results"] if each["model_id"] == model]
    assert figures.keys() == values["metrics"].keys()
    for name, interval in values["metrics"].items():
        figure = figures[name]
        assert figure.metric_value == pytest.approx(interval["value"], abs=1e-6)
        assert figure.metric_args["low"] == pytest.approx(interval["low"], abs=1e-6)
        assert figure.metric_args["high"] == pytest.approx(interval["high"], abs=1e-6)
        assert (figure.dataset_split, figure.metric_args["num_queries"]) == ("test", measured["num_queries"])
    assert figures["nDCG@10"].metric_type == "ndcg_at_10"
    assert (card.data.library_name, card.data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    [link, _] = ask(trained, "lineage", model)["lineage"]
    difference = measured["comparisons"][0]["difference"]
    for part in (
        link["data"]["pairs_id"],
        f"{difference:+.3f} [",
        f"The split test was used {measured['ledger']['num_test_uses']} times",
        "reads the first 64 tokens",
        made["space_id"],
    ):
        assert part in card.text, part
    assert str(tiny_model_folder.parent) not in str(card), "no path of this machine is published"


@pytest.mark.exhaustive
def test_without_a_figure_the_card_says_so(ask, nearer, base_live, tmp_path):
    made = ask(base_live, "export", "model", "base", tmp_path / "out")
    assert made["measured_on"] == []
    assert "Nothing was measured of it yet" in (tmp_path / "out" / "README.md").read_text()
    assert ModelCard.load(tmp_path / "out" / "README.md").data.eval_results == []
    assert "has no figures" in nearer("export", "model", "base", tmp_path / "again", "--dir", base_live).out


def test_the_license_of_a_local_base_is_kept(ask, tiny_model_folder, new_workspace, beir, tmp_path):
    base = Path(shutil.copytree(tiny_model_folder, tmp_path / "licensed"))
    (base / "README.md").write_text("---\nlicense: mit\n---\n# base\n")
    folder = new_workspace(encoder={"model": str(base)})
    ask(folder, "export", "model", "base", tmp_path / "out")
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.base_model) == ("mit", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["base+hybrid", "out"], "base+hybrid is more than a model: hybrid"),
        (["bm25", "out"], "is more than a model"),
        (["model-0", "out"], "no system 'model-0'"),
        (["base", "full"], "is there, and not an empty folder"),
        (["base", "file"], "is there, and not an empty folder"),
        (["base", "file/below"], "cannot be written"),
        (["base", "out", "third"], "too many names"),
        (["base", "out", "--push", "no-owner"], "no owner before the name"),
        (["base", "out", "--push", "a/b/c"], "no owner before the name"),
        (["base", "out", "--push", "a/-b!"], "Repo id must"),
        (["base", "out", "--push", "a/b"], "no token of the Hugging Face Hub"),
        (["base", "out", "--public"], "--public says nothing without --push"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(
    ask, base_live, tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    assert said in ask(base_live, "export", "model", *arguments, code=2)["error"]["message"]
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_push_is_of_a_model_alone(ask, base_live, tmp_path):
    error = ask(base_live, "export", "vectors", tmp_path / "v", "--push", "a/b", code=2)["error"]
    assert error["code"] == "usage"


def test_an_encoder_behind_an_api_is_refused(tmp_path, beir):
    with EmbeddingServer(dimension=12) as server:
        recipe = {"encoder": {"model": "bag", "api": {"endpoint": server.endpoint}}}
        with (
            Workspace.init(tmp_path / "api", recipe=recipe) as workspace,
            pytest.raises(InputError, match="behind an API"),
        ):
            export_model(workspace, tmp_path / "out", system="base")
    assert not (tmp_path / "out").exists()


def test_vectors_that_would_differ_are_refused(base_live, opened, tmp_path, monkeypatch):
    monkeypatch.setattr("nearer.flows.export_model.TOLERANCE", -1.0)
    with pytest.raises(ModelRefused, match="differ by"):
        export_model(opened(base_live), tmp_path / "out", system="base")
    assert list(tmp_path.iterdir()) == [base_live]


class FakeHub:
    """Stands for huggingface_hub's client: remembers what was made and uploaded."""

    def __init__(self, fault=None):
        self.fault, self.made, self.uploaded = fault, [], {}

    def create_repo(self, repo_id, *, private, exist_ok):
        self.made.append((repo_id, private, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        if self.fault:
            raise self.fault
        files = [path for path in Path(folder_path).rglob("*") if path.is_file()]
        self.uploaded = {str(path.relative_to(folder_path)): path.read_bytes() for path in files}
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1", message=commit_message)


@pytest.mark.parametrize("public", [False, True])
def test_push_makes_a_repository_and_uploads_the_whole_folder(base_live, opened, tmp_path, public):
    hub = FakeHub()
    made = export_model(opened(base_live), tmp_path / "out", system="base", push="me/shop", public=public, hub=hub)
    assert hub.made == [("me/shop", not public, True)]
    assert made.url == "https://hub/me/shop/commit/1"
    assert {"README.md", "model.safetensors", "modules.json"} <= hub.uploaded.keys()
    assert hub.uploaded["README.md"] == (tmp_path / "out" / "README.md").read_bytes()


@pytest.mark.parametrize("fault", [OfflineModeIsEnabled("offline"), ConnectionError("refused\nand more")])
def test_a_refused_push_leaves_the_folder_and_says_how_to_go_on(base_live, opened, tmp_path, fault):
    with pytest.raises(ServiceError) as caught:
        export_model(opened(base_live), tmp_path / "out", system="base", push="me/shop", hub=FakeHub(fault))
    assert "hf upload me/shop" in caught.value.hint
    assert "and more" not in caught.value.message
    assert (tmp_path / "out" / "model.safetensors").is_file()
