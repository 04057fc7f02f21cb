"""Runs, qrels and topics out and in: what another engine finds, measured beside what Nearer finds."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest
import pytrec_eval

import nearer as nearer_py
from nearer.store.workspace import Workspace
from processes import run as run_process

MEASURES = '["nDCG@10", "nDCG", "Recall@10", "Precision@10", "MRR", "MAP", "HitRate@1"]'


def judged(folder, split):
    """The judgments of a split as pytrec_eval takes them."""
    workspace = Workspace.open(folder)
    qrels = {}
    for each in workspace.collection.judgments(split):
        qrels.setdefault(each.query_id, {})[each.doc_id] = each.grade
    workspace.close()
    return qrels


def write_run(path, rankings):
    lines = [
        f"{query_id} Q0 {doc_id} 0 {score} tag\n"
        for query_id, scores in rankings.items()
        for doc_id, score in scores.items()
    ]
    path.write_text("".join(lines))
    return path


def value(result, system, metric):
    [found] = [each for each in result["results"] if each["system"] == system]
    return found["metrics"][metric]["value"]


# Round trips


@pytest.mark.parametrize("name", ["base.run", "base.run.gz"])
def test_a_run_that_was_exported_measures_the_same_to_the_last_bit(ask, base_live, tmp_path, name):
    reported = ask(base_live, "export", "run", "base", tmp_path / name)
    assert reported["num_lines"] == 20 * 80, "all documents of the corpus for every dev query"
    measured = ask(base_live, "evaluate", "base", f"run:{tmp_path / name}", "--set", f"evaluate.measures={MEASURES}")
    assert len(measured["comparisons"]) == 7
    for comparison in measured["comparisons"]:
        assert (comparison["difference"], comparison["num_wins"], comparison["num_losses"]) == (0, 0, 0)
    base, run = measured["results"]
    assert base["metrics"] == run["metrics"]
    assert base["slices"] == run["slices"]
    assert run["run"] == {
        "num_unknown_documents": 0,
        "num_queries_without_rows": 0,
        "num_other_queries": 0,
        "num_unknown_queries": 0,
        "notes": [],
    }
    assert (run["model_id"], run["num_passages"]) == (None, None)


def test_a_run_is_in_the_order_that_trec_eval_makes_of_it(ask, base_live, tmp_path):
    ask(base_live, "export", "run", tmp_path / "base.run", "--set", "evaluate.depth=50")
    lines = [line.split() for line in (tmp_path / "base.run").read_text().splitlines()]
    assert [line[3] for line in lines] == [str(rank) for rank in range(1, 51)] * 20
    assert {line[5] for line in lines} == {ask(base_live, "status")["live"]["model_id"]}
    for query_id in {line[0] for line in lines}:
        own = [(float(score), doc_id) for query, _, doc_id, _, score, _ in lines if query == query_id]
        assert own == sorted(own, reverse=True)


def test_qrels_and_topics_can_be_imported_again(ask, base_live, new_workspace, tmp_path):
    ask(base_live, "export", "qrels", tmp_path / "dev.qrels.gz")
    ask(base_live, "export", "topics", tmp_path / "dev.tsv")
    assert gzip.decompress((tmp_path / "dev.qrels.gz").read_bytes()).decode().split()[1] == "0"
    other = new_workspace()
    workspace = Workspace.open(base_live)
    documents = [{"_id": each.doc_id, "text": each.text} for each in workspace.collection.documents()]
    queries = {each.query_id: each.text for each in workspace.collection.queries("dev")}
    workspace.close()
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    ask(other, "add", "corpus", tmp_path / "c.jsonl")
    assert ask(other, "add", "queries", tmp_path / "dev.tsv")["counts"]["queries"] == len(queries)
    (tmp_path / "dev.qrels.gz").rename(tmp_path / "dev.txt.gz")
    ask(other, "add", "judgments", tmp_path / "dev.txt.gz")
    workspace = Workspace.open(other)
    assert {each.query_id: each.text for each in workspace.collection.queries()} == queries
    assert {each.query_id for each in workspace.collection.judgments()} == set(queries)
    workspace.close()


# The run of another engine


def test_a_run_is_measured_as_trec_eval_does(ask, base_live, tmp_path):
    """Ties, unknown documents, queries without rows: pytrec_eval is the oracle."""
    qrels, rng = judged(base_live, "dev"), random.Random(0)
    names = [f"d{number:03}" for number in range(80)] + [f"x{number}" for number in range(10)]
    rankings = {
        query_id: {doc_id: rng.choice([1.5, 1.5000000001, 0.25, -3, 0.0]) for doc_id in rng.sample(names, 40)}
        for query_id in list(qrels)[2:]
    }
    path = write_run(tmp_path / "other.run", rankings)
    found = ask(base_live, "evaluate", f"run:{path}", "--set", f"evaluate.measures={MEASURES}")
    wanted = {"ndcg_cut_10": "nDCG@10", "ndcg": "nDCG", "recall_10": "Recall@10", "recip_rank": "MRR", "map": "MAP"}
    oracle = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "ndcg", "recall.10", "recip_rank", "map"})
    expected = oracle.evaluate(rankings)
    for theirs, ours in wanted.items():
        mean = sum(values[theirs] for values in expected.values()) / len(qrels)
        assert value(found, f"run:{path}", ours) == pytest.approx(mean, abs=1e-9), ours
    run = found["results"][0]["run"]
    assert run["num_queries_without_rows"] == 2
    assert run["num_unknown_documents"] == sum(doc.startswith("x") for each in rankings.values() for doc in each)


def test_a_run_is_compared_pair_by_pair_and_what_it_lacks_is_reported(ask, nearer, base_live, tmp_path):
    qrels = judged(base_live, "dev")
    perfect = {query_id: dict.fromkeys(grades, 1.0) | {"gone": 0.5} for query_id, grades in qrels.items()}
    other = {next(iter(judged(base_live, "test"))): {"d001": 1.0}}
    path = write_run(tmp_path / "perfect.run", perfect | other)
    reported = nearer("evaluate", "base", f"run:{path}", "--dir", base_live)
    assert reported.exit_code == 0, reported.err
    assert f"run:{path} - base = +" in reported.out
    assert f"run:{path}: 20 ranked documents are not in the corpus" in reported.out
    assert "1 queries of other splits, or without a grade above 0, are excluded" in reported.out
    result = ask(base_live, "evaluate", f"run:{path}", "base")
    assert value(result, f"run:{path}", "nDCG@10") == 1.0
    assert result["comparisons"][0]["difference"] < 0
    assert ask(base_live, "evaluate", f"run:{path}", "--split", "test")["ledger"]["num_test_uses"] >= 1


def test_the_report_shows_a_run_without_a_model(ask, base_live, tmp_path):
    ask(base_live, "export", "run", tmp_path / "other.run", "--split", "test")
    ask(base_live, "evaluate", "base", f"run:{tmp_path / 'other.run'}", "--split", "test")
    page = Path(ask(base_live, "report")["report"]).read_text()
    assert f"candidate: run:{tmp_path / 'other.run'}" in page
    assert "None" not in page


def test_documents_that_repeat_the_query_are_passed_over_in_runs_too(ask, base_live, tmp_path):
    workspace = Workspace.open(base_live)
    [query, *_] = workspace.collection.queries("dev")
    workspace.close()
    (tmp_path / "c.jsonl").write_text(json.dumps({"_id": "own", "text": query.text.upper()}) + "\n")
    ask(base_live, "add", "corpus", tmp_path / "c.jsonl")
    qrels = judged(base_live, "dev")
    rankings = {query_id: {"own": 9.0} | dict.fromkeys(grades, 1.0) for query_id, grades in qrels.items()}
    path = write_run(tmp_path / "own.run", rankings)
    result = ask(base_live, "evaluate", f"run:{path}", "--set", 'evaluate.measures=["MRR"]')
    assert value(result, f"run:{path}", "MRR") == pytest.approx((1 + (len(qrels) - 1) / 2) / len(qrels))


def test_the_faults_of_a_run_are_reported_with_their_lines_and_nothing_is_measured(ask, base_live, tmp_path):
    query_id = next(iter(judged(base_live, "dev")))
    lines = [
        f"{query_id} Q0 d001 1 2.5 t",
        f"{query_id} Q0 d001 2 2.0 t",
        f"{query_id} Q0 d002 3 nan t",
        f"{query_id} Q0 d003 4",
    ]
    path = tmp_path / "bad.run"
    path.write_text("\n".join(lines) + "\n")
    error = ask(base_live, "evaluate", "base", f"run:{path}", code=2)["error"]
    assert error["message"].startswith("3 faults found, nothing was measured")
    reported = {fault["line"]: fault["reason"] for fault in error["faults"]}
    assert reported.keys() == {2, 3, 4}
    assert "no such file" in ask(base_live, "evaluate", "run:absent.run", code=2)["error"]["message"]


def test_queries_that_the_workspace_lacks_are_left_out_and_counted(ask, nearer, base_live, tmp_path):
    grades = judged(base_live, "dev")
    rows = [f"{query_id} Q0 {doc_id} 1 2.5\n" for query_id, found in grades.items() for doc_id in found]
    plain, more = tmp_path / "plain.run", tmp_path / "more.run"
    plain.write_text("".join(rows))
    more.write_text("strange Q0 d003 1 9.0 t\n" + "".join(rows) + "strange Q0 d004 2 8.0 t\nother Q0 d1 1 1 t\n")
    found = ask(base_live, "evaluate", f"run:{plain}", f"run:{more}")
    first, second = found["results"]
    assert value(found, f"run:{plain}", "nDCG@10") == value(found, f"run:{more}", "nDCG@10") == 1.0
    assert (first["run"]["num_unknown_queries"], second["run"]["num_unknown_queries"]) == (0, 2)
    assert first["run"]["notes"] == [f"plain.run: lines without a tag: {len(rows)}"]
    out = nearer("evaluate", f"run:{more}", "--dir", base_live).out
    assert "2 queries that the workspace does not know are excluded" in out
    more.write_text("strange Q0 d003 1 9.0 t\n")
    error = ask(base_live, "evaluate", f"run:{more}", code=2)["error"]
    assert "knows none of its 1 queries, such as 'strange'" in error["message"]


def test_a_run_is_no_model(ask, base_live, tmp_path):
    path = write_run(tmp_path / "a.run", {next(iter(judged(base_live, "dev"))): {"d001": 1.0}})
    for verb in (("promote",), ("index",), ("index", "--verify"), ("train", "--from"), ("export", "run")):
        target = (f"run:{path}", tmp_path / "out") if verb[0] == "export" else (f"run:{path}",)
        error = ask(base_live, *verb, *target, code=2)["error"]
        assert "is a ranking, not a model" in error["message"]
        assert "nearer evaluate base run:" in error["hint"]
    assert not (tmp_path / "out").exists()


# What cannot be written


def test_paths_may_be_text_in_python(base_live, tmp_path):
    (tmp_path / "suite.toml").write_text('[[case]]\nname = "a"\nquery = "rain"\nmust = ["d000"]\n')
    with Workspace.open(str(base_live)) as workspace:
        for kind in ("run", "qrels", "topics"):
            nearer_py.export(workspace, kind, f"{tmp_path}/{kind}.gz")
        nearer_py.export_vectors(workspace, f"{tmp_path}/vectors.parquet", system="base")
        nearer_py.backup(workspace, f"{tmp_path}/all.backup")
        nearer_py.restore(f"{tmp_path}/all.backup", f"{tmp_path}/again")
        assert nearer_py.suite(workspace, file=f"{tmp_path}/suite.toml").num_cases == 1
    assert {path.name for path in tmp_path.iterdir()} > {"run.gz", "qrels.gz", "topics.gz", "vectors.parquet", "again"}


def test_ids_with_white_space_are_refused_before_anything_is_written(ask, base_live, tmp_path):
    (tmp_path / "c.jsonl").write_text(json.dumps({"_id": "two words", "text": "music"}) + "\n")
    ask(base_live, "add", "corpus", tmp_path / "c.jsonl")
    target = tmp_path / "base.run"
    target.write_text("old")
    error = ask(base_live, "export", "run", target, code=2)["error"]
    assert "'two words'" in error["message"]
    (tmp_path / "j.jsonl").write_text(
        json.dumps({"query_id": next(iter(judged(base_live, "dev"))), "doc_id": "two words", "grade": 1}) + "\n"
    )
    ask(base_live, "add", "judgments", tmp_path / "j.jsonl")
    assert "'two words'" in ask(base_live, "export", "qrels", target, code=2)["error"]["message"]
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp-")] == []


def test_wrong_calls_say_what_to_do(ask, nearer, base_live, tmp_path):
    for arguments, part in (
        (("runs", tmp_path / "x"), "name one of: run, qrels, topics"),
        (("topics", tmp_path / "x", "--split", "absent"), "--split"),
        (("run", tmp_path / "x", "--split", "absent"), "--split"),
        (("run", "model-0", tmp_path / "x"), "nearer"),
        (("qrels", tmp_path / "no" / "x"), "check the path"),
        (("qrels", tmp_path), "check the path"),
    ):
        assert part in ask(base_live, "export", *arguments, code=2)["error"]["hint"], arguments
    assert nearer("export", "qrels", "base", tmp_path / "x", "--dir", base_live).exit_code == 2
    assert nearer("export", "run", "--dir", base_live).exit_code == 2


def test_the_run_of_a_test_split_is_a_look_at_it(ask, base_live, tmp_path):
    ask(base_live, "export", "qrels", tmp_path / "q", "--split", "test")
    before = ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"]
    ask(base_live, "export", "run", tmp_path / "r", "--split", "test")
    assert ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"] == before + 2


# Killed at the durable steps


@pytest.mark.slow
def test_an_import_that_dies_once_it_is_committed_is_there_whole(ask, new_workspace, beir):
    folder = new_workspace()
    assert run_process("add", "beir", beir, "--dir", folder, die_at="import.commit").was_killed
    again = ask(folder, "add", "beir", beir)
    assert {kind: change["num_unchanged"] for kind, change in again["changes"].items()} == {
        "documents": 80,
        "queries": 240,
        "judgments": 240,
    }
    assert ask(folder, "check")["verdict"] == "ok"


@pytest.mark.slow
def test_an_export_that_dies_once_its_file_is_there_left_it_whole(ask, base_live, tmp_path):
    folder = shutil.copytree(base_live, tmp_path / "copy")
    target = tmp_path / "dies.run"
    assert run_process("export", "run", target, "--dir", folder, die_at="export.file").was_killed
    ask(folder, "export", "run", tmp_path / "lives.run")
    assert target.read_bytes() == (tmp_path / "lives.run").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp-")] == []
