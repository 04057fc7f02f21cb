"""A model as an ONNX graph: float32 gives its vectors, int8 is a space of its own, and what is damaged is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from nearer.core.errors import InputError, ModelRefused
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.encoder import Encoder
from nearer.encode.int8 import GRAPH, SETTINGS, Int8Encoder
from nearer.encode.portable import portable

onnx_graph = pytest.importorskip("nearer.encode.onnx_graph")
pytest.importorskip("onnxruntime")

TEXTS = ["rain", "music and water in the school", "church " * 200, "", "Zürich, 東京", "a film, of the river."]
PROMPTED = {"query_prompt": "find: ", "document_prompt": "read this: ", "max_seq_length": 24}


@pytest.fixture(scope="module")
def encoder(tiny_model_folder):
    return Encoder.load(str(tiny_model_folder), **PROMPTED)


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    onnx_graph.save_int8(encoder, folder, TEXTS)
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def cosines(left, right):
    return np.einsum("nd,nd->n", left.astype(np.float64), right.astype(np.float64))


def test_the_graph_of_float32_gives_the_vectors_of_sentence_transformers(encoder, tiny_model_folder, tmp_path):
    onnx_graph.export_graph(encoder, tmp_path / GRAPH)
    onnx_graph._describe(encoder, tmp_path, quantisation="none")
    graph = Int8Encoder.load(tmp_path)
    theirs = SentenceTransformer(str(tiny_model_folder), device="cpu")
    theirs.max_seq_length = 24
    for ours, prompt in ((graph.encode_queries, "find: "), (graph.encode_documents, "read this: ")):
        expected = theirs.encode(TEXTS, prompt=prompt, normalize_embeddings=True)
        assert (1 - cosines(ours(TEXTS), expected)).max() < 1e-5


def test_int8_is_near_and_a_space_of_its_own(encoder, folder):
    small = Int8Encoder.load(folder)
    assert cosines(small.encode_documents(TEXTS), encoder.encode_documents(TEXTS)).min() > 0.98
    np.testing.assert_allclose(np.linalg.norm(small.encode_queries(TEXTS), axis=1), 1, atol=1e-5)
    assert small.encoder_id == small.space_id != encoder.encoder_id
    assert (small.dimension, small.settings) == (encoder.dimension, encoder.settings)
    assert small.tokenizer_id == encoder.tokenizer_id
    assert small.count_tokens(TEXTS) == encoder.count_tokens(TEXTS)
    assert small.token_spans(TEXTS[5]) == encoder.token_spans(TEXTS[5])
    assert small.encode_documents([]).shape == (0, encoder.dimension)
    assert (folder / GRAPH).stat().st_size < sum(each.numel() for each in encoder.model.parameters()) * 4 / 2


def test_a_vector_depends_on_its_text_alone(folder):
    small = Int8Encoder.load(folder)
    together = small.encode_documents(TEXTS)
    for row, text in enumerate(TEXTS):
        np.testing.assert_array_equal(small.encode_documents([text])[0], together[row])


def test_the_id_is_of_what_is_computed(encoder, folder, tmp_path, tiny_model_folder):
    again = tmp_path / "again"
    again.mkdir()
    onnx_graph.save_int8(encoder, again, [])
    assert Int8Encoder.load(again).encoder_id == Int8Encoder.load(folder).encoder_id
    for name, changed in (("prompt", {"query_prompt": "ask: "}), ("length", {"max_seq_length": 25})):
        other = tmp_path / name
        other.mkdir()
        onnx_graph.save_int8(Encoder.load(str(tiny_model_folder), **{**PROMPTED, **changed}), other, [])
        assert Int8Encoder.load(other).encoder_id != Int8Encoder.load(folder).encoder_id


def test_its_vectors_can_be_cut_further(folder):
    short = CompressedEncoder(Int8Encoder.load(folder), 8)
    assert short.encode_queries(TEXTS).shape == (len(TEXTS), 8)


def test_a_decoder_is_read_too(make_decoder, tmp_path):
    encoder = Encoder.load(str(make_decoder()))
    onnx_graph.save_int8(encoder, tmp_path, TEXTS)
    assert cosines(Int8Encoder.load(tmp_path).encode_queries(TEXTS), encoder.encode_queries(TEXTS)).min() > 0.9


def test_a_graph_of_other_vectors_is_refused(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(Encoder, "encode_documents", lambda self, texts: -self.encode_queries(texts))
    with pytest.raises(InputError, match="as ONNX gives other vectors"):
        onnx_graph.save_int8(encoder, tmp_path, TEXTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "encoder.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_what_is_damaged_is_refused(copy, name, damage):
    path = copy / name
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelRefused, match="is damaged"):
        Int8Encoder.load(copy)


def test_a_newer_format_is_refused(copy):
    path = copy / SETTINGS
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 2}))
    with pytest.raises(ModelRefused, match="of format 2"):
        Int8Encoder.load(copy)


def test_without_onnxruntime_the_error_has_the_command(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError) as caught:
        Int8Encoder.load(folder)
    assert caught.value.hint == "install it: pip install 'nearer[onnx]'"


def test_sentence_transformers_has_no_such_model(folder):
    with pytest.raises(InputError, match="weights of int8"):
        portable(Int8Encoder.load(folder))
