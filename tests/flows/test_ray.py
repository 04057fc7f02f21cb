"""The command line with a Ray cluster: indexes and mined negatives are those of this process."""

import shutil
from contextlib import nullcontext

import numpy as np
import pytest

from nearer.core.progress import Silent
from nearer.encode import cache, corpus, ray_engine
from nearer.encode.corpus import embed_passages
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from on_cluster import clusters


@pytest.fixture(scope="module")
def two():
    """Two machines of a processor each."""
    with clusters(2, num_cpus=1) as cluster:
        yield cluster


def encode_backwards(encoder, side, blocks):
    """As a cluster does, the last block first."""
    encode = encoder.encode_queries if side == "queries" else encoder.encode_documents
    yield from ((number, encode(blocks[number])) for number in reversed(range(len(blocks))))


@pytest.fixture(params=["no machines", "two machines"])
def sent(request, monkeypatch):
    """Whatever is encoded goes to a cluster, ten texts a block; or to what stands for one."""
    monkeypatch.setattr(cache, "WORTH_SENDING", 1)
    monkeypatch.setattr(corpus, "BLOCK_TEXTS", 10)
    if request.param == "two machines":
        request.getfixturevalue("two")
        return "Ray: 2 machines, 2 CPU, 0 GPU"
    monkeypatch.setattr(ray_engine, "on_ray", lambda progress: nullcontext(progress.say("Ray: none")))
    monkeypatch.setattr(ray_engine, "encode_blocks", encode_backwards)
    return "Ray: none"


def cached(folder):
    """The passages of the base's index and their vectors; how many were not in the cache."""
    with Workspace.open(folder) as workspace:
        texts = [each.full_text for each in workspace.collection.documents()]
        return embed_passages(workspace, open_system(workspace, "base").encoder, texts, Silent())


def forget(folder):
    for name in ("embeddings", "indexes"):
        shutil.rmtree(folder / ".nearer" / name)


def test_an_index_is_the_one_that_is_built_here(base_live, sent, ask, nearer):
    ask(base_live, "index")
    local, _ = cached(base_live)
    forget(base_live)
    outcome = nearer("index", "--engine", "ray", "--json", "--dir", base_live)
    assert outcome.exit_code == 0, outcome.err
    [built] = outcome.json["indexes"]
    assert built["num_encoded"] > 20
    assert sent in outcome.err
    found, num_missing = cached(base_live)
    assert num_missing == 0
    np.testing.assert_allclose(found, local, atol=1e-5)
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    [again] = ask(base_live, "index", "--engine", "ray")["indexes"]
    assert again["num_encoded"] == 0


def test_a_training_mines_on_the_cluster_what_it_would_mine_here(base_live, sent, ask, tmp_path):
    other = shutil.copytree(base_live, tmp_path / "other")
    settings = ("--set", "train.evals_per_pass=2", "--set", "train.dropout=0.0")
    here, there = ask(base_live, "train", *settings), ask(other, "train", "--engine", "ray", *settings)
    assert [each["mining"] for each in there["passes"]] == [each["mining"] for each in here["passes"]]
    assert there["passes"][-1]["mining"]
    assert there["passes"][-1]["fit"]["losses"] == pytest.approx(here["passes"][-1]["fit"]["losses"], rel=1e-3)


def test_what_trains_no_encoder_takes_no_engine(base_live, nearer):
    outcome = nearer("train", "--adapter", "query", "--engine", "ray", "--dir", base_live)
    assert outcome.exit_code == 2
    assert "takes no --budget, --search, --seeds or --engine" in outcome.err


def test_an_engine_that_is_none_is_refused_before_anything_is_done(base_live, nearer):
    outcome = nearer("index", "--engine", "spark", "--dir", base_live)
    assert outcome.exit_code == 2
    assert "choose one of: local, ray" in outcome.err
