"""Label sets: the cap when four rate at once, undo, un-rating, corrections, gold, disagreements, a killed rater."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from folders import small_rows, write_jsonl
from forked import die_apart_at
from nearer.core.errors import Conflict, InputError, NotFound
from nearer.flows.add import add
from nearer.flows.label import LabelOptions
from nearer.flows.remove import remove
from nearer.store.formats.guideline import parse_guideline, read_guideline
from nearer.store.label_records import RATED, LabelSet, PairToLabel
from nearer.store.labels import Labels
from store.label_raters import add_set, rate_all


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 30, tzinfo=UTC)

    def __call__(self):
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def workspace(make_workspace, store_recipe, tmp_path):
    workspace = make_workspace({"grades": {"max_grade": 4}, **store_recipe})
    rows = small_rows([f"word{number}" for number in range(40)])
    for kind in ("corpus", "queries"):
        add(workspace, kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
    return workspace


def make_set(workspace, *, num_queries=4, num_documents=5, wanted=1, gold=(), name="labels", now=None):
    labels = Labels(workspace.database, **({"now": now} if now else {}))
    guideline = read_guideline(None, max_grade=4)
    label_set = LabelSet(
        set_id=f"set-{name}",
        name=name,
        created_at="2026-11-30T00:00:00.000+00:00",
        max_grade=4,
        guideline=guideline,
        strategy="random",
        rankings={},
    )
    pairs = [
        PairToLabel(
            pair_id=f"{name}-{q}-{d}",
            query_id=f"q{q:03}",
            doc_id=f"d{d:03}",
            wanted=99 if (q, d) in gold else wanted,
            shuffle=(q * 7919 + d * 104729) % (2**31),
            gold_grade=3 if (q, d) in gold else None,
        )
        for q in range(num_queries)
        for d in range(num_documents)
    ]
    labels.add(label_set, pairs)
    return labels, label_set.set_id


def judged(workspace):
    return {(j.query_id, j.doc_id, j.rater): j.grade for j in workspace.collection.all_judgments()}


@pytest.mark.parametrize("wanted", [1, 2])
def test_four_who_rate_at_once_never_exceed_the_cap(workspace, wanted):
    labels, set_id = make_set(workspace, num_queries=8, num_documents=6, wanted=wanted)
    met, faults = threading.Barrier(4), []

    def rate(name):
        try:
            met.wait()
            while pair := labels.next(set_id, name):
                labels.rate(set_id, pair.pair_id, name, grade=len(name) % 5)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=rate, args=(f"rater{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert faults == []
    number = {}
    for each in labels.ratings(set_id):
        assert each.state == RATED
        number[each.pair_id] = number.get(each.pair_id, 0) + 1
    assert number == {pair.pair_id: wanted for pair in labels.pairs(set_id)}
    assert len(judged(workspace)) == 48 * wanted


def test_each_rater_has_an_order_of_its_own_that_stays(workspace):
    labels, set_id = make_set(workspace, wanted=3)

    def order(name):
        seen = []
        while pair := labels.next(set_id, name):
            assert labels.next(set_id, name) == pair, "a reload and a second tab show the same pair"
            labels.rate(set_id, pair.pair_id, name, grade=0)
            seen.append(pair.pair_id)
        return seen

    ann, bob = order("ann"), order("bob")
    assert sorted(ann) == sorted(bob)
    assert ann != bob
    assert ann != sorted(ann)


def test_undo_unrate_and_corrections(workspace):
    labels, set_id = make_set(workspace)
    first = labels.next(set_id, "ann")
    labels.rate(set_id, first.pair_id, "ann", grade=2, reason=" says so ")
    second = labels.next(set_id, "ann")
    labels.skip(set_id, second.pair_id, "ann")
    third = labels.next(set_id, "ann")
    assert len({first.pair_id, second.pair_id, third.pair_id}) == 3
    assert labels.undo(set_id, "ann") == second.pair_id
    assert labels.next(set_id, "ann") == second
    labels.rate(set_id, second.pair_id, "ann", grade=4)
    labels.rate(set_id, first.pair_id, "ann", grade=0, reason="it does not")
    assert judged(workspace) == {
        (first.query_id, first.doc_id, "ann"): 0,
        (second.query_id, second.doc_id, "ann"): 4,
    }, "corrected in place"
    assert labels.unrate(set_id, first.pair_id, "ann")
    assert not labels.unrate(set_id, first.pair_id, "ann")
    assert judged(workspace) == {(second.query_id, second.doc_id, "ann"): 4}
    assert labels.undo(set_id, "ann") == second.pair_id
    assert judged(workspace) == {}
    assert labels.undo(set_id, "nobody") is None


def test_what_is_on_a_screen_is_kept_for_half_an_hour(workspace):
    clock = Clock()
    labels, set_id = make_set(workspace, num_queries=1, num_documents=1, now=clock)
    mine = labels.next(set_id, "ann")
    assert labels.next(set_id, "bob") is None
    clock.at += timedelta(minutes=31)
    assert labels.next(set_id, "bob") == mine
    with pytest.raises(Conflict):
        labels.rate(set_id, mine.pair_id, "ann", grade=1)
    assert labels.next(set_id, "ann") is None
    labels.rate(set_id, mine.pair_id, "bob", grade=1)
    assert [each.rater for each in labels.ratings(set_id)] == ["bob"]


def test_gold_checks_are_for_everybody_and_make_no_judgment(workspace):
    labels, set_id = make_set(workspace, num_queries=1, num_documents=3, gold=[(0, 1)])
    for name in ("ann", "bob", "cem"):
        while pair := labels.next(set_id, name):
            labels.rate(set_id, pair.pair_id, name, grade=3)
    on_gold = [each.rater for each in labels.ratings(set_id) if each.pair_id == "labels-0-1"]
    assert sorted(on_gold) == ["ann", "bob", "cem"]
    assert len(judged(workspace)) == 2


def test_disagreements_are_settled_and_the_others_stay_with_a_weight_of_0(workspace):
    labels, set_id = make_set(workspace, num_queries=1, num_documents=2, wanted=2)
    for name, grade in (("ann", 0), ("bob", 4)):
        for pair in labels.pairs(set_id):
            labels.rate(set_id, pair.pair_id, name, grade=grade if pair.doc_id == "d000" else 1)
    [(pair, ratings)] = labels.to_settle(set_id)
    assert pair.doc_id == "d000"
    assert {each.grade for each in ratings} == {0, 4}
    labels.settle(set_id, pair.pair_id, "eve", grade=3)
    assert labels.to_settle(set_id) == []
    counted = {(j.query_id, j.doc_id): j for j in workspace.collection.judgments()}
    assert (counted["q000", "d000"].grade, counted["q000", "d000"].weight) == (3, 1.0)
    assert judged(workspace)["q000", "d000", "ann"] == 0
    labels.rate(set_id, pair.pair_id, "ann", grade=1)
    assert {j.doc_id: j.grade for j in workspace.collection.judgments()}["d000"] == 3, (
        "a correction decides nothing more"
    )


def test_what_cannot_be(workspace):
    labels, set_id = make_set(workspace)
    pair = labels.next(set_id, "ann")
    for grade in (-1, 5):
        with pytest.raises(InputError):
            labels.rate(set_id, pair.pair_id, "ann", grade=grade)
    with pytest.raises(InputError, match="2000"):
        labels.rate(set_id, pair.pair_id, "ann", grade=1, reason="x" * 2001)
    with pytest.raises(NotFound):
        labels.rate(set_id, "pair-0", "ann", grade=1)
    with pytest.raises(NotFound):
        labels.get("none")
    with pytest.raises(Conflict):
        make_set(workspace)
    assert judged(workspace) == {}


def test_a_removed_document_takes_its_pairs_with_it(workspace):
    labels, set_id = make_set(workspace)
    pair = labels.next(set_id, "ann")
    labels.rate(set_id, pair.pair_id, "ann", grade=1, reason="a secret")
    remove(workspace, [pair.doc_id])
    assert all(each.doc_id != pair.doc_id for each in labels.pairs(set_id))
    assert labels.ratings(set_id) == []
    assert labels.next(set_id, "ann") is not None


@pytest.mark.slow
def test_killed_it_loses_nothing_that_was_kept(workspace):
    labels, set_id = make_set(workspace)
    die_apart_at("labels.rating:3", rate_all, workspace.folder, set_id, "ann")
    kept = [each for each in labels.ratings(set_id) if each.state == RATED]
    assert len(kept) == len(judged(workspace)) == 3
    assert labels.next(set_id, "ann").pair_id not in {each.pair_id for each in kept}
    other = replace(labels.get("labels"), set_id="set-b", name="b")
    pairs = [replace(each, pair_id=f"b-{each.pair_id}") for each in labels.pairs(set_id)]
    die_apart_at("labels.set", add_set, workspace.folder, other, pairs)
    assert len(labels.pairs("set-b")) == len(pairs)


def test_guidelines():
    assert read_guideline(None, max_grade=4).grades[0].name == "Not relevant"
    for largest in (1, 2, 3, 5, 7):
        found = read_guideline(None, max_grade=largest)
        assert [each.grade for each in found.grades] == list(range(largest + 1))
    own = parse_guideline("Be fair.\n\n- 0 No: never.\n1 Yes: always: or so.", max_grade=1, where="g.md")
    assert own.intro == "Be fair."
    assert own.grades[1].meaning == "always: or so."
    for text, part in (
        ("0 No: x", "no line for the grade 1"),
        ("0 a: x\n0 b: y\n1 c: z", "twice"),
        ("9 a: x", "above"),
    ):
        with pytest.raises(InputError, match=part):
            parse_guideline(text, max_grade=1, where="g.md")


def test_options_that_cannot_work():
    for wrong in ({"depth": 0}, {"cap": 0}, {"overlap": 1.5}, {"gold": -1}, {"name": " "}):
        with pytest.raises(InputError):
            LabelOptions(**wrong)
