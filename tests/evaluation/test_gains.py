"""Over which queries measures are taken where grades go beyond 0 and 1; pytrec_eval is the oracle."""

import json

import numpy as np
import pytest
import pytrec_eval

import nearer as api
from nearer.core.errors import InputError
from nearer.flows.add import add
from nearer.store.changing import put_split

RELEVANT = {"MAP": "map", "Recall@10": "recall_10", "MRR@10": "recip_rank", "Precision@10": "P_10"}


@pytest.fixture
def judged(make_workspace, tmp_path):
    """``judged(grades, **sections)``: a workspace with a query of dev for each list of grades, and a run over it."""

    def make(grades, /, **sections):
        workspace = make_workspace(sections)
        rng = np.random.default_rng(0)
        num_documents = max(map(len, grades)) + 20
        rows = {
            "corpus": [{"_id": f"d{n:02}", "text": f"text of the river {n}"} for n in range(num_documents)],
            "queries": [{"_id": f"q{n:02}", "text": f"who asks {n}"} for n in range(len(grades))],
            "judgments": [
                {"query_id": f"q{n:02}", "doc_id": f"d{place:02}", "grade": grade}
                for n, each in enumerate(grades)
                for place, grade in enumerate(each)
            ],
        }
        for kind, content in rows.items():
            path = tmp_path / f"{kind}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
            add(workspace, kind, path)
        with workspace.write("split") as connection:
            put_split(connection, "dev", [each["_id"] for each in rows["queries"]])
        run = {
            f"q{n:02}": {
                f"d{place:02}": float(score) for place, score in enumerate(rng.permutation(num_documents)[:18])
            }
            for n in range(len(grades))
        }
        file = tmp_path / "a.run"
        file.write_text("".join(f"{q} Q0 {d} 1 {s} t\n" for q, docs in run.items() for d, s in docs.items()))
        qrels = {f"q{n:02}": {f"d{place:02}": g for place, g in enumerate(each)} for n, each in enumerate(grades)}
        return workspace, f"run:{file}", qrels, run

    return make


def trec_eval(qrels, run, measure, *, level=1):
    """The value of each query."""
    found = pytrec_eval.RelevanceEvaluator(
        qrels, {"recip_rank", "map", "ndcg_cut", "recall", "P"}, relevance_level=level
    )
    return {query_id: values[measure] for query_id, values in found.evaluate(run).items()}


GRADES = [[0, 1, 0, 1]] * 22 + [[3, 0, 1, 0, 1]] * 23
MIXED = [*GRADES, [0, 0, 0], [0], []]


@pytest.mark.parametrize(
    ("grades", "recipe", "relevant_from"),
    [
        (MIXED, {}, 2),
        (MIXED, {"relevant_from": 1}, 1),
        (MIXED, {"relevant_from": 3}, 3),
        ([[int(grade > 0) for grade in each] for each in MIXED], {}, 1),
    ],
)
def test_ndcg_is_taken_over_all_queries_with_a_gain_and_the_rest_over_those_with_a_relevant_document(
    judged, grades, recipe, relevant_from
):
    workspace, run_name, qrels, run = judged(grades, grades=recipe)
    found = api.evaluate(workspace, [run_name])
    values = {name: each.value for name, each in found.results[0].metrics.items()}
    gained = [query_id for query_id, each in qrels.items() if any(grade > 0 for grade in each.values())]
    relevant = [query_id for query_id, each in qrels.items() if any(g >= relevant_from for g in each.values())]
    ndcg = trec_eval(qrels, run, "ndcg_cut_10")
    assert values["nDCG@10"] == pytest.approx(np.mean([ndcg[each] for each in gained]), abs=1e-6)
    for ours, theirs in RELEVANT.items():
        if ours != "MRR@10":
            each_Q = trec_eval(qrels, run, theirs, level=relevant_from)
            assert values[ours] == pytest.approx(np.mean([each_Q[each] for each in relevant]), abs=1e-6), ours
    assert (found.num_queries, found.num_with_relevant, found.relevant_from) == (45, len(relevant), relevant_from)
    assert (found.num_without_gain, found.num_unjudged) == (2, 1)


def test_the_words_and_numbers(judged, nearer):
    workspace, run_name, _, _ = judged(MIXED)
    folder = workspace.folder
    workspace.close()
    out = nearer("evaluate", run_name, "--dir", folder).out
    assert out.startswith("dev: 45 queries\n")
    assert (
        "note: 45 queries have a document of a grade above 0: nDCG and Judged are taken over these; 23 have a relevant "
        "one (grade 2 or more): all other measures" in out
    )
    assert "note: 2 more queries have only grades of 0, and are not measured" in out
    assert "note: 1 more queries have no judgment, and are not measured" in out


def test_without_any_relevant_document_ndcg_is_measured_alone(judged):
    workspace, run_name, qrels, run = judged([[0, 1, 0, 1]] * 12, grades={"relevant_from": 2, "max_grade": 3})
    found = api.evaluate(workspace, [run_name])
    assert list(found.results[0].metrics) == ["nDCG@10", "Judged@10"]
    ndcg = trec_eval(qrels, run, "ndcg_cut_10")
    assert found.results[0].metrics["nDCG@10"].value == pytest.approx(np.mean(list(ndcg.values())), abs=1e-6)
    compared = api.evaluate(workspace, [run_name, "base"])
    assert {each.metric for each in compared.comparisons} == {"nDCG@10", "Judged@10"}


def test_a_first_measure_that_no_query_tells_of_is_refused(judged):
    workspace, run_name, _, _ = judged(
        [[0, 1]] * 6, grades={"relevant_from": 2, "max_grade": 3}, evaluate={"measures": ["Recall@10"]}
    )
    with pytest.raises(InputError, match="no query of split 'dev' has a document of grade 2 or more"):
        api.evaluate(workspace, [run_name])


def test_a_comparison_takes_each_measure_over_its_own_queries(judged):
    workspace, run_name, _, _ = judged(MIXED)
    compared = {each.metric: each for each in api.evaluate(workspace, [run_name, "base"]).comparisons}
    of = {name: each.num_wins + each.num_losses + each.num_ties for name, each in compared.items()}
    assert of["nDCG@10"] == of["Judged@10"] == 45
    assert {number for name, number in of.items() if name not in ("nDCG@10", "Judged@10")} == {23}


def test_a_query_of_lower_grades_alone_fails_where_its_best_document_is_not_first(judged):
    workspace, _, _, _ = judged([[0, 1, 0]] * 8 + [[0, 3, 1]] * 8)
    found = api.diagnose(workspace, "base")
    assert found.num_queries == 16
    assert "absent" not in {each.cause for each in found.causes}
