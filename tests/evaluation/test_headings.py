"""Passages that begin with a heading: what is shown, exported and counted is the document's own text."""

import pyarrow.parquet as pq
import pytest

import nearer
from folders import write_jsonl
from nearer.store.workspace import Workspace
from nearer.web.search import shortened

NUM_DOCUMENTS = 24


@pytest.fixture
def long_documents(new_workspace, tmp_path, words):
    """Documents of several passages of 16 tokens, every other one with a title; what is asked for stands at the end."""
    folder = new_workspace(chunk={"max_tokens": 16, "overlap_tokens": 2})
    rows, queries, judgments = [], [], []
    for n in range(NUM_DOCUMENTS):
        own = words[n * 40 : n * 40 + 40]
        title = {"title": f"{own[0]} {own[1]}"} if n % 2 else {}
        rows.append({"_id": f"d{n:02}", **title, "text": f"{own[2]} {own[3]} {own[4]} {own[5]}. {' '.join(own[6:])}."})
        queries.append({"_id": f"q{n:02}", "text": " ".join(own[-6:])})
        judgments.append({"query_id": f"q{n:02}", "doc_id": f"d{n:02}", "grade": 1})
    with Workspace.open(folder) as workspace:
        for kind, made in (("corpus", rows), ("queries", queries), ("judgments", judgments)):
            nearer.add(workspace, kind, str(write_jsonl(tmp_path / f"{kind}.jsonl", made)))
        nearer.promote(workspace, "base")
        yield workspace, queries


def test_span_and_text_are_the_documents_own_and_no_snippet_begins_with_the_heading(long_documents):
    workspace, queries = long_documents
    num_later = 0
    with nearer.Searcher.open(workspace) as searcher:
        for query in queries:
            for hit in searcher.search(query["text"], k=5).hits:
                passage, whole = hit.passage, hit.document.full_text
                assert hit.passage_text == whole[passage.start : passage.end]
                assert passage.text.endswith(hit.passage_text)
                if passage.ordinal:
                    num_later += 1
                    heading = passage.text.removesuffix(f"\n{hit.passage_text}")
                    assert whole.startswith(heading)
                    assert passage.start >= len(heading)
                    assert not shortened(hit.passage_text).startswith(heading)
    assert num_later > NUM_DOCUMENTS


def test_what_is_evaluated_exported_searched_and_measured_as_a_run_is_one_ranking(long_documents, tmp_path):
    workspace, queries = long_documents
    run = tmp_path / "base.run"
    nearer.export(workspace, "run", str(run))
    measured = nearer.evaluate(workspace, ["base", f"run:{run}"])
    base, as_run = measured.results
    for name, metric in base.metrics.items():
        assert as_run.metrics[name].value == pytest.approx(metric.value), name
    ranked = {}
    for line in run.read_text().splitlines():
        query_id, _, doc_id, *_ = line.split()
        ranked.setdefault(query_id, []).append(doc_id)
    assert len(ranked) > 1, "queries of dev"
    for query in queries:
        if query["_id"] not in ranked:
            continue
        found = [hit["doc_id"] for hit in nearer.search(workspace, query["text"], k=5)["results"]]
        assert found == ranked[query["_id"]][:5]


def test_exported_vectors_have_the_spans_of_the_own_texts(long_documents, tmp_path):
    workspace, _ = long_documents
    nearer.export_vectors(workspace, str(tmp_path / "vectors.parquet"))
    rows = pq.read_table(tmp_path / "vectors.parquet").to_pylist()
    documents = {each.doc_id: each.full_text for each in workspace.collection.documents()}
    assert {row["doc_id"] for row in rows} == documents.keys()
    for doc_id, text in documents.items():
        own = [(row["start"], row["end"]) for row in rows if row["doc_id"] == doc_id]
        assert len(own) > 2
        assert min(own)[0] == 0
        assert max(end for _, end in own) == len(text)


def test_a_failure_is_diagnosed_by_what_other_cuts_with_headings_would_do(long_documents, ask):
    workspace, _ = long_documents
    found = ask(workspace.folder, "diagnose", "base")
    assert found["num_queries"] == len(workspace.collection.queries("dev")) > 1
    assert sum(cause["num_queries"] for cause in found["causes"]) == found["num_failed"]


def test_headings_change_the_space_of_no_vector_but_make_another_index(long_documents):
    workspace, _ = long_documents
    live = workspace.registry.live()
    assert live.system["chunk"]["repeat_title"] is True
    without = Workspace.open(workspace.folder, overrides=("chunk.repeat_title=false",))
    with without, nearer.Searcher.open(without) as searcher:
        assert searcher.served.window.repeat_title, "live is cut as it was released"
        assert searcher.stale() == []
