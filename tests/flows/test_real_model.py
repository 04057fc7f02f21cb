"""The main job with the real base model on real data: this machine's standard library, and sets beside the checkout."""

import json
import re
from pathlib import Path

import pytest

from folders import write_jsonl
from nearer.flows import demo as demo_module
from nearer.flows.demo.corpus import stdlib_functions
from nearer.flows.demo.rows import GROUP, DemoSize, choose, held_out

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[3] / "shared" / "data"
SMALL = DemoSize(
    num_documents=240,
    num_queries={"train": 128, "dev": 40, "test": 40},
    max_seq_length=16,
    train={"passes": 1, "freeze_embeddings": True, "evals_per_pass": 2, "learning_rate": 1e-4, "batch_size": 16},
)


@pytest.fixture(autouse=True)
def _few_threads():
    """As many threads as are sure not to wait for one another on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def functions():
    """The functions of the standard library, which take seconds to parse."""
    return list(stdlib_functions())


@pytest.fixture
def library(tmp_path, functions):
    """The rows of a small part of the standard library, one file a kind."""
    side_of = {module: side for side, modules in held_out().items() for module in modules}
    rows = choose(functions, SMALL, side_of=lambda module: side_of.get(module, "train"))
    return {kind: write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]) for kind in ("corpus", "queries", "judgments")}


@pytest.mark.exhaustive
def test_training_brings_the_real_model_nearer_and_can_be_undone(ask, nearer, library, tmp_path):
    folder, sides = tmp_path / "shop", held_out()
    assert nearer("init", folder).exit_code == 0
    groups = {name: json.dumps(sides[name]) for name in ("dev", "test")}
    with (folder / "nearer.toml").open("a", encoding="utf-8") as recipe:
        recipe.write(
            f"[encoder]\nmax_seq_length = {SMALL.max_seq_length}\n[chunk]\nenabled = false\n"
            f'[split]\nby = "group"\nfield = "{GROUP}"\ndev_groups = {groups["dev"]}\ntest_groups = {groups["test"]}\n'
            "[train]\npasses = 1\nlearning_rate = 1e-4\nbatch_size = 16\nevals_per_pass = 2\nfreeze_embeddings = true\n"
        )
    for kind, path in library.items():
        ask(folder, "add", kind, path)
    checked = ask(folder, "check")
    assert (checked["verdict"], checked["num_leaks"]) == ("ok", 0)
    assert checked["splits"] == SMALL.num_queries

    first = ask(folder, "promote", "base")
    assert first["evaluation"]["num_groups"] > 1
    trained = ask(folder, "train")
    assert trained["improved"]
    assert trained["dev"]["best"] > trained["dev"]["start"]

    question = "Return the path of a file, made relative to another folder."
    before = ask(folder, "search", question)
    second = ask(folder, "promote", "--force", "--reason", "a small set proves little")
    assert second["verdict"] == "promoted"
    after = ask(folder, "search", question)
    assert after["space_id"] == trained["encoder_id"] != before["space_id"]
    assert ask(folder, "rollback")["release_id"] == first["release_id"]
    assert ask(folder, "search", question) == before


def test_a_small_demo_tells_its_story_in_one_object_and_one_page(nearer, functions, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_module, "QUICK", SMALL)
    monkeypatch.setattr(demo_module, "stdlib_functions", lambda: functions)
    outcome = nearer("demo", "--json", "--dir", tmp_path / "demo")
    result = outcome.json
    assert outcome.exit_code == (3 if result["verdict"] == "refused" else 0), outcome.err
    assert {"base", "candidate", "comparison", "verdict", "report", "duration_s"} <= result.keys()
    assert result["verdict"] in ("promoted", "refused", "kept the base")
    assert "nDCG@10" in result["base"]["metrics"]
    if result["verdict"] != "kept the base":
        assert result["comparison"]["metric"] == "nDCG@10"
        values = [result[side]["metrics"]["nDCG@10"]["value"] for side in ("base", "candidate")]
        assert result["comparison"]["difference"] == pytest.approx(values[1] - values[0])
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"@import|url\((?!['\"]?(?:data:|#))", page)


@pytest.mark.skipif(not (DATA / "pubmedqa").is_dir(), reason="no folder ../shared/data/pubmedqa beside the checkout")
def test_a_real_beir_set_is_imported_whole(ask, nearer, tmp_path):
    source = DATA / "pubmedqa"
    assert nearer("init", tmp_path / "shop").exit_code == 0
    added = ask(tmp_path / "shop", "add", "beir", source)
    for kind, name in (("documents", "corpus.jsonl"), ("queries", "queries.jsonl")):
        assert added["counts"][kind] == num_lines(source / name)
    qrels = {path.stem: num_lines(path) - 1 for path in (source / "qrels").glob("*.tsv")}
    assert added["counts"]["judgments"] == sum(qrels.values())
    assert added["splits"].keys() >= qrels.keys()


def num_lines(path):
    with path.open(encoding="utf-8") as file:
        return sum(bool(line.strip()) for line in file)
