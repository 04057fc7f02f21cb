"""A library that only some users need is missing: the error holds the command that installs it."""

import sys
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from nearer.core.errors import InputError
from nearer.retrieval.index import open_index
from nearer.training.feasible import refuse_hopeless
from nearer.training.unfinished import TrainingRequest, refuse_nonsense
from retrieval.making import FIRST, POLICIES, SPACE, build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hide(monkeypatch):
    return lambda module: monkeypatch.setitem(sys.modules, module, None)


def command(work):
    with pytest.raises(InputError) as caught:
        work()
    return caught.value.hint


def test_all_has_every_extra_and_nothing_that_everybody_gets():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: deps for name, deps in project["optional-dependencies"].items() if name not in ("all", "dev")}
    assert project["optional-dependencies"]["all"] == [f"nearer[{','.join(extras)}]"]
    assert not {each for deps in extras.values() for each in deps} & set(project["dependencies"])


def test_lance(hide, tmp_path):
    build(tmp_path, POLICIES["lancedb"], FIRST)
    hide("lancedb")
    install = "install it: pip install 'nearer[lance]'"
    assert command(lambda: build(tmp_path / "new", POLICIES["lancedb"], FIRST)) == install
    assert command(lambda: open_index(tmp_path, space_id=SPACE)) == install
    assert not (tmp_path / "new").exists()
    build(tmp_path / "exact", POLICIES["exact"], FIRST)


def test_lora(hide, make_workspace, tiny_encoder):
    workspace = make_workspace({"train": {"lora_rank": 2}})
    hide("peft")
    refused = command(lambda: refuse_hopeless(workspace, tiny_encoder, num_examples=100, num_dev_queries=100))
    assert refused == "install it: pip install 'nearer[lora]'"
    refuse_hopeless(make_workspace(name="plain"), tiny_encoder, num_examples=100, num_dev_queries=100)


def test_search(hide):
    hide("optuna")
    asked = TrainingRequest(verb="train", recipe={}, start="base")
    assert command(partial(refuse_nonsense, replace(asked, num_trials=3))) == "install it: pip install 'nearer[search]'"
    refuse_nonsense(replace(asked, num_seeds=3))
