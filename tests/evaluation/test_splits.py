import hashlib
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.core.near_duplicates import cluster_texts
from nearer.core.records import Document, Judgment, Query
from nearer.core.sections import SplitRecipe
from nearer.core.text import NEAR_DUPLICATE, resemblance, shingles
from nearer.evaluation.splits import assign, drop_leaks, ensure_splits, find_leaks, leaks_of
from nearer.store.changing import put_documents, put_judgments, put_queries, put_split
from nearer.store.workspace import Workspace

WORDINGS = [
    "one two three four five six seven eight nine ten" + end
    for end in ("", "!", " x", " x y", " x y z", " a", " a b c")
]
LONG = "how do i open a new savings account at the bank in the town today"
BY_QUERY = SplitRecipe()
BY_GROUP = SplitRecipe(by="group", field="topic", dev_groups=("d",), test_groups=("t",))
BY_TIME = SplitRecipe(by="time", field="year", dev_from=2020, test_from=2022)


def query(query_id, text=None, **metadata):
    words = hashlib.sha256(query_id.encode()).hexdigest()
    return Query(query_id=query_id, text=text or f"{words[:8]} {words[8:16]} {words[16:24]}", metadata=metadata)


def many(count, prefix="q"):
    return [query(f"{prefix}{n}") for n in range(count)]


@pytest.fixture
def open_workspace(tmp_path):
    opened = []

    def make(**split):
        opened.append(Workspace.init(tmp_path / f"w{len(opened)}", recipe={"split": split}))
        return opened[-1]

    yield make
    for workspace in opened:
        workspace.close()


def put(workspace, queries=(), *, judgments=(), **splits):
    with workspace.database.write() as connection:
        put_queries(connection, list(queries))
        doc_ids = dict.fromkeys(doc_id for _, doc_id, _ in judgments)
        put_documents(connection, [Document(doc_id=doc_id, text="x") for doc_id in doc_ids])
        rows = [Judgment(query_id=q, doc_id=d, grade=g) for q, d, g in judgments]
        if rows:
            put_judgments(connection, rows)
        for split, query_ids in splits.items():
            put_split(connection, split.replace("_", "-"), query_ids)


def split_of(workspace):
    return workspace.collection.split_of()


def test_fractions_are_about_what_was_asked_for():
    sides = list(assign(many(2000), recipe=BY_QUERY).values())
    assert sides.count("test") / 2000 == pytest.approx(0.2, abs=0.03)
    assert sides.count("dev") / 2000 == pytest.approx(0.1, abs=0.03)


def test_a_side_stays_when_queries_are_added_or_come_in_another_order():
    few = assign(many(100), recipe=BY_QUERY)
    more = assign([*many(50, "new"), *many(100)[::-1]], recipe=BY_QUERY)
    assert {query_id: more[query_id] for query_id in few} == few
    assert assign(many(100), recipe=SplitRecipe(seed=1)) != few


def test_near_duplicates_are_given_one_side():
    queries = [query(f"a{n}", f"{LONG} {n}") for n in range(30)] + [query(f"b{n}", LONG.upper()) for n in range(5)]
    assert len(set(assign(queries, recipe=BY_QUERY).values())) == 1


def test_groups_stay_whole_listed_or_drawn():
    queries = [query(f"{topic}{n}", topic=topic) for topic in "dtxyz" for n in range(5)]
    sides = assign(queries, recipe=BY_GROUP)
    assert {sides["d0"], sides["d4"]} == {"dev"}
    assert {sides["t0"], sides["t4"]} == {"test"}
    assert {sides[f"{topic}{n}"] for topic in "xyz" for n in range(5)} == {"train"}
    drawn = SplitRecipe(by="group", field="topic", dev_fraction=0.3, test_fraction=0.3)
    groups = [query(f"{g}-{n}", topic=g) for g in range(30) for n in range(3)]
    sides = assign(groups, recipe=drawn)
    assert all(len({sides[f"{g}-{n}"] for n in range(3)}) == 1 for g in range(30))
    assert set(sides.values()) == {"train", "dev", "test"}


