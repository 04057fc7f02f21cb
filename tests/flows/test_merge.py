"""A trained model merged with the base: a weight between, what it breaks is told, and it is a model like any other."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import processes
from evaluation.test_suite import TEXTS, write_suite
from nearer.core.errors import InputError
from nearer.encode.encoder import Encoder
from nearer.flows.merge import merge
from nearer.store.workspace import Workspace
from nearer.systems import open_local
from nearer.training.dev_set import DevSet


@pytest.fixture
def model_id(ask, trained):
    return ask(trained, "status")["models"][-1]["model_id"]


def weights(folder, system):
    workspace = Workspace.open(folder)
    found = {name: each.clone() for name, each in open_local(workspace, system).encoder.model.state_dict().items()}
    workspace.close()
    return found


def models(ask, folder):
    return [each["model_id"] for each in ask(folder, "status")["models"]]


def test_a_weight_of_ones_own_makes_a_model_between(ask, trained, model_id):
    decided = ask(trained, "history")["events"]
    merged = ask(trained, "merge", model_id, "--weight", 0.3)
    assert ask(trained, "history")["events"] == decided, "a merge decides nothing"
    assert (merged["is_new"], merged["weight"], len(merged["points"])) == (True, 0.3, 3)
    base, tuned, between = (weights(trained, name) for name in ("base", model_id, merged["model_id"]))
    for name, each in between.items():
        torch.testing.assert_close(each, 0.7 * base[name] + 0.3 * tuned[name])
    assert ask(trained, "merge", model_id, "--weight", 0.3)["model_id"] == merged["model_id"]
    first, *parents = ask(trained, "lineage", merged["model_id"])["lineage"]
    base_id = merged["parents"][1]
    assert first["merged"] == {"model_id": base_id, "weight": 0.3}
    assert [each["model_id"] for each in parents] == [model_id, base_id]
    measured = ask(trained, "evaluate", "base", merged["model_id"])
    assert measured["results"][1]["model_id"] == merged["model_id"]


def test_an_end_is_a_model_that_is_there(ask, trained, model_id):
    before = models(ask, trained)
    assert ask(trained, "merge", model_id, "--weight", 1)["model_id"] == model_id
    ended = ask(trained, "merge", model_id, "--weight", 0)
    assert (ended["is_new"], ended["model_id"]) == (False, before[0])
    assert models(ask, trained) == before


def found(ask, folder, system, text):
    ask(folder, "promote", system, "--force", "--reason", "to look", code=None)
    return [each["doc_id"] for each in ask(folder, "search", text, "-k", 80)["results"]]


@pytest.mark.exhaustive
def test_what_breaks_a_case_is_reported_and_shown(ask, trained, model_id, tmp_path):
    before = [each["doc_id"] for each in ask(trained, "search", TEXTS[0], "-k", 80)["results"]]
    after = found(ask, trained, model_id, TEXTS[0])
    lost = next(doc_id for doc_id in before[:10] if after.index(doc_id) > before.index(doc_id))
    k = before.index(lost) + 1
    case = {"name": "kept", "query": TEXTS[0], "must": [lost], "k": k}
    file = write_suite(tmp_path / "suite.toml", case, {**case, "name": "hopeless", "k": 1, "must": before[-1:]})
    setting = ("--set", f'gate.suite="{file}"')
    merged = ask(trained, "merge", model_id, "--weight", 0.99, *setting)
    first, between, last = merged["points"]
    assert (first["num_cases"], first["newly_failing"], last["newly_failing"]) == (2, [], ["kept"])
    assert merged["broken"] == between["newly_failing"]
    page = Path(ask(trained, "report")["report"]).read_text()
    section = page.split('<section id="merge">')[1].split("</section>")[0]
    assert f"cases that pass by weight: {first['num_cases'] - 1} at 0" in section
    assert "Cases of the regression suite that pass" in page


def test_the_suite_is_run_as_the_verb_runs_it(ask, trained, model_id, tmp_path):
    cases = [{"name": text, "query": text, "must": ["d001"], "k": 10 + n} for n, text in enumerate(TEXTS)]
    file = write_suite(tmp_path / "suite.toml", *cases)
    ran = ask(trained, "suite", "base", model_id, "--file", file, code=None)
    merged = ask(trained, "merge", model_id, "--weight", 1, "--set", f'gate.suite="{file}"')
    assert [each["num_failed"] for each in merged["points"]] == [each["num_failed"] for each in ran["results"]]
    assert merged["broken"] == ran["changes"][0]["newly_failing"]


def test_models_that_do_not_fit_are_refused(ask, trained, model_id, tmp_path, tiny_model_folder):
    assert (
        "one model" in ask(trained, "merge", model_id, "--with", model_id, "--weight", 0.5, code=2)["error"]["message"]
    )
    assert "not between 0 and 1" in ask(trained, "merge", model_id, "--weight", 1.5, code=2)["error"]["message"]
    encoder = Encoder.load(str(tiny_model_folder))
    other = shutil.copytree(tiny_model_folder, tmp_path / "other")
    content = json.loads((other / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = not content["normalizer"]["lowercase"]
    (other / "tokenizer.json").write_text(json.dumps(content))
    message = ask(trained, "merge", model_id, "--with", other, "--weight", 0.5, code=2)["error"]["message"]
    assert "differ in their tokenizer: no weight of one means" in message
    encoder.model.transformers_model.encoder.layer = encoder.model.transformers_model.encoder.layer[:1]
    encoder.model.transformers_model.config.num_hidden_layers = 1
    encoder.save(tmp_path / "small")
    message = ask(trained, "merge", model_id, "--with", tmp_path / "small", "--weight", 0.5, code=2)["error"]["message"]
    assert "differ in their architecture" in message
    prompted = ("--set", "encoder.query_prompt=find: ")
    assert "prompts" in ask(trained, "merge", model_id, "--weight", 0.5, *prompted, code=2)["error"]["message"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", ["merge.model", "merge.registered"])
@pytest.mark.slow
def test_killed_at_a_step_it_can_be_repeated(ask, trained, model_id, step):
    whole = shutil.copytree(trained, trained.parent / "whole")
    wanted = ask(whole, "merge", model_id, "--weight", 0.5)
    before = models(ask, trained)
    assert processes.run("merge", model_id, "--weight", 0.5, "--dir", trained, die_at=step).was_killed
    assert models(ask, trained) in (before, [*before, wanted["model_id"]])
    assert ask(trained, "merge", model_id, "--weight", 0.5) == wanted
    assert models(ask, trained) == [*before, wanted["model_id"]]
    assert not list(trained.rglob(".tmp-*"))


def test_a_model_that_is_broken_is_reported(trained, model_id, monkeypatch):
    monkeypatch.setattr(DevSet, "measure", lambda self, encoder: float("nan"))
    workspace = Workspace.open(trained)
    with pytest.raises(InputError, match="at weight 0 vectors are not numbers"):
        merge(workspace, model_id, weight=0.5)
    assert len(workspace.registry.models()) == 2
    workspace.close()
