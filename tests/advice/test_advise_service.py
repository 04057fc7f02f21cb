"""Another encoder behind an API, set beside a local base: measured, priced, written, released, and refused in time."""

import tomllib

import pytest

import nearer as package
from embedding_server import EmbeddingServer, status
from nearer.advice.advice_data import AdviceData
from nearer.advice.confirm import build
from nearer.advice.models import encoder_remedies
from nearer.advice.rows import row_of
from nearer.advice.write import write_changes
from nearer.core.errors import InputError, RecipeError, ServiceError
from nearer.core.progress import Silent
from nearer.core.recipe import Recipe, load_recipe
from nearer.encode.api import PROBE
from nearer.flows.add import add
from nearer.store.workspace import Workspace
from nearer.systems import open_system

QUICK = {
    "advise": {"curve_pairs": 16, "min_pairs": 10},
    "adapter": {"max_epochs": 2},
    "evaluate": {"num_resamples": 200},
}
KEY = "sk-very-secret-0123456789"
PRICE = 1000.0


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    with EmbeddingServer(key=KEY) as running:
        yield running


@pytest.fixture
def entry(server):
    """What the recipe says of the service."""
    api = {"endpoint": server.endpoint, "key_env": "EMBEDDING_KEY", "price_per_million_tokens": PRICE}
    return {"model": "bag", "api": api}


@pytest.fixture
def beside(new_workspace, beir, entry, server):
    """A workspace with a local base, and the service to be set beside it."""
    workspace = Workspace.open(new_workspace(**{**QUICK, "advise": {**QUICK["advise"], "encoders": [entry]}}))
    add(workspace, "beir", beir)
    yield workspace
    workspace.close()


@pytest.mark.slow
def test_a_service_is_measured_beside_a_local_base_and_what_it_took_is_reported(beside, server):
    result = package.advise(beside)
    [row] = [each for each in result["remedies"] if each["name"] == "api:bag"]
    assert (row["word"], row["index_work"], row["reindex_hours"]) == ("change_encoder", "re-embed", None)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["storage_bytes"] == 80 * server.dimension * 4
    assert row["latency_ms"]["p50"] > 0
    counted = sum(len(text.split()) for text in server.texts)
    assert result["api"]["num_requests"] == len(server.requests)
    assert (result["api"]["num_tokens"], result["api"]["is_recorded"]) == (counted, True)
    assert result["api"]["cost_usd"] == pytest.approx(counted * PRICE / 1e6)
    documents = [text for text in server.texts if "." in text and text not in PROBE]
    assert len(documents) == len(set(documents)) == 80, "no document was paid for twice"


def test_its_tokens_are_priced_and_not_the_hours_of_this_machine(beside, entry):
    recipe = beside.recipe.model_copy(
        update={"cost": beside.recipe.cost.model_copy(update={"machine_usd_per_hour": 3600.0})}
    )
    priced = Workspace(folder=beside.folder, recipe=recipe, database=beside.database)
    data = AdviceData(priced, Silent())
    [(remedy, rate)] = encoder_remedies(data)
    texts = [document.full_text for document in data.corpus.documents]
    assert rate.num_tokens == data.others["api:bag"].encoder.estimated_tokens(texts)
    row = row_of(data, remedy, rate).described
    assert row["cost"]["reindex_usd"] == pytest.approx(rate.num_tokens * PRICE / 1e6)
    assert remedy.changes == {"encoder": entry}


def test_what_is_written_makes_it_the_base_which_is_measured_and_released(beside, ask):
    data = AdviceData(beside, Silent())
    [(remedy, _)] = encoder_remedies(data)
    before = build(beside, data, remedy.name, remedy.changes, write=False)
    assert (before.name, before.written) == ("api:bag", ())
    path = beside.folder / "nearer.toml"
    path.write_text("# ours\n" + path.read_text().replace("[encoder]", "[encoder]\nmax_seq_length = 16"))
    advised = build(beside, data, remedy.name, remedy.changes, write=True)
    assert advised.name == "base"
    assert advised.system is data.others["api:bag"]
    text = path.read_text()
    assert text.startswith("# ours\n")
    assert KEY not in text
    written = tomllib.loads(text)
    assert written["encoder"] == remedy.changes["encoder"], "nothing of the former base's encoder stays"
    assert written["advise"]["encoders"] == [remedy.changes["encoder"]]
    [line] = advised.written
    assert load_recipe(None, overrides=(line.replace(" = ", "=", 1),)).encoder == load_recipe(path).encoder
    [result] = ask(beside.folder, "evaluate", "base")["results"]
    assert result["model_id"] == advised.system.model.model_id
    promoted = ask(beside.folder, "promote", "base")
    assert promoted["verdict"] == "promoted"
    assert ask(beside.folder, "search", "music and water")["space_id"] == advised.system.model.space_id


