import pytest
import sqlalchemy as sa

from nearer.core.records import Document, Judgment, Pair, Query
from nearer.core.results.changes import Changes
from nearer.store import changing, tables
from nearer.store import collection as c
from nearer.store.collection import Collection
from nearer.store.database import open_database


@pytest.fixture
def database(store_address):
    database = open_database(store_address)
    yield database
    database.close()


def put(database, function, *arguments):
    with database.write() as connection:
        return function(connection, *arguments)


def documents(*ids, text="text"):
    return [Document(doc_id=doc_id, text=text) for doc_id in ids]


def queries(*ids):
    return [Query(query_id=query_id, text=f"about {query_id}") for query_id in ids]


def judgments(*triples):
    return [Judgment(query_id=q, doc_id=d, grade=g) for q, d, g in triples]


def test_changes_are_counted(database):
    first = put(database, changing.put_documents, documents("a", "b", "c"))
    assert first == Changes(num_added=3)
    edited = [Document(doc_id="a", text="text", metadata={"x": 1}), *documents("b"), *documents("c", text="new")]
    again = put(database, changing.put_documents, [*edited, *documents("d")])
    assert again == Changes(num_added=1, num_updated=2, num_unchanged=1)
    assert Collection(database).documents(["a"])[0].metadata == {"x": 1}
    assert first + again == Changes(num_added=4, num_updated=2, num_unchanged=1)


def test_hashes_follow_title_and_text(database):
    put(
        database, changing.put_documents, [Document(doc_id="a", title="t", text="x"), Document(doc_id="b", text="t\nx")]
    )
    hashes = Collection(database).document_hashes()
    assert hashes["a"] == hashes["b"]
    put(database, changing.put_documents, [Document(doc_id="a", title="u", text="x")])
    assert Collection(database).document_hashes()["a"] != hashes["a"]


def test_a_revision_counts_the_changes_to_the_documents(database):
    collection = Collection(database)
    assert collection.revision() == 0
    seen = [0]
    for change in (
        lambda: put(database, changing.put_documents, documents("a", "b")),
        lambda: put(database, changing.put_documents, [Document(doc_id="a", text="text", metadata={"x": 1})]),
        lambda: put(database, changing.remove_documents, ["b"]),
    ):
        change()
        seen.append(collection.revision())
    assert seen == sorted(set(seen))
    put(database, changing.put_documents, [Document(doc_id="a", text="text", metadata={"x": 1})])
    put(database, changing.remove_documents, ["b", "never"])
    put(database, changing.put_queries, queries("q"))
    assert collection.revision() == seen[-1], "nothing changed"


def test_metadata_is_read_in_id_order_with_the_hash_of_the_text(database):
    rows = [Document(doc_id=doc_id, text="text", metadata={"x": doc_id}) for doc_id in ("é", "a", "中", "b")]
    put(database, changing.put_documents, rows)
    found = list(Collection(database).document_metadata())
    assert [doc_id for doc_id, _, _ in found] == ["a", "b", "é", "中"]
    assert [metadata for _, _, metadata in found] == [{"x": doc_id} for doc_id, _, _ in found]
    assert {doc_id: text for doc_id, text, _ in found} == Collection(database).document_hashes()


def test_judgments_are_added_changed_and_counted(database):
    put(database, changing.put_documents, documents("d1", "d2"))
    put(database, changing.put_queries, queries("q1"))
    assert put(database, changing.put_judgments, judgments(("q1", "d1", 1), ("q1", "d2", 0))) == Changes(num_added=2)
    changes = put(database, changing.put_judgments, judgments(("q1", "d1", 2), ("q1", "d2", 0)))
    assert changes == Changes(num_updated=1, num_unchanged=1)
    assert Collection(database).judgments() == judgments(("q1", "d1", 2), ("q1", "d2", 0))


def test_judgments_on_nothing_are_refused_by_the_database(database):
    with pytest.raises(sa.exc.IntegrityError):
        put(database, changing.put_judgments, judgments(("q?", "d?", 1)))


def test_pairs_are_kept_once_and_come_back_whole(database):
    pair = Pair(query="q", positive="p", negatives=("n", "m"), score=0.5, negative_scores=(0.1, 0.2))
    assert put(database, changing.put_pairs, [pair]) == Changes(num_added=1)
    assert put(database, changing.put_pairs, [pair, Pair(query="q", positive="p")]) == Changes(
        num_added=1, num_unchanged=1
    )
    assert sorted(Collection(database).pairs(), key=lambda p: len(p.negatives)) == [Pair(query="q", positive="p"), pair]


