import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.retrieval.rules import parse_rules
from nearer.retrieval.select_rules import select_rules
from nearer.vectors.topk import TopK
from retrieval.runs import first_hits, run

FIELDS = {"year": "integer", "lang": "text"}


def written(rules):
    return [str(rule) for rule in rules]


def fitted(ranking, texts, *, queries, documents, relevant, **options):
    """Fit on one relevant document a query, by its reciprocal rank."""
    candidates = parse_rules(texts, fields=FIELDS, query_time_fields=["year", "lang"])
    pairs = np.arange(len(relevant)), np.array(relevant)
    return select_rules(
        ranking,
        candidates=candidates,
        queries=queries,
        documents=documents,
        relevant=pairs,
        measure=first_hits(relevant),
        **options,
    )


DOCUMENTS = [{"year": 2000 + n, "lang": ("en", "de")[n % 2]} for n in range(6)]
ALL = ["lang=query.lang", "year>=query.year", "year<=query.year", "lang=en", "year=2003"]


def test_the_rule_that_is_right_is_found_and_no_other():
    ranking = run(*[{row: 9.0 - row for row in range(6)}] * 4)
    queries = [{"lang": "de", "year": 2000}, {"lang": "de", "year": 2000}, {"lang": "en"}, {}]
    found = fitted(ranking, ALL, queries=queries, documents=DOCUMENTS, relevant=[1, 3, 2, 0])
    assert written(found.rules) == ["lang=query.lang"]
    assert found.mean_before == pytest.approx((1 / 2 + 1 / 4 + 1 / 3 + 1) / 4)
    assert found.mean_after == pytest.approx((1 + 1 / 2 + 1 / 2 + 1) / 4)
    assert (found.share_lost, found.remaining_Q.tolist()) == (0.0, [3, 3, 3, 6])
    trials = {str(trial.rule): trial for trial in found.trials}
    assert list(trials) == ALL
    assert trials["lang=query.lang"].num_queries == 3
    assert trials["lang=query.lang"].gain == pytest.approx(found.mean_after - found.mean_before)
    assert trials["lang=en"].share_lost == pytest.approx(0.5)
    assert trials["year>=query.year"].gain == 0


def test_two_rules_join_where_each_earns_its_part():
    ranking = run(*[{row: 9.0 - row for row in range(6)}] * 2)
    queries = [{"lang": "de", "year": 2002}] * 2
    found = fitted(ranking, ALL, queries=queries, documents=DOCUMENTS, relevant=[3, 3])
    assert written(found.rules) == ["year=2003"]  # alone it does all
    found = fitted(ranking, ALL[:4], queries=queries, documents=DOCUMENTS, relevant=[3, 3])
    assert set(written(found.rules)) == {"lang=query.lang", "year>=query.year"}
    assert (found.mean_after, found.remaining_Q.tolist()) == (1.0, [2, 2])


def test_a_rule_that_loses_too_much_is_left_out_whatever_it_gains():
    ranking = run(*[{0: 2.0, 1: 1.0}] * 10)
    queries = [{"lang": "de"}] * 10
    relevant = [1] * 9 + [0]
    found = fitted(ranking, ["lang=query.lang"], queries=queries, documents=DOCUMENTS, relevant=relevant)
    assert found.rules == ()
    assert found.trials[0].gain > 0.3
    assert found.trials[0].share_lost == pytest.approx(0.1)
    found = fitted(
        ranking, ["lang=query.lang"], queries=queries, documents=DOCUMENTS, relevant=relevant, max_lost=0.1001
    )
    assert written(found.rules) == ["lang=query.lang"]


def test_relevant_documents_count_as_lost_below_the_ranking_too():
    ranking = run(*[{0: 2.0, 1: 1.0}] * 2)
    pairs = np.array([0, 0, 1]), np.array([1, 4, 1])  # row 4 is not ranked
    found = select_rules(
        ranking,
        candidates=parse_rules(["lang=de"], fields=FIELDS, query_time_fields=[]),
        queries=[{}, {}],
        documents=DOCUMENTS,
        relevant=pairs,
        measure=first_hits([1, 1]),
    )
    assert (found.rules, found.trials[0].share_lost) == ((), pytest.approx(1 / 3))


def test_too_small_a_gain_keeps_nothing():
    ranking = run(*[{row: 9.0 - row for row in range(6)}] * 2)
    options = {"queries": [{}, {}], "documents": DOCUMENTS, "relevant": [5, 5]}
    assert written(fitted(ranking, ["year>=2001"], **options).rules) == ["year>=2001"]
    assert fitted(ranking, ["year>=2001"], min_gain=0.034, **options).rules == ()
    assert fitted(ranking, [], **options).rules == ()


@settings(max_examples=40, deadline=None)
@given(
    relevant=st.lists(st.integers(0, 5), min_size=3, max_size=3),
    years=st.lists(st.integers(1999, 2006) | st.none(), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_what_is_fitted_is_what_filtering_by_hand_gives(relevant, years, seed):
    rng = np.random.default_rng(seed)
    ranking = run(*[dict(enumerate(rng.random(6))) for _ in years])
    queries = [{"year": year, "lang": "en"} for year in years]
    found = fitted(ranking, ALL, queries=queries, documents=DOCUMENTS, relevant=relevant, max_lost=1.0)

    def passes(row, query):
        year, lang = DOCUMENTS[row]["year"], DOCUMENTS[row]["lang"]
        asked = query["year"]
        says = {
            "lang=query.lang": lang == query["lang"],
            "year>=query.year": asked is None or year >= asked,
            "year<=query.year": asked is None or year <= asked,
            "lang=en": lang == "en",
            "year=2003": year == 2003,
        }
        return all(says[text] for text in written(found.rules))

    lines = [[row for row in line if passes(row, queries[q])] for q, line in enumerate(ranking.rows_QK.tolist())]
    ranks = [1 / (1 + line.index(row)) if row in line else 0 for line, row in zip(lines, relevant, strict=True)]
    assert found.mean_after == pytest.approx(np.mean(ranks))
    assert found.mean_after >= found.mean_before
    assert found.share_lost == pytest.approx(np.mean([not passes(row, queries[q]) for q, row in enumerate(relevant)]))
    assert found.remaining_Q.tolist() == [len(line) for line in lines]


def test_rankings_that_end_early_stay_padded_at_the_end():
    ranking = run({1: 3.0, 0: 2.0}, {}, width=4)
    found = fitted(ranking, ["lang=en"], queries=[{}, {}], documents=DOCUMENTS, relevant=[0, 0])
    assert written(found.rules) == ["lang=en"]
    assert found.remaining_Q.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("queries", "relevant", "reported"),
    [([{}], ([0], [0]), "2 rankings have 1 queries"), ([{}, {}], ([], []), "without a relevant document")],
)
def test_refuses(queries, relevant, reported):
    ranking = TopK(rows_QK=np.zeros((2, 1), np.int64), scores_QK=np.zeros((2, 1), np.float32))
    with pytest.raises(InputError, match=reported):
        select_rules(
            ranking,
            candidates=(),
            queries=queries,
            documents=[{}],
            relevant=tuple(np.array(rows, np.int64) for rows in relevant),
            measure=first_hits([0, 0]),
        )


def test_a_query_whose_value_documents_never_hold_is_reported():
    with pytest.raises(InputError, match="a query whose 'year' is 'soon'"):
        fitted(run({0: 1.0}), ["year=query.year"], queries=[{"year": "soon"}], documents=DOCUMENTS, relevant=[0])