@pytest.mark.exhaustive
def test_its_printed_name_is_a_system_like_any_other(beside, ask, server):
    compared = ask(beside.folder, "evaluate", "base", "api:bag")
    assert [each["system"] for each in compared["results"]] == ["base", "api:bag"]
    assert ask(beside.folder, "promote", "api:bag")["verdict"] == "promoted"
    (beside.folder / "nearer.toml").write_text("")
    assert ask(beside.folder, "search", "music")["results"], "a release needs no recipe"
    error = ask(beside.folder, "evaluate", "base", "api:bag", code=2)["error"]
    assert "no system 'api:bag'" in error["message"]


def test_its_weights_are_not_here_to_be_trained(beside, ask, server):
    assert "behind an API" in ask(beside.folder, "train", "--from", "api:bag", code=2)["error"]["message"]
    assert server.requests == []


def test_how_it_is_asked_follows_its_entry_when_it_is_live(beside, ask, monkeypatch):
    ask(beside.folder, "promote", "api:bag")
    monkeypatch.setenv("OTHER_KEY", KEY)
    monkeypatch.delenv("EMBEDDING_KEY")
    assert "EMBEDDING_KEY" in ask(beside.folder, "search", "music", code=2)["error"]["message"]
    path = beside.folder / "nearer.toml"
    path.write_text(path.read_text().replace("EMBEDDING_KEY", "OTHER_KEY"))
    assert ask(beside.folder, "search", "music")["results"]


def refused(workspace, monkeypatch, kind):
    """How the advice ends, which must not get as far as an adapter or a learning curve, nor to the base's vectors."""
    monkeypatch.setattr("nearer.advice.measuring.adapter_remedies", lambda *_: pytest.fail("it went on to measure"))
    with pytest.raises(kind) as caught:
        package.advise(workspace)
    return caught.value


def test_a_service_that_refuses_is_reported_before_anything_is_encoded(beside, server, monkeypatch):
    monkeypatch.setattr("nearer.encode.embedded.embed_passages", lambda *_: pytest.fail("the base encoded"))
    server.fault_of = lambda _: status(401, "Incorrect API key provided")
    error = refused(beside, monkeypatch, ServiceError)
    assert server.endpoint in error.message
    assert KEY not in error.message
    monkeypatch.delenv("EMBEDDING_KEY")
    assert "EMBEDDING_KEY holds no key" in refused(beside, monkeypatch, InputError).message


def test_a_service_that_fails_at_the_documents_is_reported_before_the_long_measuring(beside, server, monkeypatch):
    server.fault_of = lambda request: None if request.texts[0] in PROBE else status(400, "no money left")
    assert "no money left" in refused(beside, monkeypatch, ServiceError).message


# The recipe


def encoders(*entries):
    return Recipe.model_validate({"encoder": {"batch_size": 8}, "advise": {"encoders": entries}}).other_encoders


def test_names_and_tables_stand_side_by_side():
    api = {"endpoint": "https://api.test/v1"}
    found = encoders("./other", {"model": "big", "api": api}, {"model": "big", "api": {**api, "dimensions": 256}})
    assert list(found) == ["./other", "api:big", "api:big@256"]
    assert [each.batch_size for each in found.values()] == [8] * 3
    assert encoders({"model": "x", "query_prompt": "query: ", "batch_size": 32})["x"].batch_size == 32


def test_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"advise.encoders: \./other is there more than once"):
        Workspace.init(tmp_path / "new", recipe={"advise": {"encoders": ["./other", "./other"]}})


def test_a_key_put_where_its_name_belongs_is_not_shown():
    with pytest.raises(RecipeError, match=r"advise\.encoders\.0.api.key_env: must be the name") as caught:
        load_recipe(
            None, overrides=(f'advise.encoders=[{{model="x", api={{endpoint="https://a/v1", key_env="{KEY}"}}}}]',)
        )
    assert KEY not in str(caught.value)


def test_an_encoder_of_a_folder_that_is_written_is_the_base_as_it_was_measured(new_workspace, beir, tiny_model_folder):
    """The former base's length and prompts do not stay behind."""
    made = new_workspace(encoder={"query_prompt": "find: "}, advise={"encoders": [str(tiny_model_folder)]})
    workspace = Workspace.open(made)
    add(workspace, "beir", beir)
    data = AdviceData(workspace, Silent())
    [(remedy, _)] = encoder_remedies(data)
    assert remedy.name == str(tiny_model_folder)
    write_changes(workspace, remedy.changes)
    written = Workspace.open(made)
    assert open_system(written, "base").model.model_id == data.others[remedy.name].model.model_id
    assert data.system.model.model_id != data.others[remedy.name].model.model_id
    for each in (workspace, written):
        each.close()
