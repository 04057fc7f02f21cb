from collections import Counter

import pytest

from nearer.retrieval.identifiers import document_frequencies, shared_names, words


@pytest.mark.parametrize(
    "word", ["E4042", "err-4042", "foo_bar", "os.path", "parseArgs", "a/b", "user@host", "10.0.0.1", "x:y"]
)
def test_what_looks_like_an_identifier(word):
    assert words(f"see {word}, please") == {"see": False, word.casefold(): True, "please": False}


@pytest.mark.parametrize("word", ["Rain", "NATO", "follow-up", "naïve", "日本"])
def test_what_does_not(word):
    assert words(word) == {word.casefold(): False}


def test_signs_around_a_word_do_not_belong_to_it():
    assert list(words('("rain"), [it]; falls... `now`!')) == ["rain", "it", "falls", "now"]
    assert words("") == words("... !?") == {}


def test_long_runs_of_signs_are_read_in_no_time():
    assert words("a" + "." * 200_000) == {"a": False}
    assert len(words("a-" * 100_000)) == 1


def test_frequencies_count_documents_not_words():
    counts = document_frequencies(["rain", "snow", "e1"], ["Rain rain", "rain E1", "sun"])
    assert counts == Counter({"rain": 2, "e1": 1})


def shared(query, text, frequencies, num_documents=10_000):
    return shared_names(query, text, frequencies=Counter(frequencies), num_documents=num_documents)


def test_only_what_both_hold_and_few_documents_do_names_something():
    assert shared("E1 of the frob", "a FROB: E1 of the", {"e1": 5, "of": 9000, "the": 9000, "frob": 10}) == (
        "e1",
        "frob",
    )
    assert shared("E1 frob", "nothing of it", {"e1": 1, "frob": 1}) == ()


def test_an_identifier_may_be_in_more_documents_than_a_plain_word():
    assert shared("E1", "E1", {"e1": 100}) == ("e1",)
    assert shared("E1", "E1", {"e1": 101}) == ()
    assert shared("frob", "frob", {"frob": 10}) == ("frob",)
    assert shared("frob", "frob", {"frob": 11}) == ()


def test_in_a_small_corpus_one_document_may_hold_it():
    assert shared("frob", "frob", {"frob": 1}, num_documents=12) == ("frob",)
    assert shared("frob", "frob", {"frob": 2}, num_documents=12) == ()
