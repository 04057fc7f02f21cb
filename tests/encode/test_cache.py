import sqlite3
import tracemalloc

import numpy as np
import pytest

from forked import die_at
from nearer.core.errors import WorkspaceError
from nearer.core.progress import Silent
from nearer.encode import cache as module
from nearer.encode.cache import LOCAL, Batching, EmbeddingCache


class Counting:
    """An encoder that remembers what it was asked for; its vectors tell the text and the encoder."""

    def __init__(self, sign=1.0):
        self.texts, self.sign = [], sign

    def __call__(self, texts):
        self.texts.extend(texts)
        return np.array([[self.sign * len(t), sum(map(ord, t)), 7] for t in texts], dtype=np.float32).reshape(-1, 3)


@pytest.fixture
def embed(tmp_path):
    def embed(texts, encode, *, encoder_id="enc-a", kind="documents", batching=LOCAL):
        with EmbeddingCache(tmp_path, encoder_id=encoder_id, kind=kind, dimension=3) as cache:
            return cache.vectors(texts, encode=encode, progress=Silent(), label="encode", batching=batching)

    return embed


def test_every_text_gets_its_own_vector_in_order(embed):
    texts = ["ccc", "a", "", "bb", "a", "日本"]
    vectors, num_encoded = embed(texts, Counting())
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, Counting()(texts))
    assert num_encoded == 5


def test_two_documents_with_one_text_are_both_there_and_encoded_once(embed):
    encode = Counting()
    vectors, num_encoded = embed(["same", "other", "same"], encode)
    assert (num_encoded, sorted(encode.texts)) == (2, ["other", "same"])
    assert np.array_equal(vectors[0], vectors[2])


def test_an_edited_text_is_encoded_again_and_an_unchanged_one_never(embed):
    embed(["one", "two"], Counting())
    encode = Counting()
    vectors, num_encoded = embed(["one", "two, edited"], encode)
    assert (num_encoded, encode.texts) == (1, ["two, edited"])
    assert np.array_equal(vectors, Counting()(["one", "two, edited"]))


def test_an_edit_to_a_text_that_another_document_had_is_seen(embed):
    embed(["x", "y"], Counting())
    vectors, num_encoded = embed(["y", "y"], Counting())
    assert num_encoded == 0
    assert np.array_equal(vectors, Counting()(["y", "y"]))


def test_two_encoders_and_two_kinds_never_share(embed):
    embed(["text"], Counting())
    for place in ({"encoder_id": "enc-b"}, {"kind": "queries"}):
        vectors, num_encoded = embed(["text"], Counting(sign=-1), **place)
        assert (num_encoded, vectors[0, 0]) == (1, -4)
    assert embed(["text"], Counting(sign=-1))[0][0, 0] == 4


def test_a_killed_run_keeps_the_blocks_it_finished(embed):
    texts, encode = ["a", "bb", "ccc", "dddd", "eeeee"], Counting()

    def killed(block):
        if len(encode.texts) == 4:
            raise KeyboardInterrupt
        return encode(block)

    with pytest.raises(KeyboardInterrupt):
        embed(texts, killed, batching=Batching(block_texts=2))
    again = Counting()
    vectors, num_encoded = embed(texts, again)
    assert (num_encoded, again.texts) == (1, ["a"])
    assert np.array_equal(vectors, Counting()(texts))


def test_more_texts_than_a_block_and_a_lookup(embed, monkeypatch):
    monkeypatch.setattr(module, "_LOOKUP", 5)
    texts = [f"text {n}" * (n % 3 + 1) for n in range(30)]
    for wanted in (30, 0):
        vectors, num_encoded = embed(texts, Counting(), batching=Batching(block_texts=8))
        assert num_encoded == wanted
        assert np.array_equal(vectors, Counting()(texts))


def test_vectors_that_are_there_are_read_into_one_matrix(tmp_path):
    texts, dimension = [f"text {row}" for row in range(4000)], 2048
    with EmbeddingCache(tmp_path, encoder_id="enc-a", kind="documents", dimension=dimension) as cache:

        def read(encode):
            return cache.vectors(texts, encode=encode, progress=Silent(), label="encode")

        made, _ = read(lambda some: np.ones((len(some), dimension), np.float32))
        tracemalloc.start()
        found, num_encoded = read(lambda _: pytest.fail("all are there"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert num_encoded == 0
    assert np.array_equal(found, made)
    assert peak < 1.4 * found.nbytes


def test_no_texts(embed):
    vectors, num_encoded = embed([], Counting())
    assert (vectors.shape, num_encoded) == ((0, 3), 0)


def test_a_damaged_file_names_itself_and_its_remedy(embed, tmp_path):
    (tmp_path / "enc-a.documents.sqlite").write_bytes(b"no database at all " * 100)
    with pytest.raises(WorkspaceError, match=r"enc-a\.documents\.sqlite: damaged") as caught:
        embed(["a"], Counting())
    assert "delete" in caught.value.hint


def test_a_file_damaged_in_its_middle_is_found_when_it_is_read(embed, tmp_path):
    embed([f"text {n}" for n in range(500)], Counting())
    path = tmp_path / "enc-a.documents.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        embed([f"text {n}" for n in range(500)], Counting())
    assert "delete" in caught.value.hint


def test_a_file_that_others_keep_locked_is_not_called_damaged(embed, tmp_path, monkeypatch):
    embed(["a"], Counting())
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **_: connect(path, isolation_level=None, timeout=0))
    other = connect(tmp_path / "enc-a.documents.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(WorkspaceError, match="locked") as caught:
            embed(["b"], Counting())
    finally:
        other.close()
    assert "delete" not in caught.value.hint


def embed_fifty(folder, workers):
    """How many of fifty texts had to be encoded."""
    texts = ["x" * n for n in range(50)]
    with EmbeddingCache(folder, encoder_id="enc-a", kind="documents", dimension=3) as cache:
        batching = Batching(block_texts=10, workers=workers)
        vectors, num = cache.vectors(texts, encode=Counting(), progress=Silent(), label="", batching=batching)
    assert np.array_equal(vectors, Counting()(texts))
    return num


@pytest.mark.parametrize("workers", [1, 3])
def test_a_process_killed_after_a_commit_has_kept_that_block(tmp_path, workers):
    die_at("cache.commit:3", embed_fifty, tmp_path, workers)
    assert embed_fifty(tmp_path, workers) == 20


def test_what_would_have_to_be_encoded_is_reported_once_and_without_encoding(tmp_path):
    encode = Counting()
    with EmbeddingCache(tmp_path, encoder_id="enc-a", kind="documents", dimension=3) as cache:
        assert cache.missing(["a", "bb", "a"]) == ["a", "bb"]
        cache.vectors(["bb"], encode=encode, progress=Silent(), label="")
        assert cache.missing(["a", "bb", "a"]) == ["a"]
        assert cache.missing([]) == []
    assert encode.texts == ["bb"]
