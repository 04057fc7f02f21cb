import re
import time
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.retrieval.lexical import STOP_WORDS, LexicalIndex, analyse

TEXTS = ["red red fox", "red hen", "", "blue whale swims with a blue boat", "hen"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        # Lucene, TestEnglishAnalyzer.java
        ("books", "book"),
        ("book", "book"),
        ("the", ""),
        ("steven's", "steven"),
        ("steven\u2019s", "steven"),
        ("steven\uff07s", "steven"),
        # Lucene, TestStandardAnalyzer.java, in lower case and with the stems that PorterStemmer.java gives
        ("B2B 2B", "b2b 2b"),
        ("some-dashed-phrase", "some dash phrase"),
        ("dogs,chase,cats", "dog chase cat"),
        ("ac/dc", "ac dc"),
        ("O'Reilly you're she's don't O'Reilly's", "o'reilli you'r she don't o'reilli"),
        ("21.35 R2D2 C3PO 216.239.63.104", "21.35 r2d2 c3po 216.239.63.104"),
        ("David has 5000 bones", "david ha 5000 bone"),
        ("foo      bar .  FOO <> BAR", "foo bar foo bar"),
        ('"QUOTED" word', "quot word"),
        ("C++ C#", "c c"),
        ("m\u0364chte", "m\u0364chte"),
        ("我是中国人。 １２３４ Ｔｅｓｔｓ", "我 是 中 国 人 １２３４ ｔｅｓｔｓ"),
        ("안녕하세요 한글입니다", "안녕하세요 한글입니다"),
        ("การที่ได้ต้องแสดงว่างานดี. แล้วเธอจะไปไหน? ๑๒๓๔", "การที่ได้ต้องแสดงว่างานดี แล้วเธอจะไปไหน ๑๒๓๔"),
        # Unicode Standard Annex 29: connectors, dots, colons and commas within words and numbers
        ("foo_bar __init__ ____ os.path.join", "foo_bar __init__ os.path.join"),
        ("HTTP-404 E0x1F 4,600 1,000.50; a:b 3:4", "http 404 e0x1f 4,600 1,000.50 a:b 3 4"),
        ("end. 5. x_ _y", "end 5 x_ _y"),
        ("カタカナ ひら", "カタカナ ひ ら"),
        ("", ""),
        ("... --- !!", ""),
    ],
)
def test_analyses_as_lucene_does(text, terms):
    assert analyse(text) == terms.split()


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        # Porter, An Algorithm for Suffix Stripping (1980), examples of the steps
        ("caresses", "caress"), ("ponies", "poni"), ("ties", "ti"), ("cats", "cat"), ("feed", "feed"),
        ("agreed", "agre"), ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("hopping", "hop"),
        ("filing", "file"), ("happy", "happi"), ("sky", "sky"), ("relational", "relat"), ("digitizer", "digit"),
        ("vietnamization", "vietnam"), ("formality", "formal"), ("electricity", "electr"), ("goodness", "good"),
        ("adjustment", "adjust"), ("effective", "effect"), ("probate", "probat"), ("rate", "rate"), ("roll", "roll"),
        # Lucene, PorterStemmer.java: its departures from the paper
        ("us", "us"), ("io", "io"), ("possibly", "possibl"), ("irresponsibly", "irrespons"), ("stably", "stabli"),
        ("apology", "apolog"), ("biology", "biologi"), ("dyslogy", "dyslog"),
    ],
)  # fmt: skip
def test_stems_as_lucene_does(word, stem):
    assert analyse(word) == [stem]


def test_the_stop_words_are_lucenes_33():
    assert len(STOP_WORDS) == 33
    assert analyse(" ".join(STOP_WORDS)) == []


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("0129 _-.'s"))))
def test_any_text_can_be_analysed_and_no_digit_is_lost(text):
    terms = analyse(text)
    assert all(terms)
    assert re.findall("[0-9]", "".join(terms)) == re.findall("[0-9]", text)


