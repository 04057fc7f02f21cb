"""Judgments made of clicks: identified or refused, by enough people, kept apart from what people judged."""

import csv

import numpy as np
import pytest

from forked import die_at
from nearer.core.errors import InputError
from nearer.core.records import Document, Judgment, Query
from nearer.evaluation.splits import ensure_splits
from nearer.flows.add import add
from nearer.flows.judge_clicks import judge_clicks
from nearer.measure.agreement import agreement
from nearer.store.changing import put_documents, put_judgments, put_queries, put_split
from nearer.store.workspace import Workspace
from nearer.training.sources import with_sources
from simulated_clicks import columns

QUERIES = {
    "q1": ("how to rotate a log file on linux", "train"),
    "q2": ("configure the retention of backups on every server of the company", "test"),
    "q3": ("reset a forgotten password by mail", "dev"),
}


@pytest.fixture
def folder(tmp_path):
    with Workspace.init(tmp_path / "shop") as workspace, workspace.write("test") as connection:
        put_documents(connection, [Document(doc_id=f"d{n}", text=f"a text of number {n}") for n in range(10)])
        for query_id, (text, split) in QUERIES.items():
            put_queries(connection, [Query(query_id=query_id, text=text)])
            put_split(connection, split, [query_id])
        grades = [Judgment(query_id=q, doc_id=f"d{n}", grade=int(n < 2)) for q in QUERIES for n in range(4)]
        put_judgments(connection, grades)
    return tmp_path / "shop"


def log(folder, rows, name="log.csv", header="session,query,doc,position,clicked,user"):
    path = folder.parent / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    with Workspace.open(folder) as workspace:
        add(workspace, "events", path)


def simulated(folder, query="how to rotate a log file on linux", *, swaps=0.8, num_lists=4000, seed=0):
    """A log of one query whose documents ``d0`` to ``d9`` attract in a drawn order; the true attraction of each."""
    made, truth = columns(np.random.default_rng(seed), num_lists=num_lists, swaps=swaps, num_queries=1)
    rows = [
        (session, query, doc, rank + 1, int(clicked), f"u{int(session[1:]) % 500}")
        for session, _, doc, rank, clicked in zip(*made, strict=True)
    ]
    log(folder, rows, name=f"{abs(hash(query))}.csv")
    return {doc: value for (_, doc), value in truth.items()}


def judged(folder, **options):
    with Workspace.open(folder) as workspace:
        return judge_clicks(workspace, **options)


def clicked(folder):
    with Workspace.open(folder) as workspace:
        return [each for each in workspace.collection.all_judgments() if each.source == "clicks"]


def test_two_rankings_are_judged_and_the_order_is_right(folder):
    truth = simulated(folder)
    found = judged(folder)
    assert (found.verdict, found.num_judgments, found.num_queries, found.num_new_queries) == ("judged", 10, 1, 0)
    kept = clicked(folder)
    assert {each.query_id for each in kept} == {"q1"}
    assert all(0 < each.weight < 1 and each.rater == found.model and each.at and each.document_hash for each in kept)
    best = max(truth, key=truth.get)
    worst = min(truth, key=truth.get)
    grade = {each.doc_id: each.grade for each in kept}
    assert grade[best] >= grade[worst]
    assert found.num_preferences == sum(grade.values()) * sum(1 - value for value in grade.values())
    assert found.by_grade == {str(g): list(grade.values()).count(g) for g in sorted(set(grade.values()))}
    assert found.effective_size > 10
    [clicks] = found.agreement
    assert (clicks.source, clicks.num_pairs) == ("clicks", 4)
    again = judged(folder)
    assert clicked(folder) == kept, "judged anew, nothing is there twice"
    assert again.to_dict() == found.to_dict()


