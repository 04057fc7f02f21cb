"""Mining in a training: candidates of several sources, and a resumed run."""

import json
from contextlib import closing

import numpy as np
import pytest

from folders import synthetic_rows, write_beir, write_jsonl
from learn.test_resume import flip
from nearer.core.progress import Silent
from nearer.core.sections import MiningRecipe
from nearer.flows.add import add
from nearer.flows.report import report
from nearer.flows.train import train
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.adapter_set import read_adapter_set
from nearer.training.mining import propose
from power import PowerCut, cut
from training.test_resume import outcome

ALL = {"sources": ["dense", "bm25"]}


@pytest.fixture
def vectors():
    """Random unit vectors: of 5 anchors, and of 40 passages that share words with them in no order."""
    rng = np.random.default_rng(0)
    passages = [" ".join(rng.choice(["rain", "snow", "wind", "fog", "hail"], 4)) + f" n{row}" for row in range(40)]
    anchors = ["rain snow", "wind", "hail fog rain", "of the", "snow wind"]
    emb = [rng.standard_normal((len(texts), 16)).astype(np.float32) for texts in (anchors, passages)]
    return passages, anchors, *(each / np.linalg.norm(each, axis=1, keepdims=True) for each in emb)


def test_every_proposal_has_the_score_of_the_model(vectors):
    passages, anchors, anchor_emb_AD, passage_emb_PD = vectors
    recipe = MiningRecipe(sources=ALL["sources"], top_k=3)
    found = propose(recipe, passages, anchors, anchor_emb_AD, passage_emb_PD, most_masked=2, language="english")
    assert found.sources_K == ("dense",) * 5 + ("bm25",) * 5
    is_there = found.rows_AK >= 0
    expected = np.take_along_axis(anchor_emb_AD @ passage_emb_PD.T, np.maximum(found.rows_AK, 0), axis=1)
    np.testing.assert_allclose(found.scores_AK[is_there], expected[is_there], rtol=1e-5)
    assert np.isneginf(found.scores_AK[~is_there]).all()
    assert (np.diff(found.scores_AK[:, :5], axis=1) <= 0).all(), "dense: best first"
    words = LexicalIndex(passages).search(anchors, k=5).rows_QK
    assert (found.rows_AK[:, 5:10] == words).all()
    assert (words[3] == -1).all(), "stop words find nothing"


@pytest.mark.slow
def test_three_passes_draw_from_all_sources_and_keep_samples(make_workspace, fill_workspace):
    workspace = make_workspace({"train": {"passes": 3}, "mining": ALL})
    fill_workspace(workspace, num_documents=40)
    result = train(workspace)
    first, second, third = (each["mining"] for each in result["passes"])
    assert first is None
    assert [each["source"] for each in second["sources"]] == ALL["sources"]
    assert sum(each["num_drawn"] for each in third["sources"]) >= third["num_examples"] - third["num_filled_at_random"]
    assert len(third["samples"]) == 10
    assert workspace.registry.training_of(result["model_id"]).passes[2].mining == third
    page = report(workspace)["report"]
    with open(page, encoding="utf-8") as file:
        assert "10 drawn negatives of pass 3 to look at" in file.read()


def test_an_adapter_draws_from_the_same_sources(make_workspace, fill_workspace):
    workspace = make_workspace({"mining": {"sources": ["dense", "bm25"], "top_k": 2, "margins": [-1.0]}})
    fill_workspace(workspace, num_documents=40, queries_each=1)
    queries = workspace.collection.queries()
    known = read_adapter_set(workspace, open_system(workspace, "base"), queries, progress=Silent())
    dense, by_bm25 = known.pairs.mining.sources
    assert (dense.num_drawn, by_bm25.num_drawn) == (None, None), "they are drawn anew each epoch"
    assert min(dense.num_proposed, by_bm25.num_proposed) >= 2 * len(queries)
    num_kept_E = (known.pairs.negatives_EC >= 0).sum(axis=1)
    assert num_kept_E.max() > 2, "more than one source has"
    assert all(len(set(rows[rows >= 0])) == (rows >= 0).sum() for rows in known.pairs.negatives_EC)


@pytest.mark.parametrize(("sources", "named"), [((), "sources"), (("dense", "dense"), "twice")])
def test_sources_that_cannot_work_are_refused(sources, named):
    with pytest.raises(ValueError, match=named):
        MiningRecipe(sources=sources)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("loss", "mined"), [("none", False), ("cosine", False), ("mnrl", True)])
def test_what_learns_from_scores_of_pairs_mines_nothing_and_needs_no_linear_map(new_workspace, tmp_path, loss, mined):
    rows = synthetic_rows(num_documents=40)
    only_dev = write_beir(tmp_path / "dev", rows, split_of=lambda _: "dev")
    texts = [row["text"] for row in rows["corpus"]]
    pairs = [
        {"query": f"{' '.join(text.split()[:3])} ?", "positive": texts[(n + n % 2) % 40], "score": float(1 - n % 2)}
        for n, text in enumerate(texts)
    ]
    settings = {"warm_start_epochs": 1, **({} if loss == "none" else {"loss": loss})}
    with closing(Workspace.open(new_workspace(train=settings))) as workspace:
        add(workspace, "beir", only_dev)
        add(workspace, "pairs", write_jsonl(tmp_path / "pairs.jsonl", pairs))
        begun = train(workspace)["passes"]
    passes = [each for each in begun if each["number"]]
    assert len(begun) - len(passes) == int(mined)
    assert [each["fit"]["loss"] for each in passes] == [loss if loss != "none" else "cosent"] * 2
    assert [each["mining"] is not None for each in passes] == [False, mined]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_run_of_several_rounds_cut_short_everywhere_ends_the_same(tmp_path, tiny_recipe, beir, monkeypatch):
    recipe = {
        **tiny_recipe,
        "name": "several rounds",
        "train": {**tiny_recipe["train"], "passes": 3, "max_pairs": 40, "max_dev_queries": 20},
        "mining": ALL,
    }
    outcomes = []
    for name in ("whole", "cut"):
        workspace = Workspace.init(tmp_path / name, recipe=recipe)
        add(workspace, "beir", beir)
        if name == "cut":
            cut_after_each(["train.mined", "train.pass"] * 3, workspace, monkeypatch)
        outcomes.append(outcome(workspace, train(workspace)))
        workspace.close()
    assert outcomes[0] == outcomes[1]
    assert json.loads(json.dumps(outcomes[0]["training"]["passes"]))[2]["mining"]["sources"][1]["num_drawn"] > 0


def cut_after_each(steps, workspace, monkeypatch):
    """Train until the power went at each of the steps; what pass 2 had mined is damaged when that pass is over."""
    left = list(steps)

    cut(monkeypatch, lambda step: step in left and not left.remove(step))
    for number in range(len(steps)):
        if number == 3:
            assert list(workspace.training.glob("run-*/pass-2/result"))
            [mined] = workspace.training.glob("run-*/pass-2/mined/report.json")
            flip(mined)
        with pytest.raises(PowerCut):
            train(workspace)
    monkeypatch.undo()