@pytest.mark.parametrize(
    ("recipe", "values"),
    [
        (BY_TIME, [2019, 2020, 2021, 2022, 2030]),
        (BY_TIME, ["2019-12-31", "2020", "2021-06", "2022-01-01", "2030"]),
        (
            SplitRecipe(by="time", field="year", dev_from="2020-03-01", test_from="2020-09-01"),
            ["2020-02-29", "2020-03-01", "2020-08-31T23:59", "2020-09-01", "2021"],
        ),
        (BY_TIME, ["2019", " 2020 ", "2021.0", "2022", 2030.0]),
        (SplitRecipe(by="time", field="year", dev_from=9, test_from=11), ["8", "9", "10", "11", "100"]),
        (SplitRecipe(by="time", field="year", dev_from="9", test_from="11"), [-3, 9, "10.5", 11, 100]),
        (
            SplitRecipe(by="time", field="year", dev_from="2020-03-01", test_from="2020-09-01"),
            ["2020-03-01T00:30:00+02:00", "2020-03-01 00:00:00", "2020-08", "2020-08-31T23:00:00-01:00", 2021],
        ),
    ],
)
def test_time_goes_from_train_over_dev_to_test(recipe, values):
    sides = assign([query(str(n), year=value) for n, value in enumerate(values)], recipe=recipe)
    assert [sides[str(n)] for n in range(5)] == ["train", "dev", "dev", "test", "test"]


@pytest.mark.parametrize("value", ["31.12.2019", "12/31/2023", "NA", "today", True, [2020], 5.5e20])
def test_a_time_that_does_not_compare_is_never_compared_letter_by_letter(value):
    recipe = SplitRecipe(by="time", field="year", dev_from="2020-03-01", test_from="2020-09-01")
    with pytest.raises(InputError, match="does not compare with '2020-03-01'"):
        assign([query("q", year=value)], recipe=recipe)


def test_bounds_of_time_in_the_wrong_order_are_refused():
    for bounds in ((2022, 2020), ("2020-09-01", "2020-03-01"), ("2021", "2020-12-31")):
        with pytest.raises(ValueError, match="must not be later"):
            SplitRecipe(by="time", field="year", dev_from=bounds[0], test_from=bounds[1])


@pytest.mark.parametrize("values", [[1, 1.0, "1", " 1"], ["Zürich", "Zu\u0308rich"], [True, "true"]])
def test_a_group_is_on_one_side_however_it_is_written(values):
    queries = [query(f"{group}-{n}", topic=each) for group in range(2) for n, each in enumerate(values)]
    for seed in range(20):
        drawn = SplitRecipe(by="group", field="topic", dev_fraction=0.3, test_fraction=0.3, seed=seed)
        assert len(set(assign(queries, recipe=drawn).values())) == 1
    named = SplitRecipe(by="group", field="topic", test_groups=[str(values[-1])])
    assert set(assign(queries, recipe=named).values()) <= {"test"}
    leaks = find_leaks(
        [query("a", topic=values[0]), query("b", topic=values[1])], {"a": ["train"], "b": ["test"]}, recipe=drawn
    )
    assert [each.kind for each in leaks] == ["same group"]


@pytest.mark.parametrize("recipe", [BY_GROUP, BY_TIME])
@pytest.mark.parametrize("metadata", [{}, {"topic": None, "year": None}])
def test_a_query_without_the_field_is_named(recipe, metadata):
    with pytest.raises(InputError, match="'lost'") as caught:
        assign([query("ok", topic="x", year=2020), query("lost", **metadata)], recipe=recipe)
    assert caught.value.hint


def test_leaks_of_every_kind_set_the_earlier_side_aside():
    queries = [
        query("both"),
        query("near-dev", LONG, topic="n1"),
        query("near-test", LONG + " please", topic="n2"),
        query("group-train", topic="shared"),
        query("group-test", topic="shared"),
        query("doc-train", topic="e"),
        query("doc-dev", topic="f"),
    ]
    splits = {
        "both": ["test", "train"],
        "near-dev": ["dev"],
        "near-test": ["test-b"],
        "group-train": ["train"],
        "group-test": ["test"],
        "doc-train": ["train"],
        "doc-dev": ["dev"],
    }
    judgments = [Judgment(query_id=q, doc_id="d", grade=1) for q in ("doc-train", "doc-dev")]
    found = find_leaks(queries, splits, recipe=BY_GROUP, judgments=judgments)
    assert {(leak.kind, leak.set_aside, leak.kept) for leak in found} == {
        ("same query", "both", "both"),
        ("near-duplicate query", "near-dev", "near-test"),
        ("same group", "group-train", "group-test"),
        ("same document", "doc-train", "doc-dev"),
    }
    by_query = find_leaks(queries, splits, recipe=BY_QUERY, judgments=judgments)
    assert {leak.kind for leak in by_query} == {"same query", "near-duplicate query"}


