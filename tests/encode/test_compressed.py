"""An encoder compressed to its first dimensions: its vectors, its ids, and what it refuses."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from encode.test_adapted import SWAP, TEXTS, TURN, Lengths
from nearer.core.errors import InputError
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.compressed import CompressedEncoder, compressed


def test_it_computes_what_sentence_transformers_truncates_to(tiny_encoder, tiny_model_folder):
    theirs = SentenceTransformer(str(tiny_model_folder), truncate_dim=12, device="cpu")
    encoder = CompressedEncoder(tiny_encoder, 12)
    expected = theirs.encode(["rain falls", "a"], normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode_documents(["rain falls", "a"]), expected, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_queries(["a"]), expected[1:], atol=1e-6)
    assert encoder.encode_queries([]).shape == (0, 12)
    assert (encoder.dimension, encoder.settings) == (12, tiny_encoder.settings)
    assert encoder.count_tokens(TEXTS) == tiny_encoder.count_tokens(TEXTS)
    assert encoder.token_spans("rain falls") == tiny_encoder.token_spans("rain falls")


def test_every_dimension_is_a_space_of_its_own():
    ids = {CompressedEncoder(Lengths(name), 1).space_id for name in ("enc-a", "enc-b")} | {"enc-a", "enc-b"}
    assert len(ids) == 4
    one, same = CompressedEncoder(Lengths(), 1), CompressedEncoder(Lengths(), 1)
    assert one.encoder_id == one.space_id == same.encoder_id
    assert one.encoder_id.removeprefix("enc-").startswith(one.model_id.removeprefix("model-"))


def test_over_a_query_adapter_it_searches_what_was_adapted_compressed_alike():
    adapted = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN))
    over, plain = CompressedEncoder(adapted, 1), CompressedEncoder(Lengths(), 1)
    assert over.space_id == plain.space_id == plain.encoder_id != over.encoder_id
    np.testing.assert_array_equal(over.encode_documents(TEXTS), plain.encode_documents(TEXTS))
    both = CompressedEncoder(AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN, document=SWAP)), 1)
    assert both.space_id.startswith("space-")
    assert both.space_id != plain.space_id


def test_an_adapter_goes_over_it():
    base = CompressedEncoder(Lengths(), 1)
    adapter = Adapter(space_id=base.space_id, query=type(TURN)(weights={"matrix": np.float32([[-1]])}))
    over = AdaptedEncoder(base, adapter)
    assert over.space_id == base.space_id
    np.testing.assert_array_equal(over.encode_queries(TEXTS), -base.encode_queries(TEXTS))


@pytest.mark.parametrize("dimension", [0, 2, 3, -1])
def test_what_is_not_shorter_is_refused(dimension):
    with pytest.raises(InputError, match="2 dimensions cannot be compressed to"):
        CompressedEncoder(Lengths(), dimension)


def test_vectors_without_direction_are_refused():
    with pytest.raises(InputError, match="no direction in its first 2 dimensions"):
        compressed(np.float32([[0, 0, 1]]), 2)
