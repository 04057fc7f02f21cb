"""What dev or test knows is not learned from."""

import pytest

from nearer.core.errors import InputError
from nearer.core.progress import Silent
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.encode.embedded import EmbeddedCorpus
from nearer.store.changing import put_documents, put_judgments, put_pairs, put_queries, put_split
from nearer.systems import open_system
from nearer.training.dev_set import build_dev_set, read_dev_set
from nearer.training.examples import find_excluded, read_examples

TEXTS = {
    "train-leaks": "rotate the log file every night",
    "train-fine": "count words in a text",
    "dev-leaks": "list all users of this group",
    "dev-fine": "show free disk space now",
    "test-1": "Rotate the log file,  every night!",
    "test-2": "list all users of this group",
}
PAIRS = (
    Pair(query="Show free disk space NOW", positive="df -h"),  # a dev query
    Pair(query="print the calendar of May", positive="cal 5"),
)


@pytest.fixture
def workspace(make_workspace):
    made = make_workspace()
    with made.database.write() as connection:
        put_documents(connection, [Document(doc_id=f"d-{name}", text=f"document of {name}") for name in TEXTS])
        put_queries(connection, [Query(query_id=name, text=text) for name, text in TEXTS.items()])
        put_judgments(connection, [Judgment(query_id=name, doc_id=f"d-{name}", grade=1) for name in TEXTS])
        put_pairs(connection, PAIRS)
        for split in ("train", "dev", "test"):
            put_split(connection, split, [name for name in TEXTS if name.startswith(split)])
    return made


def test_leaking_queries_and_pairs_are_named(workspace):
    excluded = find_excluded(workspace)
    assert excluded.query_ids == {"train-leaks", "dev-leaks"}
    assert excluded.pairs == {PAIRS[0]}


def test_they_neither_teach_nor_choose(workspace):
    encoder, excluded = open_system(workspace, "base").encoder, find_excluded(workspace)
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    examples = read_examples(embedded, excluded=excluded)
    assert [example.anchor for example in examples] == ["count words in a text", "print the calendar of May"]
    dev = build_dev_set(embedded, excluded=excluded.query_ids)
    assert [query.query_id for query in dev.queries] == ["dev-fine"]


def test_a_judged_query_and_a_pair_that_share_a_positive_spare_each_others_texts(workspace):
    with workspace.database.write() as connection:
        put_pairs(connection, [Pair(query=PAIRS[1].query, positive="document of train-fine")])
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    excluded = find_excluded(workspace)
    examples = read_examples(embedded, excluded=excluded)
    both = {"count words in a text", "print the calendar of may", "document of train-fine", "cal 5"}
    assert [example.masked for example in examples] == [both] * 3


def test_the_dev_set_holds_every_relevant_document_and_the_asked_number_of_others(workspace):
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    dev = build_dev_set(embedded, excluded=frozenset())
    assert {"document of dev-fine", "document of dev-leaks"} <= set(dev.passages)
    assert len(dev.starts_N) == len(TEXTS)  # fewer documents than distractors asked for
    assert 0 <= dev.measure(encoder) <= 1


def test_without_a_dev_query_nothing_can_be_chosen(workspace):
    encoder = open_system(workspace, "base").encoder
    dev, corpus = read_dev_set(workspace, encoder, excluded=frozenset({"dev-leaks"}), progress=Silent())
    assert [query.query_id for query in dev.queries] == ["dev-fine"]
    assert len(corpus.documents) == len(TEXTS)
    with pytest.raises(InputError, match="no dev query with a relevant document") as caught:
        read_dev_set(workspace, encoder, excluded=frozenset({"dev-fine", "dev-leaks"}), progress=Silent())
    assert "nearer check" in caught.value.hint
