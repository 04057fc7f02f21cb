import numpy as np
import pytest

from nearer.core.errors import ModelRefused
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.encoder import Encoder
from nearer.encode.paired import PairedEncoder, paired_id

TEXTS = ["music", "the river of the school"]


@pytest.fixture
def pair(tiny_encoder, make_decoder):
    return PairedEncoder(Encoder.load(str(make_decoder())), tiny_encoder)


def test_each_side_has_its_own_encoder(pair):
    np.testing.assert_array_equal(pair.encode_queries(TEXTS), pair.queries.encode_queries(TEXTS))
    np.testing.assert_array_equal(pair.encode_documents(TEXTS), pair.documents.encode_documents(TEXTS))
    assert pair.settings == pair.documents.settings
    assert pair.count_tokens(TEXTS) == pair.documents.count_tokens(TEXTS)
    assert pair.token_spans(TEXTS[1]) == pair.documents.token_spans(TEXTS[1])


def test_it_searches_the_space_of_the_documents_under_an_id_of_both(pair):
    queries, documents = pair.queries.encoder_id, pair.documents.encoder_id
    assert pair.space_id == documents
    assert pair.encoder_id == paired_id(queries, documents)
    assert len({pair.encoder_id, paired_id(documents, queries), queries, documents}) == 4
    assert pair.model_id == f"model-{pair.encoder_id[4:16]}"


def test_two_dimensions_do_not_go_together(tiny_encoder):
    with pytest.raises(ModelRefused, match="16 dimensions met documents of 32"):
        PairedEncoder(CompressedEncoder(tiny_encoder, 16), tiny_encoder)
