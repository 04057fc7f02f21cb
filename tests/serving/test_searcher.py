"""A searcher is opened once and asked by many: it answers as one query of the command does, and writes nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from folders import write_jsonl
from nearer.core.errors import Conflict, NotFound
from nearer.encode.encoder import Encoder
from nearer.flows.add import add
from nearer.flows.index import index
from nearer.flows.promote import promote
from nearer.flows.remove import remove
from nearer.flows.search import search
from nearer.retrieval import manifest
from nearer.serving.searcher import Searcher
from nearer.store.workspace import Workspace


@pytest.fixture
def workspace(base_live):
    with Workspace.open(base_live) as opened:
        yield opened


def ids(answer):
    return [hit.document.doc_id for hit in answer.hits]


def state(workspace):
    """Every file of a workspace with its content; what SQLite keeps beside its database to read it is no content."""
    files = (path for path in workspace.folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal", ".lock"))}


@pytest.mark.parametrize("mode", ["release", "lexical"])
def test_many_threads_are_answered_as_one_is(workspace, mode):
    lexical = mode == "lexical"
    texts = [query.text for query in workspace.collection.queries("dev")][:24]
    alone = [[each["doc_id"] for each in search(workspace, text, lexical=lexical)["results"]] for text in texts[:3]]
    with Searcher.open(workspace) as searcher, ThreadPoolExecutor(8) as threads:
        one_by_one = [ids(searcher.search(text, mode=mode)) for text in texts]
        at_once = list(threads.map(lambda text: ids(searcher.search(text, mode=mode)), texts * 3))
    assert one_by_one[:3] == alone
    assert at_once == one_by_one * 3


def test_it_follows_the_pointer_and_the_documents_when_told(workspace):
    with Searcher.open(workspace) as searcher:
        first = searcher.search("harbour lantern")
        gone = ids(first)[0]
        remove(workspace, [gone])
        assert gone not in ids(searcher.search("harbour lantern")), "what is removed is left out at once"
        add(
            workspace, "corpus", write_jsonl(workspace.folder.parent / "new.jsonl", [{"_id": "new", "text": "a zebra"}])
        )
        assert searcher.stale()
        assert "new" not in ids(searcher.search("a zebra", k=200))
        index(workspace)
        assert searcher.refresh() is False
        assert searcher.stale() == []
        assert "new" in ids(searcher.search("a zebra", k=200))
        assert ids(searcher.search("zebra", mode="lexical")) == ["new"]
        promote(workspace, "hybrid", force_reason="to serve it")
        assert searcher.search("zebra").release_id == first.release_id
        system = searcher.served.system
        assert searcher.refresh() is True
        assert searcher.served.system is not system
        assert searcher.search("zebra").release_id == workspace.registry.live().release_id
    with pytest.raises(Conflict, match="closed"):
        searcher.search("zebra")


def test_what_cannot_be_opened_anew_leaves_what_was_served(workspace, monkeypatch):
    def missing(*_, **__):
        raise NotFound("gone", hint="")

    with Searcher.open(workspace) as searcher:
        before = searcher.search("lantern")
        monkeypatch.setattr("nearer.serving.served.read_manifest", missing)
        with pytest.raises(NotFound):
            searcher.refresh()
        assert searcher.search("lantern") == before


def test_it_outlives_the_versions_of_its_index(base_live, ask, monkeypatch):
    with (base_live / "nearer.toml").open("a") as recipe:
        recipe.write('\n[index]\nkind = "lancedb"\n')
    ask(base_live, "index")
    monkeypatch.setattr(manifest, "HELD", timedelta(0))
    with Workspace.open(base_live) as workspace, Searcher.open(workspace) as searcher:
        for number in range(4):
            rows = [{"_id": f"new{number}", "text": f"zebra {number}"}, {"_id": "d000", "text": f"lantern {number}"}]
            add(workspace, "corpus", write_jsonl(base_live.parent / "rows.jsonl", rows))
            index(workspace)
        assert len(ids(searcher.search("lantern", k=200))) in (80, 84), "one version, whole: its own, or today's"
        searcher.refresh()
        assert len(ids(searcher.search("lantern", k=200))) == 84
        assert searcher.stale() == []


@pytest.fixture
def long_documents(new_workspace, tmp_path, beir, words, topic_cross_encoder_folder):
    """A workspace of documents of several passages, with a reranker."""
    folder = new_workspace(
        chunk={"max_tokens": 16, "overlap_tokens": 2, "repeat_title": True},
        search={"rerank": {"model": str(topic_cross_encoder_folder)}},
    )
    rows = [
        {"_id": f"long{n:02}", "title": words[n], "text": " ".join(words[n * 7 + m] for m in range(40))}
        for n in range(30)
    ]
    with Workspace.open(folder) as workspace:
        add(workspace, "beir", beir)
        add(workspace, "corpus", write_jsonl(tmp_path / "long.jsonl", rows))
        yield workspace


@pytest.mark.parametrize("name", ["base", "base+rerank", "bm25+rerank"])
def test_a_search_encodes_no_document_and_writes_nothing(long_documents, words, name, monkeypatch):
    promote(long_documents, name, force_reason="to serve it")
    asked = " ".join(words[20:60])
    search(long_documents, asked)  # BM25 is kept from now on
    before = state(long_documents)
    fail = "nearer.encode.encoder.Encoder.encode_documents"
    with Searcher.open(long_documents) as searcher:
        with monkeypatch.context() as patch:
            patch.setattr(fail, lambda _, texts: pytest.fail(f"{len(texts)} documents encoded"))
            answer = searcher.search(asked, k=5)
        encoder = searcher.served.system.encoder
        assert isinstance(encoder, Encoder)
        long = [hit for hit in answer.hits if hit.document.doc_id.startswith("long")]
        assert long
        for hit in long:
            passages = searcher.served.passages_of(hit.document)
            assert len(passages) > 2
            shown = hit.passage
            assert shown == passages[shown.ordinal]
            own = hit.document.full_text[shown.start : shown.end]
            assert shown.text == (f"{hit.document.title}\n{own}" if shown.ordinal else own)
            scores = encoder.encode_documents([each.text for each in passages]) @ encoder.encode_queries([asked])[0]
            assert shown.ordinal == int(scores.argmax())
    assert state(long_documents) == before


def test_a_document_edited_since_is_read_as_it_is_now(long_documents, words, tmp_path):
    promote(long_documents, "base+rerank", force_reason="to serve it")
    asked = " ".join(words[20:24])
    with Searcher.open(long_documents) as searcher:
        first = searcher.search(asked, k=1).hits[0].document.doc_id
        edited = {"_id": first, "title": words[3], "text": " ".join(words[40:60]) + " " + asked}
        add(long_documents, "corpus", write_jsonl(tmp_path / "edited.jsonl", [edited]))
        hits = [hit for hit in searcher.search(asked, k=20).hits if hit.document.doc_id == first]
        assert hits
        assert hits[0].document.full_text[hits[0].passage.start : hits[0].passage.end].split()[-1] == words[23]


def test_documents_of_one_text_are_named_where_other_texts_score_alike(workspace, tmp_path):
    rows = [{"_id": f"{twin}{n}", "text": f"a zebra on quay {n}"} for twin in "abc" for n in range(6)]
    add(workspace, "corpus", write_jsonl(tmp_path / "zebras.jsonl", rows))
    index(workspace)
    found = search(workspace, "zebra", k=4, lexical=True)["results"]
    assert [{each["doc_id"], *each["identical_ids"]} for each in found] == [
        {f"{twin}{n}" for twin in "abc"} for n in (5, 4, 3, 2)
    ]


@pytest.mark.parametrize("system", ["base", "hybrid", "bm25"])
def test_documents_of_one_text_take_one_rank(workspace, tmp_path, system):
    rows = [{"_id": f"same-{n}", "title": "Zebra", "text": "a zebra on the quay"} for n in range(3)]
    rows += [{"_id": f"zebra-{n}", "text": f"a zebra on quay number {n}"} for n in range(6)]
    rows += [{"_id": "other-title", "title": "Horse", "text": "a zebra on the quay"}]
    add(workspace, "corpus", write_jsonl(tmp_path / "zebras.jsonl", rows))
    index(workspace)
    if system != "base":
        promote(workspace, system, force_reason="to search it")
    found = search(workspace, "a zebra on the quay", k=8)["results"]
    assert len({each["title"] + each["text"] for each in found}) == len(found) == 8
    [same] = [each for each in found if each["doc_id"].startswith("same-")]
    assert {same["doc_id"], *same["identical_ids"]} == {"same-0", "same-1", "same-2"}
    assert all(not each["identical_ids"] for each in found if each is not same)
    [first] = search(workspace, "a zebra on the quay", k=1)["results"]
    alone = search(workspace, "a zebra on the quay", k=1, lexical=True)["results"][0]
    for each in (first, alone):
        assert len(each["identical_ids"]) == (2 if each["doc_id"].startswith("same-") else 0)