def test_long_runs_that_are_no_words_are_walked_once():
    began = time.monotonic()
    assert analyse("_" * 200_000 + " " + "a_" * 100_000 + "." * 200_000) == ["a_" * 100_000]
    assert time.monotonic() - began < 5


def bm25(query, *, k1, b):
    """Lucene's formula, term by term, in double precision."""
    documents = [analyse(text) for text in TEXTS]
    mean_length = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        total = 0.0
        for term in filter(document.__contains__, analyse(query)):
            num_holding = sum(term in each for each in documents)
            idf = log(1 + (len(documents) - num_holding + 0.5) / (num_holding + 0.5))
            tf = document.count(term)
            total += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean_length))
        scores.append(total)
    return scores


def test_a_score_worked_out_by_hand():
    index = LexicalIndex(["red red fox", "red hen", "hen"], k1=1.2, b=0.75)  # lengths 3, 2, 1: mean 2
    found = index.search(["red"], k=3)
    idf = log(1 + 1.5 / 2.5)
    assert found.rows_QK.tolist() == [[0, 1, -1]]
    assert found.scores_QK[0, 0] == pytest.approx(idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)), rel=1e-6)
    assert found.scores_QK[0, 1] == pytest.approx(idf * 1 / (1 + 1.2), rel=1e-6)


@pytest.mark.parametrize("settings", [{"k1": 0.9, "b": 0.4}, {"k1": 1.2, "b": 0.75}, {"k1": 0.5, "b": 1.0}])
@pytest.mark.parametrize("query", ["red", "Red hens!", "blue blue boats", "fox whale hen red"])
def test_scores_are_lucenes_for_every_document(settings, query):
    found = LexicalIndex(TEXTS, **settings).search([query], k=len(TEXTS))
    scores = np.zeros(len(TEXTS))
    matched = found.rows_QK[0] >= 0
    scores[found.rows_QK[0][matched]] = found.scores_QK[0][matched]
    np.testing.assert_allclose(scores, bm25(query, **settings), rtol=1e-6)


def test_only_documents_with_a_shared_term_are_returned():
    found = LexicalIndex(TEXTS).search(["hens", "nothing known", "the", ""], k=4)
    assert found.rows_QK.tolist() == [[4, 1, -1, -1], *[[-1] * 4] * 3]
    assert np.isneginf(found.scores_QK[1:]).all()
    assert (found.rows_QK.dtype, found.scores_QK.dtype) == (np.int64, np.float32)


def test_ties_go_to_the_higher_row_at_the_cut_too():
    index = LexicalIndex(["same words", "other", "same words", "words same", "same words"])
    assert index.search(["same"], k=3).rows_QK.tolist() == [[4, 3, 2]]
    assert index.search(["same"], k=9).rows_QK.tolist() == [[4, 3, 2, 0, -1, -1, -1, -1, -1]]


def test_excluded_documents_are_left_out_of_their_querys_ranking_only():
    index = LexicalIndex(TEXTS)
    found = index.search(["red", "red"], k=2, excluded=([1], [0]))
    assert found.rows_QK.tolist() == [[0, 1], [1, -1]]


@pytest.mark.parametrize("texts", [[], ["", "the of"]])
def test_nothing_to_search(texts):
    found = LexicalIndex(texts).search(["red"], k=2)
    assert found.rows_QK.tolist() == [[-1, -1]]
    assert LexicalIndex(texts).search([], k=2).rows_QK.shape == (0, 2)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"k1": -1.0}, {}, "k1 is -1.0"),
        ({"k1": float("nan")}, {}, "k1 is nan"),
        ({"b": 1.5}, {}, "b is 1.5"),
        ({}, {"k": 0}, "k is 0"),
        ({}, {"excluded": ([0], [5])}, "excluded document row"),
        ({}, {"excluded": ([1], [0])}, "excluded query row"),
    ],
)
def test_refuses(settings, options, message):
    with pytest.raises(InputError, match=message):
        LexicalIndex(TEXTS, **settings).search(["red"], **({"k": 1} | options))
