import random
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core import near_duplicates as module
from nearer.core.near_duplicates import Grouping, cluster_texts, near_duplicates, resembling
from nearer.core.text import resemblance, shingles

WORDS = st.lists(st.sampled_from(list("abcd")), max_size=12).map(" ".join)
CHANGED = st.lists(st.sampled_from(range(8)), max_size=3).map(
    lambda places: " ".join("x" if n in places else "abcdefgh"[n] for n in range(8))
)
TEXTS = st.one_of(WORDS, CHANGED, st.text(max_size=12), st.text(alphabet="東京都の天気ไทย", max_size=9))
THRESHOLDS = st.sampled_from([0.2, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0])


def alike(texts, threshold):
    """By the definition, all compared with all."""
    sets = [shingles(text) for text in texts]
    return {(i, j) for i, j in combinations(range(len(texts)), 2) if resemblance(sets[i], sets[j]) >= threshold}


def components(number, pairs):
    first = list(range(number))
    for _ in range(number):
        for i, j in pairs:
            first[i] = first[j] = min(first[i], first[j])
    return first


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=14), THRESHOLDS)
def test_near_duplicates_and_clusters_are_those_of_brute_force(texts, threshold):
    brute = alike(texts, threshold)
    found = near_duplicates(texts, threshold=threshold)
    assert {(i, j) for j, rows in enumerate(found) for i in rows if i < j} == brute
    assert {(j, i) for j, rows in enumerate(found) for i in rows if i > j} == brute
    assert all(row in rows for row, rows in enumerate(found))
    assert cluster_texts(texts, threshold=threshold) == components(len(texts), brute)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8), THRESHOLDS)
def test_resembling_texts_are_those_of_brute_force(texts, known, threshold):
    sets = [shingles(text) for text in known]
    brute = [any(resemblance(shingles(text), each) >= threshold for each in sets) for text in texts]
    assert resembling(texts, known, threshold=threshold) == brute


@pytest.mark.parametrize("seed", range(4))
def test_a_mix_of_templates_repeats_and_long_texts_is_as_by_brute_force(seed, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SHINGLES", 50)  # several blocks
    monkeypatch.setattr(module, "_IN_MEMORY_BYTES", 1000)  # a file
    draw = random.Random(seed)
    vocabulary = [f"w{n}" for n in range(60)]
    templates = [draw.choices(vocabulary, k=draw.choice([4, 12, 40])) for _ in range(12)]
    texts = []
    for _ in range(160):
        words = list(draw.choice(templates))
        for _ in range(draw.choice([0, 0, 1, 2])):
            words[draw.randrange(len(words))] = draw.choice(vocabulary)
        texts.append(" ".join(words))
    brute = alike(texts, 0.8)
    assert len(brute) > 200
    found = near_duplicates(texts)
    assert {(i, j) for j, rows in enumerate(found) for i in rows if i < j} == brute
    assert cluster_texts(texts) == components(len(texts), brute)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, max_size=10))
def test_near_duplicates_do_not_depend_on_the_order(texts):
    last = len(texts) - 1
    turned = [tuple(sorted(last - row for row in rows)) for rows in near_duplicates(texts[::-1])][::-1]
    assert turned == near_duplicates(texts)


def test_a_pair_exactly_at_the_threshold_counts():
    texts = [" ".join(str(n) for n in range(11)), " ".join(str(n) for n in range(13))]  # 9 shingles of 11
    assert near_duplicates(texts, threshold=9 / 11) == [(0, 1)] * 2


def test_a_rounded_product_does_not_hide_a_pair():
    assert 0.55 * 100 > 55
    left, right = [str(n) for n in range(102)], [str(n) for n in range(57)]  # 55 shingles of 100
    assert near_duplicates([" ".join(left), " ".join(right)], threshold=0.55) == [(0, 1)] * 2


def test_one_other_word_in_a_short_query_is_another_query():
    assert cluster_texts(["delete all files", "list all files", "delete all", ""]) == [0, 1, 2, 3]


def test_texts_of_one_form_are_counted_once():
    grouping = Grouping(["List users", "list  USERS", "list users!", "others"])
    assert (grouping.num_distinct, grouping.num_groups) == (3, 2)
    assert grouping.clusters() == [0, 0, 0, 3]


@pytest.mark.parametrize("text", ["the same forty words " * 10, "one"])
def test_fifty_thousand_equal_texts_take_seconds(text):
    began = time.process_time()
    assert set(cluster_texts([text] * 50_000)) == {0}
    assert time.process_time() - began < 5


def test_a_cluster_of_texts_that_all_nearly_repeat_each_other_is_spanned():
    body = " ".join(f"b{n}" for n in range(40))
    texts = [f"{body} t{n}" for n in range(5_000)]
    began = time.process_time()
    assert set(cluster_texts(texts)) == {0}
    assert time.process_time() - began < 10


def test_texts_that_share_much_and_not_enough_are_not_compared():
    body = " ".join(f"b{n}" for n in range(40))
    texts = [f"{body} " + " ".join(f"t{n}-{m}" for m in range(8)) for n in range(5_000)]
    began = time.process_time()
    assert cluster_texts(texts) == list(range(5_000))
    assert time.process_time() - began < 15