def test_a_pair_that_comes_again_belongs_to_the_source_that_it_then_has(database):
    plain, clicked = Pair(query="q", positive="p"), Pair(query="q", positive="p", source="clicks")
    assert put(database, changing.put_pairs, [plain]) == Changes(num_added=1)
    assert put(database, changing.put_pairs, [clicked]) == Changes(num_updated=1)
    assert Collection(database).pairs() == [clicked]
    assert put(database, changing.put_pairs, [clicked]) == Changes(num_unchanged=1)
    with database.read() as connection:
        assert list(connection.scalars(sa.select(tables.pairs.c.pair_id))) == ["pair-87c7f029704c20ba"], "as ever"


def test_an_exception_undoes_the_whole_transaction(database):
    put(database, changing.put_documents, documents("kept"))

    def interrupted(connection):
        changing.put_documents(connection, documents("kept", text="edited"))
        changing.put_documents(connection, documents("new"))
        changing.remove_documents(connection, ["kept"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(database, interrupted)
    assert Collection(database).documents() == documents("kept")


def test_ids_come_in_byte_order(database):
    ids = ["z", "a", "Z", "é", "10", "9", "\U0001f600", "\uffff", "東"]
    put(database, changing.put_documents, documents(*ids))
    put(database, changing.put_queries, queries(*ids))
    by_bytes = sorted(ids, key=str.encode)
    assert by_bytes != sorted(ids, key=lambda i: i.encode("utf-16-be"))
    collection = Collection(database)
    assert [d.doc_id for d in collection.documents()] == by_bytes
    assert [d.doc_id for d in collection.documents(ids)] == by_bytes
    assert list(collection.document_hashes()) == by_bytes
    assert [q.query_id for q in collection.queries()] == by_bytes
    assert [q.query_id for q in collection.unsplit_queries()] == by_bytes


def test_removal_takes_the_judgments_along(database):
    put(database, changing.put_documents, documents("d1", "d2"))
    put(database, changing.put_queries, queries("q1"))
    put(database, changing.put_judgments, judgments(("q1", "d1", 1), ("q1", "d2", 1)))
    assert put(database, changing.remove_documents, ["d1", "absent"]) == 1
    assert Collection(database).judgments() == judgments(("q1", "d2", 1))
    assert Collection(database).counts() == {"documents": 1, "queries": 1, "judgments": 1, "pairs": 0}


def test_more_rows_than_a_batch(database):
    many = documents(*(f"d{n}" for n in range(c.BATCH + 7)))
    for batch in c.batches(many):
        put(database, changing.put_documents, batch)
    collection = Collection(database)
    assert len(collection.documents([d.doc_id for d in many])) == len(many)
    with database.read() as connection:
        wanted = [*(d.doc_id for d in many), "absent"]
        assert c.unknown_ids(connection, tables.documents.c.doc_id, wanted) == {"absent"}
    assert put(database, changing.remove_documents, [d.doc_id for d in many]) == len(many)


def test_splits(database):
    put(database, changing.put_documents, documents("d1"))
    put(database, changing.put_queries, queries("q1", "q2", "q3"))
    put(database, changing.put_judgments, judgments(("q1", "d1", 1), ("q2", "d1", 1)))
    for split, ids in {"train": ["q1", "q2"], "test-a": ["q2"], "test-b": ["q2"]}.items():
        put(database, changing.put_split, split, ids)
        put(database, changing.put_split, split, ids)
    collection = Collection(database)
    assert collection.splits() == {"test-a": 1, "test-b": 1, "train": 2}
    assert collection.split_of() == {"q1": ["train"], "q2": ["test-a", "test-b", "train"]}
    assert [q.query_id for q in collection.queries("test-a")] == ["q2"]
    assert collection.judgments("test-b") == judgments(("q2", "d1", 1))
    assert [q.query_id for q in collection.unsplit_queries()] == ["q3"]
    put(database, changing.move_to_split, c.LEAKED, ["q2"])
    assert collection.splits() == {"leaked": 1, "train": 1}


def test_the_largest_grade_is_0_until_there_are_judgments(database):
    assert Collection(database).largest_grade() == 0
    put(database, changing.put_documents, documents("d1", "d2"))
    put(database, changing.put_queries, [Query(query_id="q1", text="x")])
    put(database, changing.put_judgments, judgments(("q1", "d1", 1), ("q1", "d2", 3)))
    assert Collection(database).largest_grade() == 3
