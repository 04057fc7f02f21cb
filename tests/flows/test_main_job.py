"""The main job through the command line, with a tiny model: what is answered, and what must hold in between."""

import json
import math
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import nearer as package
from folders import small_rows, write_beir, write_jsonl
from nearer.core.errors import InputError
from nearer.evaluation.grades import scale_of
from nearer.learn import fit as fit_module
from nearer.learn.checkpoint import weights_of
from nearer.retrieval.index import open_index
from nearer.store.workspace import Workspace
from nearer.training import passes as passes_module

OF_RANKS = ["nDCG@10", "Recall@1", "Recall@10", "Recall@50", "Precision@10", "MRR@10", "MAP"]
MEASURES = [*OF_RANKS, "Judged@10"]
COMPARISON = {
    "baseline",
    "candidate",
    "metric",
    "difference",
    "low",
    "high",
    "p_value",
    "num_wins",
    "num_losses",
    "num_ties",
    "p_adjusted",
    "detectable",
    "num_queries_needed",
    "num_queries_more",
}


def live(ask, folder):
    return ask(folder, "status")["live"]


def model_of(ask, folder):
    return ask(folder, "status")["models"][-1]["model_id"]


def scores(ask, folder, text, k=1000):
    return {each["doc_id"]: each["score"] for each in ask(folder, "search", text, "-k", k)["results"]}


def edit(ask, folder, **row):
    return ask(folder, "add", "corpus", write_jsonl(folder.parent / "edit.jsonl", [row]))


# The whole job


def test_import_and_measure(ask, new_workspace, beir):
    folder = new_workspace()
    added = ask(folder, "add", "beir", beir)
    assert added["counts"] == {"documents": 80, "queries": 240, "judgments": 240, "pairs": 0}
    assert added["splits"] == {"dev": 20, "test": 80, "train": 140}
    assert ask(folder, "check")["verdict"] == "ok"

    on_dev, on_test = ask(folder, "evaluate"), ask(folder, "evaluate", "base", "--split", "test")
    assert (on_dev["split"], on_dev["num_queries"], on_dev["comparisons"]) == ("dev", 20, [])
    assert (on_test["split"], on_test["num_queries"]) == ("test", 80)
    [base] = on_test["results"]
    assert {"system", "model_id", "encoder_id", "space_id", "metrics", "slices"} <= base.keys()
    assert base["system"] == "base"
    assert base["space_id"] == base["encoder_id"]
    assert list(base["metrics"]) == MEASURES
    for interval in base["metrics"].values():
        assert interval.keys() == {"value", "low", "high"}
        assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1


def test_train_and_compare(ask, base_live):
    trained = ask(base_live, "train", "--set", "train.passes=1")
    assert {"model_id", "encoder_id", "passes", "dev", "duration_s"} <= trained.keys()
    assert trained["improved"] is True
    assert len(trained["passes"]) == 1
    assert trained["dev"]["best"] > trained["dev"]["start"]

    both = ask(base_live, "evaluate", "live", trained["model_id"], "base")
    assert [each["system"] for each in both["results"]] == ["live", trained["model_id"], "base"]
    before, after, base = both["results"]
    assert before["model_id"] == base["model_id"] == live(ask, base_live)["model_id"]
    assert (after["model_id"], after["encoder_id"]) == (trained["model_id"], trained["encoder_id"])
    assert before["metrics"] == base["metrics"]
    assert [each["metric"] for each in both["comparisons"]] == MEASURES * 2
    assert {each["baseline"] for each in both["comparisons"]} == {"live"}
    for comparison in both["comparisons"][: len(MEASURES)]:
        assert comparison.keys() == COMPARISON
        assert comparison["num_wins"] + comparison["num_losses"] + comparison["num_ties"] == 20
        values = [each["metrics"][comparison["metric"]]["value"] for each in (before, after)]
        assert comparison["difference"] == pytest.approx(values[1] - values[0])


