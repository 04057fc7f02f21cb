"""Models of folders and of the Hub as systems: named as they are, measured with what they declare, never trusted."""

import json
import shutil

import pytest

from nearer.core.errors import ModelRefused, NotFound
from nearer.encode.encoder import Encoder
from nearer.flows.compress import compress
from nearer.flows.evaluate import evaluate
from nearer.flows.lineage import lineage
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace
from nearer.systems import open_system


@pytest.fixture
def other_folder(tiny_model_folder, tmp_path):
    """A model that differs from the base in its prompts."""
    folder = tmp_path / "models" / "other"
    shutil.copytree(tiny_model_folder, folder)
    config = json.loads((folder / "config_sentence_transformers.json").read_text())
    prompts = {"query": "music: ", "document": "river: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**config, "prompts": prompts}))
    return folder


def test_models_from_anywhere_stand_in_one_table_each_compared_with_the_first(
    ask, nearer, trained, other_folder, tiny_model_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    names = ["base", "live", model_id, "models/other", str(tiny_model_folder), "./models/other"]
    result = ask(trained, "evaluate", *names)
    assert [each["system"] for each in result["results"]] == names
    by_name = {each["system"]: each for each in result["results"]}
    assert by_name[str(tiny_model_folder)]["metrics"] == by_name["base"]["metrics"]
    assert by_name[str(tiny_model_folder)]["model_id"] == by_name["base"]["model_id"]
    assert by_name["models/other"]["model_id"] == by_name["./models/other"]["model_id"]
    assert by_name["models/other"]["metrics"] != by_name["base"]["metrics"]
    compared = [each for each in result["comparisons"] if each["metric"] == "nDCG@10"]
    assert [(each["baseline"], each["candidate"]) for each in compared] == [("base", name) for name in names[1:]]
    table = nearer("evaluate", *names, "--dir", trained).out.splitlines()[1]
    assert table.split() == names


def test_the_model_is_measured_with_the_prompts_and_lengths_that_it_declares(
    base_live, other_folder, tiny_model_folder
):
    workspace = Workspace.open(base_live, overrides=("encoder.max_seq_length=32", "encoder.query_prompt='law: '"))
    settings = open_system(workspace, str(other_folder)).encoder.settings
    assert (settings.query_prompt, settings.document_prompt) == ("music: ", "river: ")
    assert settings.max_seq_length == Encoder.load(str(tiny_model_folder)).settings.max_seq_length == 64
    workspace.close()


@pytest.mark.exhaustive
def test_it_can_be_measured_again_by_its_id_and_go_live(ask, base_live, other_folder):
    [found] = ask(base_live, "evaluate", other_folder)["results"]
    [again] = ask(base_live, "evaluate", found["model_id"])["results"]
    assert again["metrics"] == found["metrics"]
    forced = ask(base_live, "promote", other_folder, "--force", "--reason", "a test", code=None)
    assert forced["verdict"] == "promoted"
    assert ask(base_live, "status")["live"]["model_id"] == found["model_id"]
    assert len(ask(base_live, "search", "music", "-k", 3)["results"]) == 3
    assert ask(base_live, "rollback")["previous"] == forced["release_id"]


def test_a_copy_of_a_known_model_does_not_take_its_place(base_live, tiny_model_folder, tmp_path):
    copy = shutil.copytree(tiny_model_folder, tmp_path / "copy")
    workspace = Workspace.open(base_live)
    known = open_system(workspace, "base").model
    assert open_system(workspace, str(copy)).model == known
    shutil.rmtree(copy)
    assert open_system(workspace, "live").model == known
    workspace.close()


def test_a_model_that_moved_is_found_at_its_new_place(base_live, other_folder, tmp_path):
    workspace = Workspace.open(base_live)
    model_id = open_system(workspace, str(other_folder)).model.model_id
    other_folder.rename(tmp_path / "moved")
    with pytest.raises(ModelRefused, match="no such model folder"):
        open_system(workspace, model_id)
    open_system(workspace, str(tmp_path / "moved"))
    assert workspace.registry.model(model_id).source == str(tmp_path / "moved")
    assert open_system(workspace, model_id).model.model_id == model_id
    workspace.close()


def test_the_installed_model_has_a_name_of_its_own(base_live, monkeypatch, tiny_encoder):
    asked = []
    monkeypatch.setattr(Encoder, "load", lambda source, **_: asked.append(source) or tiny_encoder)
    workspace = Workspace.open(base_live)
    assert open_system(workspace, "all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"
    assert open_system(workspace, "owner/model").name == "owner/model"
    assert asked == ["all-MiniLM-L6-v2", "owner/model"]
    workspace.close()


@pytest.mark.parametrize("name", ["nobody", "model-0123456789ab", "all-mpnet-base-v2", "release-0", "LIVE", "", "a\0b"])
def test_what_is_no_system_is_reported_with_what_there_is(base_live, name):
    workspace = Workspace.open(base_live)
    with pytest.raises(NotFound) as caught:
        open_system(workspace, name)
    assert workspace.registry.models()[0].model_id in caught.value.message
    assert "OWNER/MODEL" in caught.value.hint
    workspace.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./absent", "no such model folder"),
        ("~nobody-of-this-name/model", "no such model folder"),
        ("/etc/hostname", "no such model folder"),
        ("empty", "holds no .safetensors weights"),
        ("pickled", "pytorch_model.bin may run code"),
        ("owner/absent", "cannot be loaded"),
        ("owner/" + "x" * 5000, "cannot be loaded"),
        ("a/b\0c", "cannot be loaded"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_measured(
    base_live, tiny_model_folder, tmp_path, monkeypatch, name, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    shutil.copytree(tiny_model_folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    workspace = Workspace.open(base_live)
    before = workspace.registry.models()
    with pytest.raises(ModelRefused, match=message.replace(".", r"\.")) as caught:
        open_system(workspace, name)
    assert caught.value.hint
    assert workspace.registry.models() == before
    workspace.close()


def test_a_name_that_fails_leaves_no_look_at_the_test_split(ask, base_live):
    before = ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"]
    error = ask(base_live, "evaluate", "base", "./absent", "--split", "test", code=2)["error"]
    assert error["code"] == "model_refused"
    assert ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"] == before + 1


@pytest.mark.exhaustive
def test_the_base_is_entered_by_what_is_made_of_it_and_not_by_being_measured(make_workspace, fill_workspace):
    workspace = make_workspace()
    fill_workspace(workspace, num_documents=40)
    base_id = evaluate(workspace, ["base"]).results[0].model_id
    assert workspace.registry.models() == []
    [link] = lineage(workspace, "base").lineage
    assert (link.model_id, link.releases, link.data) == (base_id, (), None)
    small = compress(workspace, "base", dimension=8)
    assert workspace.registry.model_ids() == [base_id, small.model_id]
    assert [each.model_id for each in lineage(workspace, small.model_id).lineage] == [small.model_id, base_id]
    assert evaluate(workspace, [small.model_id]).results[0].model_id == small.model_id
    released = promote(workspace, "base")
    assert lineage(workspace, "base").lineage[0].releases == (released.release_id,)
