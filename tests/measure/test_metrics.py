import numpy as np
import pytest
import pytrec_eval

from nearer.core.errors import InputError
from nearer.core.records import Judgment
from nearer.measure.metrics import Measure, Qrels, evaluate_run, score

ORACLE = {
    "nDCG@1": "ndcg_cut_1",
    "nDCG@5": "ndcg_cut_5",
    "nDCG@10": "ndcg_cut_10",
    "nDCG@100": "ndcg_cut_100",
    "nDCG": "ndcg",
    "MRR": "recip_rank",
    "MAP": "map",
    "MAP@5": "map_cut_5",
    "Recall@5": "recall_5",
    "Recall@10": "recall_10",
    "Precision@5": "P_5",
    "Precision@100": "P_100",
    "HitRate@1": "success_1",
    "HitRate@5": "success_5",
}
MEASURES = [Measure.parse(text) for text in ORACLE]


def random_case(seed, *, max_grade=4, min_grade=0):
    """Graded judgments and runs with many ties; some judged documents are never ranked."""
    rng = np.random.default_rng(seed)
    docs = [f"d{i}" for i in range(40)]
    qrels = {
        f"q{q}": {
            d: int(rng.integers(min_grade, max_grade + 1)) for d in rng.choice(docs, rng.integers(1, 20), replace=False)
        }
        for q in range(25)
    }
    qrels["nothing relevant"] = {"d1": 0, "d2": 0}
    run = {
        q: {d: float(rng.integers(-3, 4)) for d in rng.choice(docs[:30], rng.integers(1, 25), replace=False)}
        for q in qrels
    }
    return run, qrels


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("relevant_from", [1, 2, 3])
def test_equals_trec_eval(seed, relevant_from):
    run, qrels = random_case(seed)
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(ORACLE.values()), relevance_level=relevant_from)
    expected = evaluator.evaluate(run)
    found = evaluate_run(run, qrels, MEASURES, relevant_from=relevant_from)
    for measure in MEASURES:
        for query_id in qrels:
            want = expected[query_id][ORACLE[str(measure)]]
            assert found[measure][query_id] == pytest.approx(want, abs=1e-6), (str(measure), query_id)


@pytest.mark.parametrize("seed", range(4))
def test_negative_grades_are_no_gain_as_in_trec_eval(seed):
    run, qrels = random_case(seed, max_grade=2, min_grade=-2)
    expected = pytrec_eval.RelevanceEvaluator(qrels, set(ORACLE.values())).evaluate(run)
    found = evaluate_run(run, qrels, MEASURES)
    for measure in MEASURES:
        wanted = {query_id: values[ORACLE[str(measure)]] for query_id, values in expected.items()}
        assert found[measure] == pytest.approx(wanted, abs=1e-6), str(measure)


def test_mrr_at_10_is_the_reciprocal_rank_of_a_cut_run():
    run, qrels = random_case(99)
    cut = {q: dict(sorted(r.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:10]) for q, r in run.items()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)
    found = evaluate_run(run, qrels, [Measure.parse("MRR@10")])[Measure.parse("MRR@10")]
    assert found == pytest.approx({q: expected[q]["recip_rank"] for q in qrels})


def test_scores_tie_as_float32_as_in_trec_eval():
    run, qrels = {"q": {"a": 1 + 1e-9, "b": 1.0}}, {"q": {"a": 1}}
    mrr = Measure.parse("MRR")
    assert pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)["q"]["recip_rank"] == 0.5
    assert evaluate_run(run, qrels, [mrr])[mrr] == {"q": 0.5}


def test_array_form_equals_dict_form_and_counts_what_cannot_be_found():
    docs = ["a", "b", "c"]
    judgments = [
        Judgment(query_id="q1", doc_id="b", grade=2),
        Judgment(query_id="q1", doc_id="gone", grade=4),
        Judgment(query_id="elsewhere", doc_id="a", grade=4),
        Judgment(query_id="q2", doc_id="c", grade=1),
    ]
    qrels = Qrels.build(["q1", "q2", "q3"], docs, judgments, relevant_from=1)
    rows_QK = np.array([[0, 1], [-1, -1], [2, -1]])
    found = score(MEASURES, rows_QK, qrels)
    run = {"q1": {"a": 2.0, "b": 1.0}, "q2": {}, "q3": {"c": 1.0}}
    same = evaluate_run(run, {"q1": {"b": 2, "gone": 4}, "q2": {"c": 1}, "q3": {}}, MEASURES)
    for measure in MEASURES:
        assert found[measure].dtype == np.float64
        assert found[measure].tolist() == pytest.approx(list(same[measure].values()))
    assert qrels.grades(rows_QK).tolist() == [[-1, 2], [-2, -2], [-1, -2]]
    assert found[Measure.parse("Recall@5")].tolist() == [0.5, 0, 0]


def test_a_query_that_returned_nothing_stays_with_0():
    found = evaluate_run({"other": {"a": 1.0}}, {"q": {"a": 1}}, MEASURES)
    assert all(values == {"q": 0.0} for values in found.values())