SENTENCES = {
    "Telugu": ("{} గ్రామ జనాభా ఎంత?", "కొత్తపల్లి", "కొత్తపేట"),
    "Hindi": ("मेर{} ब{}ल गलत है", ("ा", "ि"), ("ी", "े")),
    "Bengali": ("{} গ্রামের জনসংখ্যা কত ছিল?", "রামপুর", "রমপার"),
    "Thai": ("หมู่บ้าน{}มีประชากรกี่คน", "หนองบัว", "ดอนแก้ว"),
    "Chinese": ("{}村的人口有多少", "李家", "王庄"),
    "Japanese": ("{}の人口は何人ですか", "白川村", "大和町"),
    "signs": ("How do I sort a list in {}", "C++", "C#"),
    "emoji": ("which days {}", "😀", "😡"),
}


@pytest.mark.parametrize("script", SENTENCES)
def test_questions_about_different_things_do_not_leak_in_any_script(script):
    template, *fillings = SENTENCES[script]
    texts = [template.format(*([each] if isinstance(each, str) else each)) for each in fillings]
    queries = [query(str(row), text) for row, text in enumerate(texts)]
    assert find_leaks(queries, {"0": ["train"], "1": ["test"]}, recipe=BY_QUERY) == []


SAME = {
    "Chinese": (
        "我忘记了登录密码，请问应该怎样重新设置才能继续使用我的账户购买商品，谢谢",
        "我忘记了登录密码。请问应该怎样重新设置才能继续使用我的账户购买商品？谢谢您",
    ),
    "Japanese": (
        "パスワードを忘れてしまったので再設定の方法を教えてください。登録したメールアドレスは使えます",
        "パスワードを忘れてしまったので、再設定の方法を教えてください！登録したメールアドレスは使えます。",
    ),
    "Thai": (
        "ลืมรหัสผ่านต้องทำอย่างไรจึงจะเข้าสู่ระบบได้อีกครั้งหนึ่งและสั่งซื้อสินค้าได้",
        "ลืมรหัสผ่านต้องทำอย่างไรจึงจะเข้าสู่ระบบได้อีกครั้งหนึ่ง และสั่งซื้อสินค้าได้ไหม",
    ),
    "decomposed": ("Où est mon café préféré", "Ou\u0300 est mon cafe\u0301 pre\u0301fe\u0301re\u0301"),
    "pointed": ("שָׁלוֹם עולם", "שלום עולם"),
    "Arabic": ("مُحَمَّد فِي البيت", "محمـــد في البيت"),
    "full width": ("ＥＲＲ４０４ in parser", "err404 in parser"),
    "invisible": ("reset the pass\u00adword", "reset\u200b the password"),
}


@pytest.mark.parametrize("script", SAME)
def test_questions_that_nearly_repeat_each_other_leak_in_any_script(script):
    queries = [query(str(row), text) for row, text in enumerate(SAME[script])]
    [leak] = find_leaks(queries, {"0": ["train"], "1": ["test"]}, recipe=BY_QUERY)
    assert (leak.set_aside, leak.kept) == ("0", "1")


def test_of_many_equal_queries_each_leaks_once_and_quickly():
    queries = [query(f"{row:05}", "the same question") for row in range(20_000)]
    splits = {each.query_id: ["test" if row % 2 else "train"] for row, each in enumerate(queries)}
    began = time.process_time()
    leaks = find_leaks(queries, splits, recipe=BY_QUERY)
    assert {leak.set_aside for leak in leaks} == {each.query_id for each in queries[::2]}
    assert len(leaks) == 10_000
    assert time.process_time() - began < 5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WORDINGS), st.sampled_from(["train", "dev", "test", "test-b"])), max_size=12))
def test_who_is_set_aside_is_as_by_comparing_all_with_all(drawn):
    queries = [query(f"{row:02}", text) for row, (text, _) in enumerate(drawn)]
    side = {each.query_id: split for each, (_, split) in zip(queries, drawn, strict=True)}
    rank = {"train": 0, "dev": 1, "test": 2, "test-b": 2}
    expected = set()
    for left, right in combinations(queries, 2):
        if resemblance(shingles(left.text), shingles(right.text)) >= NEAR_DUPLICATE:
            first, last = sorted((left.query_id, right.query_id), key=lambda each: rank[side[each]])
            if rank[side[first]] != rank[side[last]]:
                expected.add(first)
    leaks = find_leaks(queries, {each: [split] for each, split in side.items()}, recipe=BY_QUERY)
    assert {leak.set_aside for leak in leaks} == expected


def test_a_document_judged_irrelevant_by_both_sides_is_no_leak():
    queries, splits = [query("a", topic="x"), query("b", topic="y")], {"a": ["train"], "b": ["test"]}
    judgments = [Judgment(query_id="a", doc_id="d", grade=0), Judgment(query_id="b", doc_id="d", grade=1)]
    assert find_leaks(queries, splits, recipe=BY_GROUP, judgments=judgments) == []