def test_one_ranking_is_not_identified_and_changes_nothing(folder, nearer):
    simulated(folder, swaps=0.0)
    found = judged(folder)
    assert found.verdict == "not identified"
    assert clicked(folder) == []
    shown = nearer("clicks", "judge", "--dir", str(folder))
    assert shown.exit_code == 3
    assert "not identified" in shown.out
    assert judged(folder, model="ctr").verdict == "judged", "a baseline is taken if it is asked for"


def test_one_user_moves_no_grade(folder):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(300):  # d1 is what people want, in either order
        order = ["d0", "d1"] if rng.random() < 0.5 else ["d1", "d0"]
        for rank, doc in enumerate(order, start=1):
            rows.append((f"s{n}", QUERIES["q1"][0], doc, rank, int(doc == "d1" and rng.random() < 0.7), f"u{n}"))
    log(folder, rows)
    judged(folder)
    before = {each.doc_id: each.grade for each in clicked(folder)}
    assert before == {"d0": 0, "d1": 1}
    rows = []
    for n in range(10_000):  # somebody clicks on d0 and on d7 all day
        order = ["d0", "d1"] if n % 2 else ["d1", "d0"]
        for rank, doc in enumerate([*order, "d7"], start=1):
            rows.append((f"x{n}", QUERIES["q1"][0], doc, rank, int(doc in ("d0", "d7")), "mallory"))
    log(folder, rows, name="attack.csv")
    found = judged(folder)
    assert {each.doc_id: each.grade for each in clicked(folder)} == before
    assert found.num_too_few == 1, "d7 was shown to one person alone"


def test_what_nobody_clicked_on_is_not_relevant_because_what_stands_first_is(folder):
    rng, rows = np.random.default_rng(0), []
    for query in range(30):
        for user in range(20):
            order, swapped = list(range(10)), int(rng.integers(0, 9))
            if rng.random() < 0.4:
                order[swapped], order[swapped + 1] = order[swapped + 1], order[swapped]
            for rank, number in enumerate(order, start=1):
                is_clicked = rng.random() < (0.1 if number else 0.95) / rank
                rows.append(
                    (f"s{query}-{user}", f"rare query {query}", f"d{number}", rank, int(is_clicked), f"u{user}")
                )
    log(folder, rows)
    told = judged(folder)
    with Workspace.open(folder) as workspace:
        text_of = {each.query_id: each.text for each in workspace.collection.queries()}
        found = [each for each in workspace.collection.all_judgments() if each.source == "clicks" and each.grade]
    clicked_on = {(row[1], row[2]) for row in rows if row[4]}
    assert told.num_judgments == 300
    assert sum(each.doc_id == "d0" for each in found) == 30
    assert [each for each in found if (text_of[each.query_id], each.doc_id) not in clicked_on] == []


def test_few_impressions_and_few_users_judge_nothing(folder):
    rows = [
        (f"s{n}", QUERIES["q1"][0], f"d{rank}", rank + 1, int(rank == 0), f"u{n % 2}")
        for n in range(40)
        for rank in (0, 1)
    ]
    log(folder, rows)
    assert judged(folder, model="ctr").num_judgments == 0
    assert judged(folder, model="ctr", min_users=2).num_judgments == 2
    assert judged(folder, model="ctr", min_users=2, min_impressions=41).num_judgments == 0
    with pytest.raises(InputError, match="minimum"):
        judged(folder, min_users=0)
    with pytest.raises(InputError, match="no click model"):
        judged(folder, model="best")


def test_without_events_there_is_nothing_to_judge(folder):
    with pytest.raises(InputError, match="no clicks"):
        judged(folder)


