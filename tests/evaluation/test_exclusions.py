"""Documents that are the query itself: excluded where nobody judged them, never where somebody did."""

import json

import pytest

import nearer as api
from nearer.core.progress import Silent
from nearer.core.records import Document, Query
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.exclusions import find_exclusions
from nearer.flows.add import add
from nearer.store.changing import put_split
from nearer.systems import open_system
from nearer.training.examples import find_excluded, read_examples
from nearer.training.mining import mine_negatives

WORDS = ("river", "school", "army", "film", "water", "church", "book", "law", "music", "football", "station", "winter")
WORDS += ("garden", "doctor", "island")


def texts(number):
    """Texts of their own words."""
    return [" ".join(WORDS[(place * step + 1) % 15] for step in (1, 2, 4, 7)) + f" {place}" for place in range(number)]


@pytest.fixture
def filled(make_workspace, tmp_path):
    """``filled(corpus, queries, judgments, split="dev", **recipe)``: a workspace with these rows, all in one split."""

    def fill(corpus, queries, judgments, *, split="dev", **recipe):
        workspace = make_workspace({"evaluate": recipe})
        for kind, rows in (("corpus", corpus), ("queries", queries), ("judgments", judgments)):
            path = tmp_path / f"{kind}.jsonl"
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            add(workspace, kind, path)
        with workspace.write("split") as connection:
            put_split(connection, split, [each["_id"] for each in queries])
        return workspace

    return fill


def faq():
    """Entries that are questions, which are asked word for word."""
    said = texts(20)
    corpus = [{"_id": f"d{place}", "text": text} for place, text in enumerate(said)]
    queries = [{"_id": f"q{place}", "text": said[place].upper()} for place in range(8)]
    judgments = [{"query_id": f"q{place}", "doc_id": f"d{place}", "grade": 1} for place in range(8)]
    return corpus, queries, judgments


def debate(own, *, title="", same_id=True):
    """Arguments that are documents too: each is answered by one that nearly repeats it."""
    corpus, queries, judgments = [], [], []
    for place, text in enumerate(texts(10)):
        queries.append({"_id": f"a{place}", "text": text})
        corpus.append({"_id": f"a{place}" if same_id else f"x{place}", "title": title, "text": own(text)})
        corpus.append({"_id": f"c{place}", "text": f"{text} not"})
        judgments.append({"query_id": f"a{place}", "doc_id": f"c{place}", "grade": 1})
    return corpus, queries, judgments


def ndcg(result, system=0):
    return result.results[system].metrics["nDCG@10"].value


def by_every_path(workspace, tmp_path, relevant):
    """The systems of vectors and of words, a run that ranks all documents, and the run that is exported."""
    run = tmp_path / "all.run"
    doc_ids = list(workspace.collection.document_hashes())
    best_first = {
        query.query_id: sorted(doc_ids, key=lambda each, q=query: (_gap(workspace, q, each), each))
        for query in workspace.collection.queries("dev")
    }
    run.write_text(
        "".join(
            f"{query} Q0 {doc} {rank} {-rank} t\n"
            for query, docs in best_first.items()
            for rank, doc in enumerate(docs, 1)
        )
    )
    found = api.evaluate(workspace, ["base", f"run:{run}"])
    exported = tmp_path / "base.run"
    written = api.export(workspace, "run", exported)
    assert written.excluded == found.excluded
    ranked = {tuple(line.split()[0:3:2]) for line in exported.read_text().splitlines()}
    assert relevant <= ranked
    again = api.evaluate(workspace, [f"run:{exported}"])
    return found, [ndcg(found), ndcg(found, 1), ndcg(again)]


def _gap(workspace, query, doc_id):
    [document] = workspace.collection.documents([doc_id])
    left, right = set(query.text.casefold().split()), set(document.text.casefold().split())
    return len(left ^ right)


def test_a_judged_document_with_the_querys_text_is_never_excluded(filled, tmp_path):
    workspace = filled(*faq())
    relevant = {(f"q{place}", f"d{place}") for place in range(8)}
    found, values = by_every_path(workspace, tmp_path, relevant)
    assert values == [1.0, 1.0, 1.0]
    assert (found.excluded.num_documents, found.excluded.num_judged) == (0, 8)
    diagnosis = api.diagnose(workspace, "base")
    assert (diagnosis.num_failed, diagnosis.excluded) == (0, found.excluded)


@pytest.mark.parametrize(
    ("title", "same_id"),
    [("", True), ("", False), ("Topic three", True), ("Topic three", False)],
)
def test_an_unjudged_document_with_the_querys_text_is_excluded_whatever_its_title(filled, tmp_path, title, same_id):
    workspace = filled(*debate(str.upper, title=title, same_id=same_id))
    found, values = by_every_path(workspace, tmp_path, set())
    assert values == [1.0, 1.0, 1.0]
    assert (found.excluded.num_documents, found.excluded.num_queries) == (10, 10)


def test_a_judged_one_stays_even_if_it_is_judged_not_relevant(filled):
    corpus, queries, judgments = debate(str)
    judgments += [{"query_id": f"a{place}", "doc_id": f"a{place}", "grade": 0} for place in range(10)]
    workspace = filled(corpus, queries, judgments)
    found = api.evaluate(workspace)
    assert (found.excluded.num_documents, found.excluded.num_judged) == (0, 10)
    assert ndcg(found) < 1