def test_two_test_splits_are_one_side_and_what_was_set_aside_does_not_leak():
    queries = [query("a", LONG), query("b", LONG), query("c", LONG), query("unsplit", LONG)]
    splits = {"a": ["test-a"], "b": ["test-b", "test"], "c": ["leaked"]}
    assert find_leaks(queries, splits, recipe=BY_QUERY) == []


def test_new_queries_get_a_side_once_and_old_ones_keep_theirs(open_workspace):
    workspace = open_workspace(test_fraction=0.2)
    put(workspace, many(60))
    counts = ensure_splits(workspace)
    assert sum(counts.values()) == 60
    assert set(counts) == {"train", "dev", "test"}
    before = split_of(workspace)
    assert ensure_splits(workspace) == {}
    put(workspace, [*many(60, "new"), query("q-near", many(1)[0].text.upper())])
    ensure_splits(workspace)
    after = split_of(workspace)
    assert {query_id: after[query_id] for query_id in before} == before
    assert all(len(splits) == 1 for splits in after.values())
    assert leaks_of(workspace) == []


def test_near_duplicates_are_never_on_two_sides_however_they_arrive(open_workspace):
    workspace = open_workspace(dev_fraction=0.3, test_fraction=0.3)
    for wave in range(6):
        put(workspace, [query(f"w{wave}-{n}", f"topic {n} {LONG} {wave}") for n in range(10)])
        ensure_splits(workspace)
    assert leaks_of(workspace) == []
    found = {query_id: splits[0] for query_id, splits in split_of(workspace).items()}
    queries = workspace.collection.queries()
    cluster = cluster_texts([q.text for q in queries])
    assert "leaked" in found.values()
    for number in set(cluster):
        members = {found[q.query_id] for q, c in zip(queries, cluster, strict=True) if c == number}
        assert len(members - {"leaked"}) <= 1


def test_a_time_split_sets_the_earlier_duplicate_aside(open_workspace):
    workspace = open_workspace(by="time", field="year", dev_from=2020, test_from=2022)
    years = {"old": 2018, "middle": 2021, "late": 2023}
    put(workspace, [query(name, LONG, year=year) for name, year in years.items()])
    assert ensure_splits(workspace) == {"leaked": 2, "test": 1}
    assert split_of(workspace)["late"] == ["test"]


def test_a_group_split_sets_aside_who_shares_a_document(open_workspace):
    workspace = open_workspace(by="group", field="topic", dev_groups=["d"], test_groups=["t"])
    queries = [
        query("train1", topic="x"),
        query("train2", topic="x"),
        query("dev1", topic="d"),
        query("test1", topic="t"),
    ]
    put(workspace, queries, judgments=[("train1", "D", 1), ("test1", "D", 1), ("train2", "E", 1), ("dev1", "F", 1)])
    ensure_splits(workspace)
    assert split_of(workspace) == {"train1": ["leaked"], "train2": ["train"], "dev1": ["dev"], "test1": ["test"]}
    assert leaks_of(workspace) == []


@pytest.mark.parametrize("named", ["train", "dev", "test", "test_b"])
def test_named_splits_are_left_alone_and_new_duplicates_elsewhere_are_set_aside(open_workspace, named):
    workspace = open_workspace(by="time", field="year", dev_from=2020, test_from=2022)
    put(workspace, [query("named", LONG)], **{named: ["named"]})
    news = [query(f"new-{year}", f"{LONG} {year}", year=year) for year in (2018, 2021, 2023)]
    put(workspace, news)
    ensure_splits(workspace)
    found = split_of(workspace)
    assert found.pop("named") == [named.replace("_", "-")]
    side = {"train": "new-2018", "dev": "new-2021"}.get(named, "new-2023")
    assert {query_id for query_id, splits in found.items() if splits != ["leaked"]} <= {side}
    assert leaks_of(workspace) == []


def test_leaks_between_named_splits_are_found_and_dropped_on_demand(open_workspace):
    workspace = open_workspace()
    queries = [query("a", LONG), query("b", LONG), query("c")]
    put(workspace, queries, train=["a", "c"], test=["b"])
    assert ensure_splits(workspace) == {}
    leaks = leaks_of(workspace)
    assert [(leak.set_aside, leak.kept) for leak in leaks] == [("a", "b")]
    assert drop_leaks(workspace, leaks) == 1
    assert split_of(workspace) == {"a": ["leaked"], "b": ["test"], "c": ["train"]}
    assert leaks_of(workspace) == []
    assert drop_leaks(workspace, []) == 0