def test_a_reader_weighs_more_than_a_glance_and_a_reformulation_takes_away(folder):
    header = "session,query,doc,position,clicked,user,action,dwell_s,value"
    acts = {"d0": ("click", 0.1, ""), "d1": ("click", 60, ""), "d2": ("purchase", "", ""), "d3": ("rating", "", 1)}
    rows = []
    for n in range(60):
        order = list(acts) if n % 2 else list(acts)[::-1]
        for rank, doc in enumerate(order, start=1):
            action, dwell, value = acts[doc]
            rows.append((f"s{n}", QUERIES["q1"][0], doc, rank, 1, f"u{n}", action, dwell, value))
    log(folder, rows, header=header)
    judged(folder, model="ctr")
    assert {each.doc_id: each.grade for each in clicked(folder)} == {"d0": 0, "d1": 1, "d2": 1, "d3": 0}


def test_queries_of_test_never_become_training_data(folder):
    """Each way in: a query of test itself, one that nearly repeats it, a text pair, judgments of a model."""
    simulated(folder, QUERIES["q2"][0])
    simulated(folder, "  Configure the RETENTION of backups on every server of the company!", seed=1)
    simulated(folder, "please configure the retention of backups on every server of the company", seed=2)
    simulated(folder, "print a shipping label twice", seed=3)
    found = judged(folder)
    with Workspace.open(folder) as workspace:
        with workspace.write("test") as connection:
            put_judgments(connection, [Judgment(query_id="q2", doc_id="d5", grade=1, source="llm", rater="m")])
        trained = with_sources(workspace, "human,llm,clicks")
        texts = {query.query_id: query.text for query in workspace.collection.queries()}
        learned = {texts[each.query_id] for each in trained.collection.judgments("train")}
        assert learned == {QUERIES["q1"][0], "print a shipping label twice"}
        assert {each.query_id for each in workspace.collection.judgments("test")} == {"q2"}
        assert all(each.source != "clicks" for each in workspace.collection.judgments("test"))
        sides = workspace.collection.split_of()
        near = next(q for q, text in texts.items() if text.startswith("please"))
        assert sides[near] == ["leaked"]
    assert found.num_new_queries >= 2


def test_a_query_that_people_judge_later_measures_and_the_log_s_yields(folder):
    simulated(folder, "print a shipping label twice")
    judged(folder)
    with Workspace.open(folder) as workspace:
        recipe = workspace.recipe.model_copy(
            update={"split": workspace.recipe.split.model_copy(update={"test_fraction": 0.9, "dev_fraction": 0.05})}
        )
        with workspace.write("test") as connection:
            put_queries(connection, [Query(query_id="mine", text="Print a shipping label twice")])
        ensure_splits(workspace.with_recipe(recipe))
        sides = workspace.collection.split_of()
        [log_s] = [query_id for query_id in sides if query_id.startswith("clicked-")]
        assert sides["mine"] != ["leaked"]
        assert sides["mine"] == sides[log_s] or sides[log_s] == ["leaked"]


def judge(folder):
    judged(folder)


def test_killed_and_repeated(folder):
    simulated(folder)
    die_at("clicks.judged", judge, folder)
    kept = clicked(folder)
    assert len(kept) == 10
    judged(folder)
    assert clicked(folder) == kept


def test_the_verb_prints_what_was_judged(folder, nearer):
    simulated(folder)
    shown = nearer("clicks", "judge", "--dir", str(folder))
    assert shown.exit_code == 0, shown.out
    assert "10 judgments on 1 queries" in shown.out
    assert "clicks beside people and files on 4 pairs: Kendall tau" in shown.out


def test_agreement_is_that_of_the_books():
    found = agreement([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2])
    assert found.num_pairs == 6
    assert found.kendall_tau == pytest.approx(9 / np.sqrt(12 * 11), abs=1e-9)
    assert found.mean_bias == pytest.approx(1 / 3)
    weights = np.subtract.outer(range(3), range(3)) ** 2
    seen = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 2]])
    expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / 6
    assert found.weighted_kappa == pytest.approx(1 - (weights * seen).sum() / (weights * expected).sum())
    assert agreement([], []).kendall_tau is None
    assert agreement([1, 1], [1, 1]).weighted_kappa is None
    assert agreement([1, 1], [0, 1]).kendall_tau is None
