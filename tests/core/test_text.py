import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.text import clusters, near_duplicates, normalise, resemblance, resembling, shingles

WORDS = st.lists(st.sampled_from(list("abcd")), max_size=12).map(" ".join)
THRESHOLDS = st.sampled_from([0.2, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=12), THRESHOLDS)
def test_near_duplicates_are_those_of_brute_force(texts, threshold):
    sets = [shingles(text) for text in texts]
    brute = {(i, j) for j in range(len(sets)) for i in range(j) if resemblance(sets[i], sets[j]) >= threshold}
    found = list(near_duplicates(texts, threshold=threshold))
    assert len(found) == len(set(found))
    assert set(found) == brute


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=8), THRESHOLDS)
def test_resembling_texts_are_those_of_brute_force(texts, known, threshold):
    sets = [shingles(text) for text in known]
    brute = [any(resemblance(shingles(text), each) >= threshold for each in sets) for text in texts]
    assert resembling(texts, known, threshold=threshold) == brute


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, max_size=10))
def test_near_duplicates_do_not_depend_on_the_order(texts):
    last = len(texts) - 1
    turned = {(last - j, last - i) for i, j in near_duplicates(texts[::-1])}
    assert turned == set(near_duplicates(texts))


def test_a_pair_exactly_at_the_threshold_counts():
    texts = [" ".join(str(n) for n in range(11)), " ".join(str(n) for n in range(13))]  # 9 shingles of 11
    assert list(near_duplicates(texts, threshold=9 / 11)) == [(0, 1)]


def test_a_rounded_product_does_not_hide_a_pair():
    assert 0.55 * 100 > 55
    left, right = [str(n) for n in range(102)], [str(n) for n in range(57)]  # 55 shingles of 100
    assert list(near_duplicates([" ".join(left), " ".join(right)], threshold=0.55)) == [(0, 1)]


@pytest.mark.parametrize(
    ("left", "right"),
    [("List users", "list  USERS!"), ("ﬁnd", "find"), ("!?", "!?"), ("", " \n"), ("東京の天気", "東京の天気")],
)
def test_texts_that_differ_in_form_only_are_alike(left, right):
    assert list(near_duplicates([left, right])) == [(0, 1)]


def test_one_other_word_in_a_short_query_is_another_query():
    assert not list(near_duplicates(["delete all files", "list all files", "delete all", ""]))


def test_normalise_is_stable_on_plain_text():
    assert normalise(normalise("  Ａ Straße\t")) == normalise("  Ａ Straße\t") == "a strasse"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_clusters_are_the_connected_components(edges):
    found = clusters(10, iter(edges))
    reach = {item: {item} for item in range(10)}
    for _ in range(10):
        for left, right in edges:
            joined = reach[left] | reach[right]
            for item in joined:
                reach[item] = joined
    assert found == [min(reach[item]) for item in range(10)]