def test_promote_search_roll_back_and_go_forward(ask, trained):
    before = ask(trained, "status")
    first, model_id = before["live"]["release_id"], before["models"][-1]["model_id"]
    assert before["previous"] is None
    second = ask(trained, "promote")
    assert {"verdict", "reasons", "release_id"} <= second.keys()
    assert second["verdict"] == "promoted"
    status = ask(trained, "status")
    assert status["live"].keys() >= {"release_id", "model_id", "space_id", "num_documents"}
    assert (status["live"]["release_id"], status["live"]["model_id"]) == (second["release_id"], model_id)
    assert status["live"]["num_documents"] == 80
    assert status["previous"]["release_id"] == first

    found = ask(trained, "search", "music and water", "-k", "7")
    assert (found["release_id"], found["space_id"]) == (second["release_id"], status["live"]["space_id"])
    assert len(found["results"]) == 7
    assert all(
        each.keys() == {"doc_id", "score", "title", "text", "metadata", "passage", "identical_ids"}
        for each in found["results"]
    )
    ranked = [each["score"] for each in found["results"]]
    assert ranked == sorted(ranked, reverse=True)

    undone = ask(trained, "rollback")
    assert (undone["release_id"], undone["previous"]) == (first, second["release_id"])
    assert ask(trained, "search", "music")["release_id"] == first
    assert ask(trained, "rollback", code=2)["error"]["code"] == "not_found"

    forward = ask(trained, "promote", second["release_id"])
    assert (forward["verdict"], forward["release_id"]) == ("promoted", second["release_id"])
    assert ask(trained, "status")["previous"]["release_id"] == first
    assert ask(trained, "promote", second["release_id"], code=2)["error"]["code"] == "bad_input"
    events = [(event["action"], event["release_id"]) for event in ask(trained, "history")["events"]]
    wanted = [("promote", first), ("promote", second["release_id"]), ("rollback", first)]
    assert events == [*wanted, ("promote", second["release_id"])]


@pytest.mark.parametrize("verb", ["status", "history", "check", "index", "evaluate", "report", "lineage"])
def test_every_result_can_be_read_by_a_person_too(nearer, base_live, verb):
    said = nearer(verb, "--dir", base_live)
    assert said.exit_code == 0, said.err
    assert said.out.strip()
    assert "{" not in said.out


def test_progress_is_reported_on_stderr_only(nearer, base_live):
    outcome = nearer("train", "--json", "--dir", base_live, "--set", "train.passes=1")
    assert outcome.exit_code == 0
    assert "pass 1: nDCG@10 on training dev" in outcome.err
    assert re.search(r"loss mnrl \(pairs of a query and a positive\), \d+ negatives a query", outcome.err)
    assert json.loads(outcome.out)["num_pairs"] == 140


def test_judgments_of_several_grades_are_learned_from_as_such(ask, nearer, new_workspace, graded_beir):
    folder = new_workspace()
    ask(folder, "add", "beir", graded_beir)
    reported = nearer("train", "--json", "--dir", folder, "--set", "train.passes=1")
    assert "loss mnrl (several grades: the higher above the lower, all above the unjudged)" in reported.err
    graded = reported.json
    assert graded["improved"]
    binary = ask(folder, "train", "--set", "train.passes=1", "--set", "train.graded=false")
    reports = [each["passes"][0]["fit"] for each in (graded, binary)]
    assert reports[1]["why"] == "pairs of a query and a positive"
    assert graded["num_pairs"] == binary["num_pairs"] == 140
    assert reports[0]["num_negatives"] > reports[1]["num_negatives"], "those judged lower come along"


@pytest.mark.exhaustive
def test_what_frozen_layers_made_in_one_pass_serves_the_next(ask, base_live, monkeypatch):
    seen, freeze = [], fit_module.frozen

    @contextmanager
    def spy(transformer, number, *, kept):
        seen.append((kept, len(kept.by_tokens)))
        with freeze(transformer, number, kept=kept):
            yield

    monkeypatch.setattr(fit_module, "frozen", spy)
    assert len(ask(base_live, "train", "--set", "train.freeze_layers=1")["passes"]) == 2
    (first, at_first), (second, at_second) = seen
    assert first is second
    assert at_first == 0 < 140 < at_second


