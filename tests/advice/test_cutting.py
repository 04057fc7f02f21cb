"""How documents are cut where the recipe says nothing, and that a release keeps it; which cuttings advice tries."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bag_of_words import BagOfWords
from nearer.advice.models import chunk_remedies, cuttings
from nearer.core.records import Document
from nearer.core.results.advice import SkippedRemedy
from nearer.core.sections import AdviseRecipe, ChunkRecipe
from nearer.encode import corpus
from nearer.encode.corpus import PASSAGE_TOKENS, chunking_name, cut, window_of
from nearer.evaluation.diagnosis.rechunk import Scores
from nearer.store.workspace import Workspace
from nearer.systems import chunk_of, open_release


def text_of(number):
    return " ".join(f"word{row}" for row in range(number))


@pytest.mark.parametrize(("reads", "longest"), [(512, PASSAGE_TOKENS), (PASSAGE_TOKENS + 1, PASSAGE_TOKENS), (16, 16)])
def test_a_passage_is_short_where_the_recipe_says_nothing(reads, longest):
    encoder = BagOfWords(reads)
    window = window_of(ChunkRecipe(), encoder)
    assert (window.max_tokens, window.overlap_tokens) == (longest, longest // 4)
    assert window_of(ChunkRecipe(max_tokens=reads), encoder).max_tokens == reads
    first, second, *_ = cut([Document(doc_id="d", text=text_of(400))], encoder, window).passages
    heading = " ".join(f"word{row}" for row in range(longest // 4))
    assert (len(first.split()), len(second.split())) == (longest - longest // 4 - 1, longest - 1)
    assert second.startswith(f"{heading}\n")


def test_what_an_encoder_does_not_read_of_a_whole_document_begins_where_it_ends():
    scores = Scores.__new__(Scores)
    scores.encoder = BagOfWords(300)
    [rest] = scores.unread(Document(doc_id="d", text=text_of(400)))
    assert (rest.split()[0], rest.split()[-1]) == ("word300", "word399")
    assert scores.unread(Document(doc_id="d", text=text_of(300))) == []
    assert (
        max(len(each.split()) for each in scores.unread(Document(doc_id="d", text=text_of(900)))) == PASSAGE_TOKENS - 1
    )


def test_a_release_keeps_how_documents_were_cut_whatever_the_default_is_by_then(base_live, monkeypatch):
    with Workspace.open(base_live) as workspace:
        release = workspace.registry.live()
        before = window_of(open_release(workspace, release, name="live").chunk, BagOfWords(512))
        assert release.system["chunk"]["max_tokens"] == before.max_tokens
        monkeypatch.setattr(corpus, "PASSAGE_TOKENS", 20)
        live = open_release(workspace, release, name="live")
        assert window_of(live.chunk, live.encoder) == before
        assert window_of(workspace.recipe.chunk, live.encoder).max_tokens == 20


def test_a_release_from_before_lengths_were_pinned_is_cut_as_it_was(base_live):
    with Workspace.open(base_live) as workspace:
        release = workspace.registry.live()
        old = {key: value for key, value in release.system["chunk"].items() if key == "enabled"}
        then = replace(release, system={**release.system, "chunk": {**old, "max_tokens": None}})
        window = window_of(chunk_of(then, BagOfWords(512)), BagOfWords(512))
        assert chunking_name(window) == "512 tokens, 32 shared"
        assert not chunk_of(replace(then, system={"chunk": {"enabled": False}}), BagOfWords(512)).max_tokens


def data_of(advise, *, num_queries=100, num_passages=5000, num_documents=2000, length=300, **chunk):
    return SimpleNamespace(
        queries=range(num_queries),
        corpus=SimpleNamespace(passages=[text_of(length)] * num_passages, documents=range(num_documents)),
        system=SimpleNamespace(encoder=BagOfWords(200)),
        workspace=SimpleNamespace(recipe=SimpleNamespace(advise=advise, chunk=ChunkRecipe(**chunk))),
    )


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"num_queries": 99}, "99 queries hardly tell"),
        ({"num_passages": 5001}, "the corpus of 5,001 passages anew"),
        ({"num_documents": 5000}, "every document is one passage"),
        ({"enabled": False, "length": 30}, "the encoder reads every document whole"),
    ],
)
def test_advice_tries_no_cutting_unasked_that_costs_much_or_tells_little(sizes, reason):
    [skipped] = chunk_remedies(data_of(AdviseRecipe(), **sizes))
    assert isinstance(skipped, SkippedRemedy)
    assert reason in skipped.reason
    assert cuttings(data_of(AdviseRecipe(), **sizes)) == skipped, "nor is its time told"
    assert list(chunk_remedies(data_of(AdviseRecipe(chunks=()), **sizes))) == []


def test_advice_tries_unasked_what_the_encoder_can_read_and_all_that_is_named():
    tried = [each.model_dump(exclude_unset=True) for each in cuttings(data_of(AdviseRecipe()))]
    assert tried == [{"enabled": False}, {"repeat_title": False}]
    without = cuttings(data_of(AdviseRecipe(), repeat_title=False))
    assert [each.model_dump(exclude_unset=True) for each in without] == [{"enabled": False}]
    [whole] = cuttings(data_of(AdviseRecipe(), enabled=False, num_passages=20, num_documents=20))
    assert whole.enabled
    named = (ChunkRecipe(max_tokens=254),)
    assert cuttings(data_of(AdviseRecipe(chunks=named), num_queries=3)) == named


def test_advice_tries_none_longer_passages_and_no_headings_by_itself():
    tried = [each.model_dump(exclude_unset=True) for each in AdviseRecipe().chunks]
    assert tried == [{"enabled": False}, {"max_tokens": 254}, {"repeat_title": False}]