@pytest.mark.parametrize(
    ("rule", "excluded", "value"), [("same-text", 10, 1.0), ("same-id", 0, 0.63), ("none", 0, 0.63)]
)
def test_the_rule_is_the_recipes(filled, rule, excluded, value):
    workspace = filled(*debate(str, same_id=False), exclude=rule)
    found = api.evaluate(workspace)
    assert (found.excluded.rule, found.excluded.num_documents) == (rule, excluded)
    assert ndcg(found) == pytest.approx(value, abs=0.01)


def test_ids_that_queries_and_documents_share_by_chance_exclude_nothing_but_as_beir_does(filled):
    said = texts(12)
    corpus = [{"_id": str(place), "text": text} for place, text in enumerate(said)]
    queries = [{"_id": str(place), "text": said[(place + 1) % 12]} for place in range(12)]
    judgments = [{"query_id": str(place), "doc_id": str((place + 1) % 12), "grade": 1} for place in range(12)]
    workspace = filled(corpus, queries, judgments)
    found = api.evaluate(workspace)
    assert (ndcg(found), found.excluded.num_documents, found.excluded.num_same_id) == (1.0, 0, 12)
    workspace.close()


@pytest.mark.parametrize(
    ("query", "document", "is_excluded"),
    [
        (("1", "How do I reset it?"), Document(doc_id="1", title="How do I reset it?", text="Press the button."), True),
        (
            ("1", "How do I reset it?"),
            Document(doc_id="2", title="How do I reset it?", text="Press the button."),
            False,
        ),
        (("1", "Rain"), Document(doc_id="1", title="Weather", text="Rain falls on the land."), False),
        (("1", "rain falls on the land"), Document(doc_id="1", title="W", text="Rain falls on the land. Often."), True),
        (("1", "ｒａｉｎ falls"), Document(doc_id="2", title="W", text="Rain\n falls"), True),
        (("1", "बारिश होती है"), Document(doc_id="2", title="मौसम", text="बारिश  होती है"), True),
        (("1", "title and text"), Document(doc_id="2", title="Title", text="and text"), True),
    ],
)
def test_what_is_the_query_itself(make_workspace, query, document, is_excluded):
    queries = [Query(query_id=query[0], text=query[1])]
    found = find_exclusions(make_workspace(), queries, [document])
    assert bool(found.counts.num_documents) is is_excluded
    judged = find_exclusions(make_workspace(name="other"), queries, [document], judged={(query[0], document.doc_id)})
    assert judged.counts.num_documents == 0


@pytest.mark.parametrize("given", [["x1", "x2", "nowhere"], "x1 x2 nowhere", '["x1", "x2", "nowhere"]'])
@pytest.mark.parametrize("is_nested", [True, False])
def test_queries_name_what_is_excluded_and_judged_documents_stay(make_workspace, filled, given, is_nested):
    corpus = [{"_id": f"x{place}", "text": f"{text} x"} for place, text in enumerate(texts(12))]
    queries = [{"_id": f"q{place}", "text": text} for place, text in enumerate(texts(12))]
    judgments = [{"query_id": f"q{place}", "doc_id": f"x{place}", "grade": 1} for place in range(12)]
    queries[2] |= {"metadata": {"excluded_ids": given}} if is_nested else {"excluded_ids": given}
    workspace = filled(corpus, queries, judgments, exclude="none")
    counts = api.evaluate(workspace).excluded
    assert (counts.num_documents, counts.num_named, counts.num_judged, counts.num_unknown) == (1, 1, 1, 1)


def test_excluded_ids_that_are_no_ids_are_a_fault(nearer, make_workspace, tmp_path):
    folder = make_workspace().folder
    file = tmp_path / "queries.jsonl"
    file.write_text('{"_id": "q", "text": "rain", "excluded_ids": {"d1": 1}}\n')
    outcome = nearer("add", "queries", file, "--dir", folder)
    assert outcome.exit_code == 2
    assert '"excluded_ids" is an object, not a list of ids' in outcome.err


def test_the_numbers_are_printed_beside_the_metrics(filled, nearer):
    workspace = filled(*debate(str, title="Topic"))
    folder = workspace.folder
    workspace.close()
    shown = nearer("evaluate", "--dir", folder)
    assert (
        'excluded: 10 documents of 10 queries (evaluate.exclude = "same-text"); live search returns them' in shown.out
    )
    assert nearer("evaluate", "--json", "--dir", folder).json["excluded"]["num_documents"] == 10
    shown = nearer("evaluate", "--set", "evaluate.exclude=none", "--dir", folder)
    assert "excluded:" not in shown.out


def test_the_gate_measures_by_the_same_rule_and_live_search_excludes_nothing(filled, ask):
    workspace = filled(*debate(str, title="Topic"), split="test")
    folder = workspace.folder
    workspace.close()
    judged = ask(folder, "promote", "base")["evaluation"]
    assert judged["excluded"]["num_documents"] == 10
    assert judged["results"][0]["metrics"]["nDCG@10"]["value"] == 1.0
    [own, answer] = ask(folder, "search", texts(10)[3], "-k", "2")["results"]
    assert {own["doc_id"], answer["doc_id"]} == {"a3", "c3"}


@pytest.mark.parametrize("title", ["", "Topic"])
def test_no_document_that_is_the_query_is_a_negative(filled, title):
    workspace = filled(*debate(str, title=title), split="train")
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    read = embedded.corpus
    known = find_excluded(workspace)
    assert not known.query_ids
    examples = read_examples(embedded, excluded=known)
    assert len(examples) == 10
    mined, _ = mine_negatives(workspace, encoder, read, examples, progress=Silent())
    own = {text: read.passages[read.doc_ids.index(f"a{place}")] for place, text in enumerate(texts(10))}
    assert all(each.negatives for each in mined)
    assert not [each for each in mined if own[each.anchor] in each.negatives]