@pytest.mark.exhaustive
def test_every_pass_is_pulled_to_the_weights_that_training_began_with(ask, base_live, monkeypatch):
    starts, models, fit = [], [], passes_module.fit

    def spy(model, *args, sides, **options):
        starts.append(sides.start)
        models.append(weights_of(model))
        return fit(model, *args, sides=sides, **options)

    monkeypatch.setattr(passes_module, "fit", spy)
    ask(base_live, "train", "--set", "train.l2_sp=0.01")
    for name, each in models[0].items():
        assert all(start[name].equal(each) for start in starts)
    assert len(starts) == 2
    assert any(not models[1][name].equal(each) for name, each in models[0].items())
    ask(base_live, "train", "--set", "train.passes=1")
    assert starts[2] is None


# Numbers


@pytest.mark.parametrize("grades", [1, 4])
def test_evaluate_agrees_with_what_search_returns(ask, new_workspace, tmp_path, words, grades):
    folder, rows = new_workspace(), small_rows(words, num_documents=8, grades=grades)
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    ask(folder, "promote", "base")
    measured = ask(folder, "evaluate", "--split", "test")["results"][0]["metrics"]

    relevant_from = 2 if grades == 4 else 1
    values = {"nDCG@10": [], "Recall@1": [], "Precision@10": [], "MRR@10": []}
    for query in rows["queries"]:
        judged = {j["doc_id"]: j["grade"] for j in rows["judgments"] if j["query_id"] == query["_id"]}
        found = [each["doc_id"] for each in ask(folder, "search", query["text"], "-k", 10)["results"]]
        gains = [judged.get(doc_id, 0) for doc_id in found]
        relevant = [gain >= relevant_from for gain in gains]
        ideal = sorted(judged.values(), reverse=True)[:10]
        dcg, best = (sum(g / math.log2(rank + 2) for rank, g in enumerate(each)) for each in (gains, ideal))
        num_relevant = sum(grade >= relevant_from for grade in judged.values())
        values["nDCG@10"].append(dcg / best)
        values["Recall@1"].append(relevant[0] / num_relevant)
        values["Precision@10"].append(sum(relevant) / 10)
        values["MRR@10"].append(1 / (relevant.index(True) + 1) if any(relevant) else 0)
    for name, per_query in values.items():
        assert measured[name]["value"] == pytest.approx(np.mean(per_query)), name


def test_grades_of_0_to_4_set_the_scale(ask, new_workspace, tmp_path, words):
    folder = new_workspace()
    rows = small_rows(words, grades=4)
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    workspace = Workspace.open(folder)
    scale = scale_of(workspace)
    workspace.close()
    assert (scale.max_grade, scale.relevant_from, scale.positive_from) == (4, 2, 3)


def test_a_split_of_one_query_is_measured_with_the_whole_range_as_interval(ask, new_workspace, tmp_path, words):
    folder, rows = new_workspace(), small_rows(words, num_documents=3)
    rows["judgments"] = rows["judgments"][:1]
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    result = ask(folder, "evaluate", "base", "base", "--split", "test")
    assert result["num_queries"] == 1
    interval = result["results"][0]["metrics"]["nDCG@10"]
    assert (interval["low"], interval["high"]) == (0, 1)
    assert result["comparisons"][0]["p_value"] == 1


def test_a_document_with_the_querys_own_text_is_left_out_of_its_run(ask, new_workspace, tmp_path, words):
    text, other = " ".join(words[:4]), " ".join(words[4:8])
    rows = {
        "corpus": [{"_id": "own", "text": f"  {text.upper()} "}, {"_id": "other", "text": other}],
        "queries": [{"_id": "q", "text": text}],
        "judgments": [{"query_id": "q", "doc_id": "other", "grade": 1}],
    }
    folder = new_workspace()
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    ask(folder, "promote", "base")
    assert ask(folder, "search", text)["results"][0]["doc_id"] == "own"
    assert ask(folder, "evaluate", "--split", "test")["results"][0]["metrics"]["nDCG@10"]["value"] == 1


