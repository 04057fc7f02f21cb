"""Which share of the relevant text reaches a prompt, measured beside the ranks."""

import re

import numpy as np
import pytest

from folders import write_jsonl
from nearer.core.progress import Silent
from nearer.encode.embedded import Corpora, EmbeddedCorpus
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ranking import rank
from nearer.store.workspace import Workspace
from nearer.systems import open_system

LONG = ("--set", 'evaluate.measures=["nDCG@10", "ContextRecall@2000", "ContextPrecision@2000"]')
BOTH = ("--set", 'evaluate.measures=["nDCG@10", "ContextRecall@40", "ContextPrecision@40"]')
RECALL, PRECISION = "ContextRecall@40", "ContextPrecision@40"


def tokens(text):
    """An estimate of its own: up to four letters or three digits a token, any other sign one."""
    return len(re.findall(r"[a-z]{1,4}|[0-9]{1,3}|[^\sa-z0-9]", text.lower()))


def values(result, system, metric):
    [found] = [each for each in result["results"] if each["system"] == system]
    return found["metrics"][metric]["value"]


def test_measured_only_where_asked_for(ask, base_live):
    [base] = ask(base_live, "evaluate")["results"]
    assert not [name for name in base["metrics"] if name.startswith("Context")]


def test_printed_with_intervals_slices_and_comparisons(ask, nearer, base_live, tmp_path):
    ask(base_live, "export", "run", tmp_path / "base.run")
    run = f"run:{tmp_path / 'base.run'}"
    result = ask(base_live, "evaluate", "base", run, *LONG)
    base, other = result["results"]
    assert base["metrics"]["ContextRecall@2000"] == other["metrics"]["ContextRecall@2000"]
    assert base["metrics"]["ContextRecall@2000"]["low"] > 0.5, "80 documents of some 20 tokens nearly all fit"
    assert {each["metric"] for each in result["comparisons"]} >= {"ContextRecall@2000", "ContextPrecision@2000"}
    assert "ContextPrecision@2000" in nearer("evaluate", *LONG, "--dir", base_live).out
    sliced = ("--set", 'evaluate.slice_fields=["label_topic"]', "--set", 'evaluate.measures=["ContextRecall@40"]')
    slices = ask(base_live, "evaluate", *sliced)["results"][0]["slices"]
    assert {tuple(each["metrics"]) for each in slices.values() if each["metrics"]} == {(RECALL,)}


def test_the_budget_is_not_a_rank(base_live):
    workspace = Workspace.open(base_live, overrides=("evaluate.depth=5", 'evaluate.measures=["ContextRecall@2000"]'))
    judged = read_judged_split(workspace, "dev")
    _, ranked, _ = rank(Corpora(workspace, Silent()), open_system(workspace, "base"), judged.queries)
    workspace.close()
    assert ranked.rows_QK.shape == (20, 5)


@pytest.fixture
def long_documents(ask, new_workspace, words, tmp_path):
    """Documents of one to four passages; each query is two words of one passage, and the third has two answers."""
    folder = new_workspace(chunk={"max_tokens": 16, "overlap_tokens": 4})
    own = [words[40 * n : 40 * n + 14 * (1 + n % 4)] for n in range(12)]
    ask(
        folder,
        "add",
        "corpus",
        write_jsonl(tmp_path / "c.jsonl", [{"_id": f"d{n:02}", "text": " ".join(text)} for n, text in enumerate(own)]),
    )
    rows = [{"_id": f"q{n}", "text": " ".join(own[n][-2:])} for n in range(12)]
    ask(folder, "add", "queries", write_jsonl(tmp_path / "q.jsonl", rows))
    judged = [{"query_id": f"q{n}", "doc_id": f"d{n:02}", "grade": 1} for n in range(12)]
    judged.append({"query_id": "q2", "doc_id": "d07", "grade": 1})
    ask(folder, "add", "judgments", write_jsonl(tmp_path / "j.jsonl", judged), *DEV)
    return folder


DEV = ("--set", "split.dev_fraction=0.9", "--set", "split.test_fraction=0.0")


def test_each_document_brings_the_passage_that_was_found(ask, long_documents):
    result = ask(long_documents, "evaluate", *BOTH, *DEV)
    workspace = Workspace.open(long_documents)
    encoder, judged = open_system(workspace, "base").encoder, read_judged_split(workspace, "dev")
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    corpus, emb_PD, emb_QD = embedded.corpus, embedded.passage_emb_PD, embedded.embed_queries(judged.queries)
    workspace.close()
    assert len(corpus.passages) > 2 * len(corpus.documents)
    wanted = {RECALL: [], PRECISION: []}
    for query, emb_D in zip(judged.queries, emb_QD, strict=True):
        best = {row: max(corpus.passages_of(row), key=lambda p: emb_PD[p] @ emb_D) for row in range(12)}
        order = sorted(best, key=lambda row: (emb_PD[best[row]] @ emb_D, row), reverse=True)
        relevant = [corpus.doc_ids.index(doc_id) for doc_id in judged.relevant[query.query_id]]
        prompt = [row in relevant for row in order for _ in range(tokens(corpus.passages[best[row]]))][:40]
        reachable = min(40, sum(tokens(corpus.documents[row].full_text) for row in relevant))
        wanted[RECALL].append(sum(prompt) / reachable)
        wanted[PRECISION].append(sum(prompt) / len(prompt))
    for metric, expected in wanted.items():
        assert values(result, "base", metric) == pytest.approx(np.mean(expected)), metric
    assert 0 < np.mean(wanted[RECALL]) < 1


def test_a_run_brings_whole_documents_and_those_the_corpus_lacks_take_their_room(ask, long_documents, tmp_path):
    path = tmp_path / "other.run"
    lines = [f"q{n} Q0 gone 1 3 t\n" * (n % 2) + f"q{n} Q0 d{n:02} 2 2 t\n" for n in range(12)]
    path.write_text("".join(lines))
    result = ask(long_documents, "evaluate", f"run:{path}", *BOTH, *DEV)
    assert result["results"][0]["run"]["num_unknown_documents"] > 0
    workspace = Workspace.open(long_documents)
    judged = read_judged_split(workspace, "dev")
    length = {each.doc_id: tokens(each.full_text) for each in workspace.collection.documents()}
    workspace.close()
    numbers = [int(query.query_id[1:]) for query in judged.queries]
    mean = round(float(np.mean([length[f"d{n:02}"] for n in numbers])))
    expected = []
    for n in numbers:
        fits = min(length[f"d{n:02}"], max(0, 40 - (mean if n % 2 else 0)))
        expected.append(fits / min(40, sum(length[doc_id] for doc_id in judged.relevant[f"q{n}"])))
    assert values(result, f"run:{path}", RECALL) == pytest.approx(np.mean(expected))
