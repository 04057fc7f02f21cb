"""A script that the base's tokenizer does not know is told by check, diagnose and advise, from the tokenizer alone."""

import pytest

from folders import write_beir
from nearer.advice.advice_data import AdviceData
from nearer.core.progress import Silent
from nearer.encode.encoder import Encoder
from nearer.encode.unknown import count_unknown, script_of
from nearer.flows.add import add
from nearer.flows.check import check
from nearer.flows.diagnose import diagnose
from nearer.store.workspace import Workspace

TELUGU = [
    "గ్రామ",
    "జనాభా",
    "ఎంత",
    "ఉంది",
    "పాఠశాల",
    "ఆసుపత్రి",
    "నది",
    "వంతెన",
    "దారి",
    "చెరువు",
    "బడి",
    "పొలం",
    "వర్షం",
    "గాలి",
    "చెట్టు",
    "పువ్వు",
    "ఇల్లు",
    "తలుపు",
    "కిటికీ",
    "గోడ",
]
ENGLISH = [
    "village",
    "people",
    "school",
    "hospital",
    "river",
    "bridge",
    "road",
    "lake",
    "class",
    "field",
    "rain",
    "wind",
    "tree",
    "flower",
    "house",
    "door",
    "window",
    "wall",
]
THAI = "หมู่บ้านนี้มีประชากรกี่คน"


def rows_of(words):
    corpus = [{"_id": f"d{row:02}", "text": f"{words[row]} {words[row + 1]} {words[row + 2]}"} for row in range(15)]
    queries = [{"_id": f"q{row:02}", "text": f"{words[row]} {words[row + 1]}"} for row in range(15)]
    judgments = [{"query_id": f"q{row:02}", "doc_id": f"d{row:02}", "grade": 1} for row in range(15)]
    return {"corpus": corpus, "queries": queries, "judgments": judgments}


@pytest.fixture(scope="module", params=["Telugu", "English"])
def named(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    words = {"Telugu": TELUGU, "English": ENGLISH}[request.param]
    with Workspace.init(folder / "workspace") as workspace:
        add(workspace, "beir", write_beir(folder / "beir", rows_of(words), split_of=lambda number: "dev"))
        yield request.param, workspace


def test_check_tells_the_share_of_documents_and_of_queries(named, monkeypatch):
    script, workspace = named
    monkeypatch.setattr(Encoder, "_encode", lambda *_, **__: pytest.fail("the tokenizer alone is enough"))
    result = check(workspace)
    reported = [note for note in result.notes if "cannot read" in note]
    if script == "Telugu":
        assert min(result.unknown_tokens.values()) > 0.5
        assert [note.split(":")[0] for note in reported] == [
            "the base cannot read the documents",
            "the base cannot read the queries",
        ]
        assert all("(Telugu)" in note and "Training does not mend that" in note for note in reported)
    else:
        assert result.unknown_tokens == {"documents": 0.0, "queries": 0.0}
        assert not reported


def test_diagnose_gives_it_as_the_cause(named):
    script, workspace = named
    found = {each.cause: each for each in diagnose(workspace, "base").causes}
    if script == "Telugu":
        assert list(found) == ["unknown_tokens"]
        assert "(Telugu) of the tokens of the query" in found["unknown_tokens"].examples[0].evidence
        assert "another base" in found["unknown_tokens"].remedy or "a base that knows" in found["unknown_tokens"].remedy
    else:
        assert "unknown_tokens" not in found
    assert "unknown_tokens" not in {each.cause for each in diagnose(workspace, "bm25").causes}


def test_advice_knows_of_it(named):
    script, workspace = named
    unread = AdviceData(workspace, Silent()).unread
    if script == "Telugu":
        assert "of the tokens of queries and" in unread
        assert unread.endswith("of the tokens of documents")
    else:
        assert unread is None


def test_shares_are_those_of_the_tokenizer():
    from nearer.encode.base_model import DEFAULT_MODEL

    encoder = Encoder.load(DEFAULT_MODEL)
    found = count_unknown(encoder, [" ".join(TELUGU), "plain English", THAI, ""])
    assert found.num_tokens == len(TELUGU) + 2 + len(encoder.token_spans(THAI))
    assert found.scripts["Telugu"] == found.num_unknown - found.scripts["Thai"] > 15
    assert "Telugu" in found.described
    assert count_unknown(encoder, []).share == 0.0
    assert count_unknown(encoder, ["naïve Straße 日"]).share < 0.1
    assert script_of("…a") == "Latin"