def test_a_measure_is_never_cut_short_of_its_name(ask, base_live):
    wanted = ask(base_live, "evaluate")["results"][0]["metrics"]["Recall@50"]
    assert ask(base_live, "evaluate", "--set", "evaluate.depth=5")["results"][0]["metrics"]["Recall@50"] == wanted
    assert "measures" in ask(base_live, "evaluate", "--set", "evaluate.measures=[]", code=2)["error"]["message"]


def test_slices_are_measured_and_shown(ask, nearer, base_live):
    setting = ("--set", 'evaluate.slice_fields=["label_topic"]')
    found = ask(base_live, "evaluate", *setting)["results"][0]["slices"]
    assert sum(each["num_queries"] for name, each in found.items() if name.startswith("label_topic=")) == 20
    shown = nearer("evaluate", "--dir", base_live, *setting).out
    assert all(f"{name} ({each['num_queries']})" in shown for name, each in found.items())


def test_looks_at_test_are_counted_and_those_at_dev_are_not(ask, trained):
    assert ask(trained, "evaluate")["ledger"]["num_test_uses"] is None
    assert ask(trained, "evaluate", "--split", "test")["ledger"] == {"split": "test", "num_test_uses": 2}
    assert ask(trained, "evaluate", "nobody", "--split", "test", code=2)["error"]["code"] == "not_found"
    assert ask(trained, "promote")["evaluation"]["ledger"]["num_test_uses"] == 3
    assert ask(trained, "evaluate", "--split", "test")["ledger"]["num_test_uses"] == 4


# Training


def test_the_same_seed_makes_the_same_model_and_two_calls_of_one_pass_equal_one_of_two(ask, base_live, trained):
    wanted = model_of(ask, trained)
    one = ask(base_live, "train", "--set", "train.passes=1")
    assert [each["number"] for each in one["passes"]] == [1]
    two = ask(base_live, "train", "--from", one["model_id"], "--set", "train.passes=1")
    assert [each["number"] for each in two["passes"]] == [2]
    assert two["model_id"] == wanted
    assert model_of(ask, base_live) in {one["model_id"], wanted}


@pytest.mark.exhaustive
def test_another_seed_makes_another_model(ask, base_live):
    settings = ("--set", "train.passes=1", "--set", "train.epochs=0.3")
    one = ask(base_live, "train", *settings)
    other = ask(base_live, "train", *settings, "--set", "train.seed=7")
    assert one["model_id"] != other["model_id"]


def test_a_base_that_cannot_be_beaten_stays(ask, nearer, base_live):
    settings = ("--set", "train.passes=1", "--set", "train.learning_rate=1e-12")
    result = ask(base_live, "train", *settings)
    assert result["improved"] is False
    assert result["model_id"] == live(ask, base_live)["model_id"]
    assert len(ask(base_live, "status")["models"]) == 1
    assert "leave it as it is" in nearer("train", "--dir", base_live, *settings).out
    assert "nothing better" in ask(base_live, "promote", code=2)["error"]["message"]


def test_pairs_with_negatives_are_trained_on(ask, base_live, tmp_path, words):
    rows = [
        {"query": words[n], "positive": f"{words[n]} {words[n + 40]}", "negatives": [words[n + 80]]} for n in range(20)
    ]
    rows[0] |= {"score": 0.9, "negative_scores": [0.89]}
    added = ask(base_live, "add", "pairs", write_jsonl(tmp_path / "pairs.jsonl", rows))
    assert added["counts"]["pairs"] == 20
    result = ask(base_live, "train", "--set", "train.epochs=0.5")
    assert result["num_pairs"] == 160
    assert len(result["passes"]) == 2


def test_training_refuses_what_cannot_work(ask, base_live):
    error = ask(base_live, "train", "--set", "train.batch_size=1", code=2)["error"]
    assert error["code"] == "bad_recipe"
    assert "train.batch_size" in error["message"]


# The gate


