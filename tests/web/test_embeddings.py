"""Vectors in OpenAI's shape: equal to the encoder's own, and the real client of ``openai`` reads them."""

import base64

import numpy as np
import openai
import pytest

from nearer.core.results.training import TrainingRecord
from nearer.encode.encoder import Encoder
from nearer.serving.models import cut_dimensions

TEXTS = ["a river", "the army of the school", "water " * 200]


@pytest.fixture
def encoder(tiny_model_folder):
    return Encoder.load(str(tiny_model_folder))


def test_base64_is_float32_little_endian(live, encoder):
    """A golden text: float64 would be twice as long."""
    as_text = live.post("/v1/embeddings", input=TEXTS, encoding_format="base64")
    as_numbers = live.post("/v1/embeddings", input=TEXTS)
    expected = encoder.encode_documents(TEXTS)
    for row, (packed, numbers) in enumerate(zip(as_text["data"], as_numbers["data"], strict=True)):
        raw = base64.b64decode(packed["embedding"])
        assert len(raw) == 4 * 32
        assert np.frombuffer(raw, "<f4").tobytes() == np.asarray(numbers["embedding"], "<f4").tobytes()
        assert np.allclose(np.frombuffer(raw, "<f4"), expected[row], atol=1e-6)


def test_what_was_truncated_is_said_of_each_text(live, encoder):
    answer = live.post("/v1/embeddings", input=TEXTS)
    assert [each["truncated"] for each in answer["data"]] == [False, False, True]
    lengths = [min(each, 64) for each in encoder.count_tokens(TEXTS)]
    assert [each["num_tokens"] for each in answer["data"]] == lengths
    assert answer["usage"] == {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}


def test_the_client_of_openai_works_unchanged(live, encoder):
    client = openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)
    found = client.embeddings.create(model="live", input=TEXTS)
    assert np.allclose([each.embedding for each in found.data], encoder.encode_documents(TEXTS), atol=1e-6)
    one = client.embeddings.create(model="live", input=TEXTS[0], encoding_format="float")
    assert np.allclose(one.data[0].embedding, found.data[0].embedding, atol=1e-6)
    assert one.usage.total_tokens == one.data[0].num_tokens
    names = [each.id for each in client.models.list()]
    served = live.service.searcher.served.release
    assert names == ["live", served.release_id, served.model_id]
    assert client.models.retrieve(served.model_id).id == served.model_id
    with pytest.raises(openai.NotFoundError, match="text-embedding-3-small"):
        client.embeddings.create(model="text-embedding-3-small", input="a river")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt")
    with pytest.raises(openai.BadRequestError, match="16 dimensions"):
        client.embeddings.create(model="live", input="a river", dimensions=16)
    assert client.embeddings.create(model="live", input="a river", dimensions=32).data[0].embedding
    asked = client.embeddings.create(model="live", input="a river", extra_body={"input_type": "query"})
    assert np.allclose(asked.data[0].embedding, encoder.encode_queries(["a river"])[0], atol=1e-6)


def test_models_and_releases_encode_by_their_ids(serving, trained):
    running = serving(trained).ready()
    registry = running.workspace.registry
    other = next(each.model_id for each in registry.models() if each.parent_model_id)
    by_live = running.post("/v1/embeddings", input="a river")
    by_release = running.post("/v1/embeddings", input="a river", model=registry.live_id())
    by_other = running.post("/v1/embeddings", input="a river", model=other)
    assert by_live["data"] == by_release["data"]
    assert by_other["model"] == other != by_live["model"]
    assert by_other["data"] != by_live["data"]
    assert running.post("/v1/embeddings", input="a", model="release-0", status=404)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("training", "allowed"),
    [
        (None, (32,)),
        ({"recipe": {"train": {"matryoshka_dims": [8, 16]}}}, (32, 16, 8)),
        ({"adapter": {"sides": "rotated"}}, tuple(range(32, 0, -1))),
        ({"adapter": {"sides": "query"}, "recipe": {"train": {}}}, (32,)),
    ],
)
def test_only_models_made_for_it_are_cut(training, allowed):
    record = None if training is None else TrainingRecord.read({"recipe": {}, **training})
    assert cut_dimensions(record, 32) == allowed


def test_cut_vectors_have_length_one(live, monkeypatch):
    monkeypatch.setattr("nearer.serving.models.cut_dimensions", lambda model, dimension: (dimension, 8))
    whole = np.asarray(live.post("/v1/embeddings", input="a river")["data"][0]["embedding"])[:8]
    cut = live.post("/v1/embeddings", input="a river", dimensions=8)["data"][0]["embedding"]
    assert np.allclose(cut, whole / np.linalg.norm(whole), atol=1e-6)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"input": []}, 400),
        ({"input": [1, 2]}, 422),
        ({"input": ["a"] * 2049}, 413),
        ({"input": "a" * (2**20 + 1)}, 413),
        ({"input": "a", "encoding_format": "int8"}, 422),
        ({"input": "a", "input_type": "title"}, 422),
    ],
)
def test_what_is_refused(live, body, status):
    assert set(live.post("/v1/embeddings", status=status, **body)["error"]) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("embeddings", b'{"input": ["a", "\\ud800"]}', "input.1: it holds half a surrogate pair, which is no text"),
        ("embeddings", b'{"input": [1, 2]}', "input: Input should be a valid string"),
        ("embeddings", b'{"input": "a", "a-b[c]": 1}', "a-b[c]: this field is not known"),
        ("events", b'{"action_name": "click", "timestamp": 5}', "timestamp: Input should be a valid string"),
        ("search", b'{"query": "\xff"}', "the body is not JSON in UTF-8, or nested too deep"),
        ("search", b'{"query": ' + b"[" * 100_000, "the body is not JSON in UTF-8, or nested too deep"),
    ],
)
def test_a_refusal_names_the_field_and_the_fault_alone(live_for_all, path, content, said):
    answer = live_for_all.client.post(f"/v1/{path}", content=content, headers={"content-type": "application/json"})
    found = answer.json()["error"]
    assert answer.status_code in (400, 422)
    assert found["message"].partition(", and ")[0] == said
    assert found["hint"]