def test_no_queries_no_documents_no_ranks():
    empty = Qrels.build([], [], [], relevant_from=1)
    assert all(len(values) == 0 for values in score(MEASURES, np.zeros((0, 3), np.int64), empty).values())
    lonely = Qrels.build(["q"], [], [Judgment(query_id="q", doc_id="gone", grade=1)], relevant_from=1)
    for rows_QK in (np.zeros((1, 0), np.int64), np.full((1, 2), -1)):
        assert all(values.tolist() == [0.0] for values in score(MEASURES, rows_QK, lonely).values())


def judged_as_in_ir_measures(run, qrels, cutoff):
    """The value of every query as judged_provider.py of ir_measures has it; without rows that divides by zero."""
    ranked = {q: sorted(run[q].items(), key=lambda each: (-each[1], each[0]))[:cutoff] for q in run}
    return {q: sum(doc_id in qrels[q] for doc_id, _ in top) / len(top) for q, top in ranked.items()}


@pytest.mark.parametrize("cutoff", [1, 5, 10, 100])
def test_judged_is_that_of_ir_measures(cutoff):
    run, qrels = random_case(3)
    rng = np.random.default_rng(0)
    untied = {q: {doc_id: float(rng.random()) for doc_id in scores} for q, scores in run.items()}
    measure = Measure(name="Judged", cutoff=cutoff)
    [found] = evaluate_run(untied, qrels, [measure], relevant_from=3).values()
    assert found == pytest.approx(judged_as_in_ir_measures(untied, qrels, cutoff))
    assert 0 < np.mean(list(found.values())) < 1
    assert any(grade == 0 for grade in qrels["q0"].values()), "a judgment of 0 is one"


@pytest.mark.parametrize("text", [*ORACLE, "MRR@10", "Judged@10", "ContextRecall@2000", "ContextPrecision@999999"])
def test_measures_round_trip(text):
    assert str(Measure.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "ndcg@10",
        "NDCG@10",
        "nDCG@",
        "nDCG@0",
        "nDCG@010",
        "nDCG@-1",
        "nDCG@1.5",
        "nDCG@١",
        "Recall",
        "P@5",
        "",
        "ContextRecall",
        "ContextPrecision@0",
    ],
)
def test_what_is_no_measure_is_refused(text):
    with pytest.raises(InputError) as caught:
        Measure.parse(text)
    assert caught.value.hint


def test_an_unknown_name_lists_the_names():
    with pytest.raises(InputError) as caught:
        Measure.parse("recall@10")
    names = "nDCG, MRR, MAP, Recall, Precision, HitRate, Judged, ContextRecall, ContextPrecision"
    assert caught.value.hint == f"the names are {names}"


def test_measures_of_a_prompt_are_not_measured_on_ranks_alone():
    with pytest.raises(InputError, match="ContextRecall@2000: ranks alone do not tell"):
        evaluate_run({"q": {"a": 1.0}}, {"q": {"a": 1}}, map(Measure.parse, ["MAP", "ContextRecall@2000"]))


@pytest.mark.parametrize("rows", [[[-1, 0]], [[0, 0]], [[0, 1]]])
def test_rows_that_no_search_returns_are_a_bug(rows):
    with pytest.raises(AssertionError):
        score(MEASURES, np.array(rows), Qrels.build(["q"], ["a"], [], relevant_from=1))


def test_documents_that_nobody_judged_take_a_rank_and_are_not_relevant():
    judgments = [Judgment(query_id=query_id, doc_id=doc_id, grade=1) for query_id, doc_id in ("qa", "ra", "rb")]
    qrels = Qrels.build(["q", "r"], ["a", "b"], judgments, relevant_from=1).with_unjudged(2)
    [values] = score([Measure.parse("MRR")], np.array([[2, 0, -1], [3, 2, 1]]), qrels).values()
    assert values.tolist() == [1 / 2, 1 / 3]
    nothing = Qrels.build(["q"], [], [], relevant_from=1).with_unjudged(1)
    assert score([Measure.parse("MRR")], np.array([[0]]), nothing)[Measure.parse("MRR")].tolist() == [0.0]


def test_faulty_judgments_are_refused():
    good = Judgment(query_id="q", doc_id="a", grade=1)
    for query_ids, doc_ids, judgments, relevant_from in [
        (["q", "q"], ["a"], [], 1),
        (["q"], ["a", "b", "a"], [], 1),
        (["q"], ["a"], [good, good], 1),
        (["q"], ["a"], [good], 0),
    ]:
        with pytest.raises(InputError):
            Qrels.build(query_ids, doc_ids, judgments, relevant_from=relevant_from)
    for bad in (float("nan"), float("inf"), 1e300):
        with pytest.raises(InputError, match="not finite"):
            evaluate_run({"q": {"a": bad}}, {"q": {"a": 1}}, MEASURES)