def test_the_gate_refuses_and_a_forced_release_keeps_its_reason(ask, nearer, trained):
    before = live(ask, trained)
    refused = ask(trained, "promote", "--set", "gate.min_gain=0.99", code=3)
    assert (refused["verdict"], refused["release_id"]) == ("refused", None)
    assert "not proven" in refused["reasons"][0]
    assert live(ask, trained) == before
    for options in (["--force"], ["--reason", "because"], ["--force", "--reason", " "]):
        assert ask(trained, "promote", *options, code=2)["error"]["code"] == "usage"
    assert live(ask, trained) == before

    forced = ask(trained, "promote", "--set", "gate.min_gain=0.99", "--force", "--reason", "the boss said so")
    assert forced["verdict"] == "promoted"
    events = ask(trained, "history")["events"]
    assert [event["action"] for event in events] == ["promote", "refuse", "promote"]
    assert events[-1]["forced"] == "the boss said so"
    assert "the boss said so" in nearer("history", "--dir", trained).out
    error = ask(trained, "promote", before["release_id"], "--force", "--reason", "no gate", code=2)["error"]
    assert error["code"] == "bad_input"


def test_what_is_live_already_is_not_promoted_again(ask, base_live):
    assert "live already" in ask(base_live, "promote", "base", code=2)["error"]["message"]


def test_a_gate_that_asks_for_nothing_lets_a_model_through(ask, trained):
    assert ask(trained, "promote", "--set", "gate.min_gain=-1")["verdict"] == "promoted"


# Documents that change


def test_an_edited_document_is_found_by_its_new_text_once_it_is_indexed(ask, nearer, base_live, words):
    text = " ".join(words[-9:])
    before = scores(ask, base_live, text)
    changed = edit(ask, base_live, _id="d007", text=text)
    assert changed["changes"]["documents"] == {"num_added": 0, "num_updated": 1, "num_unchanged": 0}
    stale = ask(base_live, "search", text)
    assert stale["stale"] == ["1 documents indexed as they were before an edit"]
    assert "stale" in nearer("search", text, "--dir", base_live).out
    assert scores(ask, base_live, text) == before
    assert ask(base_live, "index", "--verify", code=3)["verdict"] == "faults"

    [built] = ask(base_live, "index")["indexes"]
    assert (built["num_documents"], built["num_encoded"]) == (80, 1)
    fresh = ask(base_live, "search", text)
    assert fresh["stale"] == []
    passage = {"ordinal": 0, "start": 0, "end": len(text), "text": text}
    assert fresh["results"][0] == {
        "identical_ids": [],
        "doc_id": "d007",
        "score": pytest.approx(1, abs=1e-5),
        "title": "",
        "text": text,
        "metadata": {},
        "passage": passage,
    }
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    assert ask(base_live, "index")["indexes"][0]["num_encoded"] == 0


def test_a_removed_document_is_never_returned(ask, base_live):
    best = ask(base_live, "search", "music", "-k", 3)["results"]
    assert ask(base_live, "remove", best[0]["doc_id"])["num_removed"] == 1
    found = ask(base_live, "search", "music", "-k", 2)
    assert [each["doc_id"] for each in found["results"]] == [each["doc_id"] for each in best[1:]]
    assert found["stale"] == ["1 documents in the index but removed"]
    assert len(scores(ask, base_live, "music")) == 79
    ask(base_live, "index")
    assert len(scores(ask, base_live, "music")) == 79
    assert "d999" in ask(base_live, "remove", "d001", "d999", code=2)["error"]["message"]
    assert len(scores(ask, base_live, "music")) == 79


@pytest.mark.exhaustive
def test_a_rollback_ranks_todays_documents_as_before(ask, trained, words):
    text, new = "music for the church", " ".join(words[-9:])
    before = scores(ask, trained, text)
    ask(trained, "promote")
    assert scores(ask, trained, text) != before
    edit(ask, trained, _id="d007", text=new)
    edit(ask, trained, _id="new", text=new)
    ask(trained, "remove", "d011")

    ask(trained, "rollback")
    after = scores(ask, trained, text)
    assert after.keys() == before.keys() - {"d011", "d007"} | {"new"}, "documents of one text take one rank"
    assert after["new"] != before["d007"]
    unchanged = before.keys() & after.keys() - {"d007"}
    assert {doc_id: after[doc_id] for doc_id in unchanged} == {doc_id: before[doc_id] for doc_id in unchanged}
    assert ask(trained, "search", new)["stale"] == []


