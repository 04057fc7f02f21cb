"""Training on several sources: how often each comes, which share batches, and what is told and kept of it."""

import shutil
from pathlib import Path

import pytest

from folders import synthetic_rows, write_jsonl
from nearer.core.errors import RecipeError
from nearer.core.results.training_plan import Costs
from nearer.flows.add import add
from nearer.flows.train import train
from nearer.learn.examples import Example
from nearer.learn.objective import Objective
from nearer.store.workspace import Workspace
from nearer.training import passes as passes_module
from nearer.training import prepare
from nearer.training.training_data import data_of, say_sources
from power import PowerCut, cut_at
from said import Said
from training.test_resume import outcome

SINGLE = "train.batches=single"
WEIGHTS = "train.source_weights={bought = 0.5, unnamed = 1.5}"


@pytest.fixture(scope="module")
def _prepared(tmp_path_factory, tiny_recipe, beir):
    """A workspace of judged queries without a source, and of 30 pairs that were bought."""
    root = tmp_path_factory.mktemp("sources")
    short = {**tiny_recipe["train"], "max_dev_queries": 20, "max_positives": 1}
    workspace = Workspace.init(root / "filled", recipe={**tiny_recipe, "train": short})
    add(workspace, "beir", beir)
    documents = [row["text"] for row in synthetic_rows(num_documents=80)["corpus"]]
    rows = [
        {"query": f"{' '.join(text.split()[:3])} ?", "positive": text, "source": "bought"} for text in documents[:30]
    ]
    add(workspace, "pairs", write_jsonl(root / "pairs.jsonl", rows))
    workspace.close()
    return root / "filled"


@pytest.fixture
def folder(_prepared, tmp_path):
    return shutil.copytree(_prepared, tmp_path / "workspace")


@pytest.fixture
def run(folder):
    """Train; all that it leaves, and what was said."""

    def run(*overrides, **asked):
        workspace, said = Workspace.open(folder, overrides=overrides), Said()
        try:
            return outcome(workspace, train(workspace, **asked, progress=said)), said.said
        finally:
            workspace.close()

    return run


@pytest.fixture
def batches(monkeypatch):
    """The sources of the examples in every batch that was learned from, in a list a pass."""
    seen, fit = [], passes_module.fit

    def fitted(model, examples, **options):
        seen.append([])
        forward = Objective.__call__

        def spy(self, model, batch):
            seen[-1].append([examples[row].source for row in batch.rows])
            return forward(self, model, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Objective, "__call__", spy)
            return fit(model, examples, **options)

    monkeypatch.setattr(passes_module, "fit", fitted)
    return seen


def test_each_source_comes_as_often_as_it_weighs_in_batches_of_its_own(run, batches, folder):
    got, said = run(SINGLE, WEIGHTS)
    num_judged = got["result"]["num_pairs"] - 30
    sources = [
        {"source": "unnamed", "num_pairs": num_judged, "weight": 1.5, "num_drawn": round(1.5 * num_judged)},
        {"source": "bought", "num_pairs": 30, "weight": 0.5, "num_drawn": 15},
    ]
    assert len(batches) == 2, "pass 2 learns from mined examples, whose sources are theirs"
    for learned in batches:
        assert all(len(set(batch)) == 1 for batch in learned)
        assert sum(batch.count("bought") for batch in learned) == 15
        assert sum(batch.count("") for batch in learned) == sources[0]["num_drawn"]
    assert [each["fit"]["num_steps"] for each in got["result"]["passes"]] == [len(learned) for learned in batches]
    assert got["result"]["passes"][0]["fit"]["num_negatives"] < 15
    assert (got["result"]["num_sources"], got["result"]["sources"]) == (2, sources)
    assert got["training"]["data"]["sources"] == sources
    reported = (
        f"an epoch draws {sources[0]['num_drawn']} of unnamed ({num_judged} pairs x 1.5), 15 of bought (30 pairs x 0.5)"
    )
    assert said[0] == reported


@pytest.mark.exhaustive
def test_one_source_is_not_told_of(run, batches):
    got, said = run("train.source_weights.unnamed=0", "train.passes=1")
    assert said[0].startswith("leaves out ")
    assert said[0].endswith(" pairs of the source unnamed, which weighs 0")
    assert got["result"]["num_pairs"] == 30
    assert {name for batch in batches[0] for name in batch} == {"bought"}
    assert not any("draws" in line for line in said)


def test_queries_say_their_source_in_a_field(run):
    got, said = run("train.source_field=year", "train.passes=1", "train.max_pairs=40")
    assert got["result"]["num_sources"] == len(got["result"]["sources"]) > 8
    assert {each["source"] for each in got["result"]["sources"]} <= {"bought", *map(str, range(2015, 2025))}
    assert said[0].endswith(f"and {got['result']['num_sources'] - 8} more sources")


