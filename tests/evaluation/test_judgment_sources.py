"""Who judged is kept: several may judge one pair, what counts is computed, and test stays out of training."""

import pytest

from folders import write_jsonl
from nearer.core.errors import InputError
from nearer.core.judging import blend, conflicts, named_sources
from nearer.core.records import JUDGMENT_SOURCES, Document, Judgment, Query
from nearer.flows.add import add
from nearer.store.changing import put_documents, put_judgments, put_queries, put_split
from nearer.store.workspace import Workspace
from nearer.training.sources import with_sources


def said(grade, source="import", rater="", weight=1.0, doc_id="d1", query_id="q1"):
    return Judgment(query_id=query_id, doc_id=doc_id, grade=grade, source=source, rater=rater, weight=weight)


@pytest.mark.parametrize(
    ("judgments", "sources", "wanted"),
    [
        ([said(0), said(2, "human")], JUDGMENT_SOURCES, (2, "human")),
        ([said(0), said(2, "human")], ["import"], (0, "import")),
        ([said(3, "clicks"), said(1, "llm")], JUDGMENT_SOURCES, (1, "llm")),
        ([said(3, "clicks")], ["human", "import"], None),
        ([said(0, "human", "a"), said(1, "human", "b")], ["human"], (1, "human")),
        ([said(0, "human", "a"), said(0, "human", "b"), said(1, "human", "c")], ["human"], (0, "human")),
        ([said(0, "llm", "a", 3.0), said(4, "llm", "b", 1.0)], ["llm"], (1, "llm")),
        ([said(2, "llm", "a", 0.0), said(4, "llm", "b", 0.0)], ["llm"], (2, "llm")),
    ],
)
def test_one_judgment_counts_by_stated_rules(judgments, sources, wanted):
    for order in (judgments, judgments[::-1] if wanted != (2, "llm") else judgments):
        assert [(each.grade, each.source) for each in blend(order, sources)] == ([wanted] if wanted else [])


def test_conflicts_are_between_sources():
    judgments = [said(0), said(2, "human"), said(1, doc_id="d2"), said(3, "clicks", doc_id="d2"), said(1, doc_id="d3")]
    assert conflicts(judgments, relevant_from=2) == [("q1", "d1"), ("q1", "d2")]
    assert conflicts(judgments, relevant_from=1) == [("q1", "d1")]


def test_sources_have_names():
    assert named_sources(" clicks, human", option="--x") == ("human", "clicks")
    for text in ("", ",", "people", "human,people"):
        with pytest.raises(InputError, match="--x"):
            named_sources(text, option="--x")


@pytest.fixture
def folder(tmp_path):
    with Workspace.init(tmp_path / "shop") as workspace, workspace.write("test") as connection:
        put_documents(connection, [Document(doc_id=f"d{n}", text=f"a text of number {n}") for n in range(5)])
        put_queries(connection, [Query(query_id=f"q{n}", text=f"query of {n}") for n in range(4)])
        put_split(connection, "train", ["q0", "q1"])
        put_split(connection, "test", ["q2"])
    return tmp_path / "shop"


def judge(folder, *rows, by=""):
    path = write_jsonl(
        folder.parent / "judged.jsonl", [dict(zip(("query_id", "doc_id", "grade"), r, strict=True)) for r in rows]
    )
    with Workspace.open(folder) as workspace:
        return add(workspace, "judgments", path, by=by)


def test_an_import_says_who_judged_and_stores_over_nobody(folder):
    assert judge(folder, ("q1", "d1", 1)).changes["judgments"].num_added == 1
    assert judge(folder, ("q1", "d1", 0), by="human:ann").changes["judgments"].num_added == 1
    assert judge(folder, ("q1", "d1", 1), by="human:bob").changes["judgments"].num_added == 1
    assert judge(folder, ("q1", "d1", 1), by="llm:small").changes["judgments"].num_added == 1
    again = judge(folder, ("q1", "d1", 1), by="human:ann").changes["judgments"]
    assert (again.num_added, again.num_updated) == (0, 1)
    assert judge(folder, ("q1", "d1", 1), by="human:ann").changes["judgments"].num_unchanged == 1
    with Workspace.open(folder) as workspace:
        kept = workspace.collection.all_judgments()
        assert [(each.source, each.rater, each.grade) for each in kept] == [
            ("human", "ann", 1),
            ("human", "bob", 1),
            ("import", "", 1),
            ("llm", "small", 1),
        ]
        hashes = workspace.collection.document_hashes()
        assert {each.document_hash for each in kept} == {hashes["d1"]}
        assert all(each.at for each in kept)
        assert [(each.grade, each.source) for each in workspace.collection.judgments()] == [(1, "human")]