def test_index_brings_the_release_before_up_to_date_too(ask, trained, words):
    ask(trained, "promote")
    edit(ask, trained, _id="d007", text=" ".join(words[-9:]))
    built = ask(trained, "index")["indexes"]
    assert [each["num_encoded"] for each in built] == [1, 1]
    assert len({each["space_id"] for each in built}) == 2
    assert ask(trained, "index", "--verify")["verdict"] == "ok"


def test_k_beyond_the_corpus_returns_all(ask, base_live):
    assert len(ask(base_live, "search", "music", "-k", 10**12)["results"]) == 80
    assert ask(base_live, "search", "music", "-k", 0, code=2)["error"]["code"] == "bad_input"
    assert ask(base_live, "search", "  ", code=2)["error"]["code"] == "bad_input"


# Passages and titles


@pytest.fixture
def chunked(ask, new_workspace, tmp_path, words) -> Path:
    """A workspace with the base live over documents of several passages."""
    folder = new_workspace(chunk={"max_tokens": 16, "overlap_tokens": 4})
    rows = small_rows(words)
    for number, row in enumerate(rows["corpus"]):
        row["text"] = " ".join(words[100 + 40 * number : 140 + 40 * number])
    rows["corpus"][3]["text"] += f". {rows['queries'][3]['text']}"
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    ask(folder, "promote", "base")
    return folder


def test_a_document_of_several_passages_is_returned_once_with_its_best_score(chunked, ask, words, tiny_encoder):
    space_id = live(ask, chunked)["space_id"]
    index = open_index(chunked / ".nearer" / "indexes" / space_id, space_id=space_id).content
    assert len(index.vectors_PD) > 2 * len(index.doc_ids)
    text = " ".join(words[180:186])
    vector_D = tiny_encoder.encode_queries([text])[0]
    best = [each.max() for each in np.split(index.vectors_PD @ vector_D, index.starts_N[1:])]
    found = scores(ask, chunked, text)
    assert len(found) == len(index.doc_ids) == 12
    assert found == pytest.approx(dict(zip(index.doc_ids, best, strict=True)), abs=1e-6)


def test_a_live_release_keeps_its_passages_whatever_the_recipe_says_later(chunked, ask, words):
    before = scores(ask, chunked, words[150])
    [measured] = ask(chunked, "evaluate", "live", "--split", "test")["results"]
    whole = ("--set", "chunk.enabled=false")
    [built] = ask(chunked, "index", *whole)["indexes"]
    assert built["num_passages"] > 2 * built["num_documents"]
    assert ask(chunked, "index", "--verify", *whole)["verdict"] == "ok"
    assert scores(ask, chunked, words[150]) == before
    [again] = ask(chunked, "evaluate", "live", "--split", "test", *whole)["results"]
    assert again == measured


def test_titles_are_searched(ask, base_live, words):
    title, text = " ".join(words[-6:]), " ".join(words[-12:-6])
    edit(ask, base_live, _id="d007", title=title, text=text)
    edit(ask, base_live, _id="d008", text=text)
    ask(base_live, "index")
    found = {each["doc_id"]: each for each in ask(base_live, "search", title, "-k", 80)["results"]}
    assert found["d007"]["score"] > found["d008"]["score"]
    assert found["d007"]["text"] == f"{title}\n{text}"


def test_one_text_instead_of_a_list_of_systems_is_explained(trained):
    with Workspace.open(trained) as workspace:
        for verb in (package.evaluate, package.suite):
            with pytest.raises(InputError, match="the text 'base', not a list") as caught:
                verb(workspace, "base")
            assert caught.value.hint == "write a list: ['base']"


def test_a_model_folder_in_the_list_may_be_a_path(trained, tiny_model_folder):
    with Workspace.open(trained) as workspace:
        [found] = package.evaluate(workspace, [tiny_model_folder]).results
    assert found.system == str(tiny_model_folder)


def test_every_query_has_its_value_and_their_mean_is_the_measure(ask, trained):
    [result] = ask(trained, "evaluate", "base")["results"]
    for measure, interval in result["metrics"].items():
        values = result["by_query"][measure].values()
        assert sum(values) / len(values) == pytest.approx(interval["value"], abs=1e-12)
