"""An encoder with an adapter over it: which space it searches, and what it refuses to be put over."""

import numpy as np
import pytest

from nearer.core.errors import ModelRefused, SpaceMismatch
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter, Map
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.encoder import EncoderSettings, Origin
from nearer.encode.paired import PairedEncoder


class Lengths:
    """An encoder of two dimensions whose vectors say how long a text is, in another way for queries."""

    settings = EncoderSettings(max_seq_length=8)
    dimension = 2
    model_id = "model-a"
    shares_documents = False

    def __init__(self, encoder_id="enc-a"):
        self.encoder_id = self.space_id = encoder_id

    def origin(self, side):
        return Origin(encoder=self)

    def encode_queries(self, texts):
        angles = np.array([len(text) for text in texts], np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def encode_documents(self, texts):
        return -self.encode_queries(texts)

    def count_tokens(self, texts):
        return [len(text) for text in texts]

    def token_spans(self, text):
        return [(0, len(text))]


def linear(*rows):
    return Map(weights={"matrix": np.array(rows, np.float32)})


TURN, SWAP = linear([0, -1], [1, 0]), linear([0, 1], [1, 0])
TEXTS = ["one", "seven", ""]


def test_a_query_adapter_searches_the_space_of_its_base():
    adapted = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN))
    assert adapted.space_id == "enc-a" != adapted.encoder_id
    before = Lengths().encode_queries(TEXTS)
    np.testing.assert_allclose(adapted.encode_queries(TEXTS), before[:, ::-1] * [-1, 1], atol=1e-6)
    np.testing.assert_array_equal(adapted.encode_documents(TEXTS), Lengths().encode_documents(TEXTS))
    assert (adapted.settings, adapted.dimension) == (Lengths.settings, 2)
    assert (adapted.count_tokens(TEXTS), adapted.token_spans("abc")) == ([3, 5, 0], [(0, 3)])
    assert adapted.encode_queries([]).shape == adapted.encode_documents([]).shape == (0, 2)


def test_an_adapter_of_both_sides_makes_a_space():
    adapted = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN, document=SWAP))
    assert adapted.space_id == adapted.adapter.target_space_id != "enc-a"
    documents = Lengths().encode_documents(TEXTS)
    np.testing.assert_allclose(adapted.encode_documents(TEXTS), documents[:, ::-1], atol=1e-6)


def test_the_id_covers_the_base_and_the_adapter():
    one = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN))
    same = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN))
    other = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=SWAP))
    over_one = AdaptedEncoder(one, Adapter(space_id="enc-a", query=TURN))
    assert same.encoder_id == one.encoder_id
    assert len({"enc-a", one.encoder_id, other.encoder_id, over_one.encoder_id}) == 4
    assert over_one.space_id == "enc-a"
    assert one.encoder_id.removeprefix("enc-").startswith(one.model_id.removeprefix("model-"))


def test_an_adapter_of_another_space_is_refused():
    with pytest.raises(SpaceMismatch, match="for vectors of enc-b met an encoder of enc-a"):
        AdaptedEncoder(Lengths(), Adapter(space_id="enc-b", query=TURN))
    mapped = AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=TURN, document=SWAP))
    with pytest.raises(SpaceMismatch):
        AdaptedEncoder(mapped, Adapter(space_id="enc-a", query=TURN))


def test_an_adapter_of_another_dimension_is_refused():
    three = linear([1, 0, 0], [0, 1, 0], [0, 0, 1])
    with pytest.raises(ModelRefused, match="3 dimensions met an encoder of 2"):
        AdaptedEncoder(Lengths(), Adapter(space_id="enc-a", query=three))


def test_origins_say_what_is_encoded_and_what_is_mapped():
    base, texts = Lengths(), TEXTS[:2]
    turned = AdaptedEncoder(base, Adapter(space_id="enc-a", query=TURN))
    both = AdaptedEncoder(base, Adapter(space_id="enc-a", query=TURN, document=SWAP))
    for encoder, is_shared in ((turned, True), (both, False), (CompressedEncoder(turned, 1), True)):
        queries, documents = encoder.origin("queries"), encoder.origin("documents")
        assert queries.encoder is documents.encoder is base
        assert encoder.shares_documents == is_shared
        np.testing.assert_array_equal(queries.apply(base.encode_queries(texts)), encoder.encode_queries(texts))
        np.testing.assert_array_equal(documents.apply(base.encode_documents(texts)), encoder.encode_documents(texts))
    pair = PairedEncoder(turned, base)
    assert pair.shares_documents
    assert (len(pair.origin("queries").maps), len(pair.origin("documents").maps)) == (1, 0)