def test_a_judgment_remembers_the_text_it_was_made_on(folder):
    judge(folder, ("q1", "d1", 1))
    with Workspace.open(folder) as workspace:
        [before] = workspace.collection.all_judgments()
        with workspace.write("test") as connection:
            put_documents(connection, [Document(doc_id="d1", text="another text")])
    judge(folder, ("q1", "d1", 1))
    with Workspace.open(folder) as workspace:
        [after] = workspace.collection.all_judgments()
        assert (after.document_hash, after.at) == (before.document_hash, before.at) != ("", "")
        assert after.document_hash != workspace.collection.document_hashes()["d1"]


@pytest.mark.parametrize("by", ["clicks", "people", "human,llm", ":ann"])
def test_nobody_else_judges(folder, by):
    with pytest.raises(InputError, match="--by"):
        judge(folder, ("q1", "d1", 1), by=by)


def test_only_judgments_have_judges(folder):
    path = write_jsonl(folder.parent / "c.jsonl", [{"_id": "d9", "text": "x"}])
    with Workspace.open(folder) as workspace, pytest.raises(InputError, match="are no judgments"):
        add(workspace, "corpus", path, by="human")


def test_measuring_takes_people_and_files_alone_and_training_what_is_asked(folder):
    with Workspace.open(folder) as workspace:
        with workspace.write("test") as connection:
            put_judgments(
                connection,
                [said(1, "clicks", query_id=f"q{n}", doc_id="d2") for n in range(4)]
                + [said(1, query_id="q2", doc_id="d1"), said(1, query_id="q1", doc_id="d1")],
            )
        collection = workspace.collection
        assert [each.doc_id for each in collection.judgments("test")] == ["d1"]
        assert [each.doc_id for each in collection.judgments("train")] == ["d1"]
        assert collection.num_judged_queries() == 2
        trained = with_sources(workspace, "human,clicks").collection
        assert [(each.query_id, each.doc_id) for each in trained.judgments("train")] == [
            ("q0", "d2"),
            ("q1", "d1"),
            ("q1", "d2"),
        ]
        assert [each.doc_id for each in trained.judgments("test")] == ["d1"], "clicks measure nothing"
        measured = workspace.measured_by(("human", "import", "clicks")).collection
        assert [each.doc_id for each in measured.judgments("test")] == ["d1", "d2"]
        assert [each.doc_id for each in measured.judgments("train")] == ["d1"]


def test_evaluation_says_whose_judgments_it_took(ask, base_live, nearer):
    with Workspace.open(base_live) as workspace:
        judged = workspace.collection.judgments("dev")
        other = next(each.doc_id for each in workspace.collection.documents() if each.doc_id != judged[0].doc_id)
        with workspace.write("test") as connection:
            put_judgments(connection, [said(4, "clicks", query_id=judged[0].query_id, doc_id=other)])
    alone = ask(base_live, "evaluate", "base")
    assert alone["judged_by"] == ["human", "import"]
    assert not [note for note in alone["notes"] if "judgments of" in note]
    mixed = ask(base_live, "evaluate", "base", "--judgments", "human,import,clicks")
    assert mixed["judged_by"] == ["human", "import", "clicks"]
    assert "every number here is by judgments of human, import, clicks" in mixed["notes"]
    assert mixed["results"][0]["metrics"] != alone["results"][0]["metrics"]
    shown = nearer("evaluate", "base", "--judgments", "clicks", "--dir", str(base_live)).out
    assert "; judged by clicks" in shown
    assert ask(base_live, "evaluate", "base", "--judgments", "people", code=2)["error"]["code"] == "bad_input"