@pytest.mark.parametrize(
    ("weights", "reason", "hint"),
    [
        (
            "{clicks = 2, bougth = 1}",
            "names 'bougth', 'clicks', of which there are no",
            "bought, unnamed; see train.sou",
        ),
        ("{bought = 0, unnamed = 0}", "is 0 for every source there is", "above 0"),
    ],
)
def test_weights_that_cannot_be(run, weights, reason, hint):
    with pytest.raises(RecipeError, match=reason) as caught:
        run(f"train.source_weights={weights}")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("train.source_weights.bought=-1", "train.source_weights.bought: Input should be greater than or equal to 0"),
        ("train.source_weights.bought=1e9", "train.source_weights.bought: Input should be less than or equal to 1000"),
        ("train.source_weights.bought=nan", "train.source_weights.bought: "),
        ("train.source_weights=3", "train.source_weights: Input should be a valid dictionary"),
        ("train.batches=both", "train.batches: Input should be 'mixed' or 'single'"),
    ],
)
def test_settings_that_cannot_be(nearer, folder, setting, reason):
    reported = nearer("train", "--json", "--dir", folder, "--set", setting)
    assert reported.exit_code == 2
    assert reason in reported.json["error"]["message"]


ORDERED = (SINGLE, WEIGHTS, "train.epochs=1.5", "train.checkpoint_steps=1")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_training_that_was_cut_short_ends_the_same_whatever_the_order(run, monkeypatch, folder):
    clean = shutil.copytree(folder, folder.parent / "clean")
    wanted, _ = run(*ORDERED)
    shutil.rmtree(folder)
    shutil.copytree(clean, folder)
    for step, time in (("train.checkpoint", 3), ("train.mined", 1), ("train.checkpoint", 2)):
        with monkeypatch.context() as patch:
            cut_at(patch, step, time)
            with pytest.raises(PowerCut):
                run(*ORDERED)
    got, said = run(*ORDERED)
    assert got == wanted
    assert any(line.startswith("goes on from pass 2, step 2 of ") for line in said)


@pytest.mark.exhaustive
def test_other_weights_are_another_run(run, monkeypatch):
    with monkeypatch.context() as patch:
        cut_at(patch, "train.checkpoint", 1)
        with pytest.raises(PowerCut):
            run(WEIGHTS, "train.passes=1", "train.evals_per_pass=2")
    _, said = run("train.source_weights.bought=2", SINGLE, "train.passes=1", "train.evals_per_pass=2")
    assert not any(line.startswith("goes on from") for line in said)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_time_is_planned_by_the_batches_that_there_will_be(run, batches, monkeypatch):
    costs = Costs(encode_s=1e-9, train_s=1e-9, step_s=100.0)
    monkeypatch.setattr(prepare, "measure_costs", lambda *args, **options: costs)
    settings = (SINGLE, "train.source_weights={bought = 3}", "train.passes=1")
    whole, _ = run(*settings, budget=1e7)
    plan = whole["result"]["budget"]["plan"]
    assert round(plan["estimate_s"] / 100) == whole["result"]["passes"][0]["fit"]["num_steps"] == len(batches[-1])
    part, _ = run(*settings, budget=1250)
    assert part["result"]["passes"][0]["fit"]["num_steps"] == 11, "0.9 of the time"
    assert 0 < part["result"]["num_pairs"] < whole["result"]["num_pairs"]


@pytest.mark.exhaustive
def test_the_report_shows_what_was_drawn(run, folder, ask):
    got, _ = run(WEIGHTS, "train.passes=1")
    page = Path(ask(folder, "report")["report"]).read_text(encoding="utf-8")
    [drawn] = [each["num_drawn"] for each in got["result"]["sources"] if each["source"] == "unnamed"]
    assert "What an epoch drew of each source" in page
    assert f'<bdi>unnamed</bdi></th><td class="num">{got["result"]["num_pairs"] - 30}</td>' in page
    assert f'<td class="num">1.5</td><td class="num">{drawn}</td>' in page


def test_what_is_written_down_of_very_many_sources_is_the_largest(folder):
    examples = [Example(anchor=f"a{n}", positive="p", source=f"s{n}") for n in range(70) for _ in range(n + 1)]
    with Workspace.open(folder) as workspace:
        written = data_of(examples, workspace, 1, at_end=1)
    assert written.num_sources == 70
    assert [each.num_drawn for each in written.sources] == list(range(70, 20, -1))
    said = Said()
    say_sources(examples, {}, said)
    assert said.said[-1].endswith("and 62 more sources")
