import itertools
import json
import logging
import re
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_server import (
    EmbeddingServer,
    changed,
    cut_short,
    dropped,
    in_company,
    raw,
    stalled,
    status,
    vector,
)
from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.core.progress import Silent
from nearer.core.sections import ApiRecipe
from nearer.encode.api import PROBE, ApiEncoder, rough_spans
from nearer.encode.cache import Batching, EmbeddingCache
from nearer.encode.chunk import Window, split_text
from nearer.encode.encoder import EncoderSettings
from nearer.encode.endpoint import Endpoint, read_answer

KEY = "sk-very-secret-0123456789"
TEXTS = ["rain falls from clouds", "", "snow lies on hills", "日本の雨", "a" * 50]


@pytest.fixture
def server():
    with EmbeddingServer() as running:
        yield running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Between two attempts the client waits for milliseconds."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.001)


@pytest.fixture
def ask(server):
    """``ask(max_retries=2)``: an endpoint at the server; the tokens of its answers are in ``ask.tokens``."""

    def make(*, key=None, model="bag", **recipe):
        make.tokens = []
        api = ApiRecipe(endpoint=recipe.pop("endpoint", server.endpoint), **recipe)
        return Endpoint(api, model=model, key=key, request=lambda _: nullcontext(make.tokens.append))

    return make


def unit(texts, **options):
    vectors_ND = np.array([vector(text, **{"dimension": 64, **options}) for text in texts])
    return vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)


# Answers


def test_vectors_are_those_of_the_texts_in_order_and_unit_length(ask):
    made_ND = ask().embed(TEXTS, num_tokens=9)
    assert made_ND.dtype == np.float32
    np.testing.assert_allclose(made_ND, unit(TEXTS), atol=1e-6)
    assert ask.tokens == [sum(len(text.split()) for text in TEXTS)]


def test_numbers_are_read_as_well_as_base64(ask, server):
    def as_numbers(answer):
        for row, text in zip(answer["data"], TEXTS, strict=True):
            row["embedding"] = vector(text, dimension=64)

    server.faults = [changed(as_numbers)]
    np.testing.assert_allclose(ask().embed(TEXTS, num_tokens=9), unit(TEXTS), atol=1e-6)
    assert server.requests[0].body["encoding_format"] == "base64"


def test_the_order_of_an_answer_does_not_matter(ask, server):
    server.faults = [changed(lambda answer: answer["data"].reverse())]
    np.testing.assert_allclose(ask().embed(TEXTS, num_tokens=9), unit(TEXTS), atol=1e-6)


def test_dimensions_are_asked_for_only_if_the_recipe_does(ask, server):
    assert ask(dimensions=16).embed(["a"], num_tokens=1).shape == (1, 16)
    ask().embed(["a"], num_tokens=1)
    assert [request.body.get("dimensions") for request in server.requests] == [16, None]


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": "many"}, {"total_tokens": -1}, 7])
def test_where_the_service_does_not_count_our_estimate_stands(ask, server, usage):
    server.faults = [changed(lambda answer: {**answer, "usage": usage})]
    ask().embed(["a b c"], num_tokens=11)
    assert ask.tokens == [11]


def _of(row_change):
    return changed(lambda answer: [row_change(answer["data"]), None][1])


SPOILT = {
    "too few": (_of(lambda rows: rows.pop()), "1 vectors for 2 texts"),
    "too many": (_of(lambda rows: rows.append(rows[0])), "3 vectors for 2 texts"),
    "one twice": (_of(lambda rows: rows[1].update(index=0)), "index"),
    "no index": (_of(lambda rows: [row.pop("index") for row in rows]), "index"),
    "an index that is a list": (_of(lambda rows: rows[1].update(index=[1])), "index"),
    "nan": (_of(lambda rows: rows[0].update(embedding=[float("nan")] * 64)), "nan"),
    "infinity": (_of(lambda rows: rows[0].update(embedding=[1e999] * 64)), "infinity"),
    "zero": (_of(lambda rows: rows[1].update(embedding=[0.0] * 64)), "all zero"),
    "two lengths": (_of(lambda rows: rows[1].update(embedding=[1.0, 2.0])), "different lengths"),
    "no numbers": (_of(lambda rows: rows[1].update(embedding=["x"] * 64)), "neither numbers nor base64"),
    "no base64": (_of(lambda rows: rows[1].update(embedding="!!!")), "neither numbers nor base64"),
    "half a number": (_of(lambda rows: rows[1].update(embedding="AAAA")), "neither numbers nor base64"),
    "empty": (_of(lambda rows: [row.update(embedding=[]) for row in rows]), "no list of numbers"),
    "null": (_of(lambda rows: rows[1].update(embedding=None)), "no list of numbers"),
    "nested": (_of(lambda rows: rows[1].update(embedding=[[1.0]])), "no list of numbers"),
    "no data": (changed(lambda answer: {"error": {"message": "model is loading"}}), "model is loading"),
    "a list": (changed(lambda answer: [1]), 'no "data"'),
    "web page": (raw(b"<html><body>Sign in</body></html>"), "not JSON but '<html>"),
    "nothing": (raw(b""), "not JSON"),
    "deep": (raw(b"[" * 200_000, kind="application/json"), "not JSON"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_an_answer_that_cannot_be_used_is_refused_at_once(ask, server, spoilt):
    fault, said = SPOILT[spoilt]
    server.faults = [fault]
    with pytest.raises(ServiceError, match=re.escape(said)) as caught:
        ask().embed(["a", "b"], num_tokens=2)
    assert server.endpoint in caught.value.message
    assert caught.value.hint
    assert (len(server.requests), ask.tokens) == (1, [])


@given(st.binary(max_size=100) | st.lists(st.none() | st.text() | st.dictionaries(st.just("index"), st.none())))
def test_an_answer_whatever_it_is_raises_nothing_else(given_data):
    body = given_data if isinstance(given_data, bytes) else json.dumps({"data": given_data}).encode()
    with pytest.raises(ValueError, match=r"\w"):
        read_answer(body, num_texts=1)


# Failures that may pass


def attempts(ask, server, **recipe):
    """How often the server, which has answered once, was asked until the endpoint had an answer."""
    faults, server.faults = server.faults, []
    endpoint = ask(**recipe)
    endpoint.embed(["a"], num_tokens=1)
    server.requests.clear()
    ask.tokens.clear()
    server.faults = faults
    endpoint.embed(["a"], num_tokens=1)
    return len(server.requests)


@pytest.mark.parametrize("code", [408, 409, 429, 500, 503, 529])
def test_what_may_pass_is_asked_again(ask, server, code):
    server.faults = [status(code)] * 4
    assert attempts(ask, server) == 5
    assert len(ask.tokens) == 1


def test_retries_come_to_an_end_with_what_the_service_said(ask, server):
    server.faults = [status(503, "overloaded")] * 9
    with pytest.raises(ServiceError, match=r"503: .*overloaded") as caught:
        ask(max_retries=2).embed(["a"], num_tokens=1)
    assert len(server.requests) == 3
    assert "repeat" in caught.value.hint


def test_as_many_requests_as_an_account_may_not_make_are_reported_with_the_keys_that_slow_them_down(ask, server):
    server.faults = [status(429, "slow down")] * 9
    with pytest.raises(ServiceError, match=r"429: slow down") as caught:
        ask(max_retries=2).embed(["a"], num_tokens=1)
    assert "encoder.api.max_parallel" in caught.value.hint


def test_retry_after_is_honoured(ask, server):
    server.faults = [status(429, Retry_After="1")]
    assert attempts(ask, server) == 2
    assert server.requests[1].at - server.requests[0].at >= 1


def test_a_pause_that_nobody_waits_for_is_reported(ask, server):
    server.faults = [status(429, Retry_After="86400")]
    with pytest.raises(ServiceError, match="asks to wait 86400 s"):
        ask().embed(["a"], num_tokens=1)
    assert len(server.requests) == 1


def test_an_account_without_money_is_told_what_to_do(ask, server):
    server.fault_of = lambda _: (
        lambda handler, _: handler.fail(429, "You exceeded your quota", code="insufficient_quota")
    )
    with pytest.raises(ServiceError, match="exceeded your quota") as caught:
        ask(max_retries=1).embed(["a"], num_tokens=1)
    assert "top up" in caught.value.hint


def test_an_answer_that_takes_too_long_is_asked_for_again(ask, server):
    server.faults = [stalled, stalled]
    assert ask(timeout_s=0.2).embed(["a"], num_tokens=1).shape == (1, 64)
    assert (len(server.requests), len(ask.tokens)) == (3, 1)


def test_a_service_that_never_answers_is_named_with_the_time_it_had(ask, server):
    server.faults = [stalled]
    with pytest.raises(ServiceError, match=r"no answer within 0\.1 s") as caught:
        ask(timeout_s=0.1, max_retries=0).embed(["a"], num_tokens=1)
    assert "timeout_s" in caught.value.hint


@pytest.mark.parametrize("fault", [dropped, cut_short])
def test_a_lost_connection_is_asked_again(ask, server, fault):
    server.faults = [fault] * 5
    assert attempts(ask, server) == 6


def test_while_nobody_has_answered_it_is_tried_twice_more(ask, server):
    server.faults = [dropped] * 9
    with pytest.raises(ServiceError, match="cannot be reached"):
        ask().embed(["a"], num_tokens=1)
    assert len(server.requests) == 3


def test_where_nobody_is_there_it_is_reported(ask):
    with EmbeddingServer() as gone:
        endpoint = gone.endpoint
    with pytest.raises(ServiceError, match=re.escape(f"{endpoint}: cannot be reached")) as caught:
        ask(endpoint=endpoint).embed(["a"], num_tokens=1)
    assert "network" in caught.value.hint


def test_a_host_without_a_name_is_reported(ask):
    with pytest.raises(ServiceError, match="cannot be reached"):
        ask(endpoint="http://no-such-host.invalid/v1", max_retries=0).embed(["a"], num_tokens=1)


@pytest.mark.parametrize("module", ["openai"])
def test_without_its_library_an_encoder_behind_an_api_names_the_command_that_installs_it(ask, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"needs {module}, which is not installed") as caught:
        ask()
    assert "pip install 'nearer[api]'" in caught.value.hint


# Failures that do not pass


@pytest.mark.parametrize(
    ("fault", "recipe", "said", "hint"),
    [
        (status(401, "who are you"), {}, "401: who are you", "set encoder.api.key_env"),
        (status(401, "wrong key"), {"key_env": "MY_KEY"}, "401: wrong key", "environment variable MY_KEY"),
        (status(403, "not for you"), {"key_env": "MY_KEY"}, "403: not for you", "MY_KEY"),
        (status(404, "The model `bag` does not exist"), {}, "404: The model `bag`", "encoder.model (bag)"),
        (status(400, "maximum context length is 8192"), {}, "400: maximum context", "encoder.max_seq_length"),
        (status(400, "no dimensions"), {"dimensions": 8}, "400: no dimensions", "leave encoder.api.dimensions out"),
        (status(413, "too large"), {}, "413: too large", "batch_tokens"),
        (raw(b"<html>Not Found</html>", code=404), {}, "404", "most end in /v1"),
        (raw(b'{"error": "no such model", "error_type": "x"}', code=404), {}, "404: no such model", "encoder.model"),
        (raw(b'{"detail": "Not Found"}', code=404, kind="application/json"), {}, "404: Not Found", "encoder.model"),
        (status(422, "bad\nline \x1b[31mred"), {}, "422: bad line [31mred", "encoder"),
    ],
)
def test_what_cannot_pass_fails_at_once_with_the_services_words_and_a_remedy(ask, server, fault, recipe, said, hint):
    server.faults = [fault]
    with pytest.raises(ServiceError, match=re.escape(said)) as caught:
        ask(**recipe).embed(["a"], num_tokens=1)
    assert hint in caught.value.hint
    assert "<html" not in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirection_is_reported_and_nothing_is_sent_there(ask, server, code):
    with EmbeddingServer() as other:
        server.faults = [raw(b"", code=code, Location=f"{other.endpoint}/embeddings?from=here")]
        with pytest.raises(ServiceError, match=f"points to {re.escape(other.endpoint)}/embeddings$") as caught:
            ask(key=KEY).embed(["a"], num_tokens=1)
        assert "redirections are not followed" in caught.value.hint
        assert other.requests == []
    assert len(server.requests) == 1


# The key


def test_the_key_is_sent_as_it_is_and_to_nobody_else(ask, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-the-admin")
    ask(key=KEY).embed(["a"], num_tokens=1)
    ask().embed(["a"], num_tokens=1)
    first, second = server.requests
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in second.headers
    assert "sk-of" not in json.dumps([first.headers, second.headers])


def test_the_key_is_in_no_message_log_or_description(ask, server, caplog):
    server.key = "another"  # the server repeats the key it was given
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError, match="Incorrect API key") as caught:
        ask(key=KEY).embed(["a"], num_tokens=1)
    server.faults = [raw(f"<html>{KEY}</html>".encode()), status(500, KEY), dropped]
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError) as spoilt:
        ask(key=KEY).embed(["a"], num_tokens=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError) as failed:
        ask(key=KEY, max_retries=0).embed(["a"], num_tokens=1)
    for error in (caught.value, spoilt.value, failed.value):
        assert "***" in error.message
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__
        assert KEY not in f"{error.message}{error.hint}{error!r}"
    endpoint = ask(key=KEY)
    assert "Sending HTTP Request" in caplog.text
    assert KEY not in repr(endpoint) + caplog.text + str([record.__dict__ for record in caplog.records])


# The encoder


@pytest.fixture
def encoder_of(ask):
    """``encoder_of(revision="x", settings={...})``: an encoder at the server, just opened."""

    def make(*, model="bag", settings=None, key=None, **recipe):
        values = {"max_seq_length": 64, **(settings or {})}
        return ApiEncoder.open(ask(model=model, key=key, **recipe), settings=EncoderSettings(**values))

    return make


def test_opening_asks_for_the_probe_once_without_prompts(encoder_of, server):
    encoder_of(settings={"query_prompt": "query: ", "document_prompt": "passage: "})
    assert server.texts == list(PROBE)
    assert len(server.requests) == 1


def test_prompts_are_put_before_texts(encoder_of, server):
    encoder = encoder_of(settings={"query_prompt": "query: ", "document_prompt": "passage: "})
    np.testing.assert_allclose(encoder.encode_queries(["rain"]), unit(["query: rain"]), atol=1e-6)
    np.testing.assert_allclose(encoder.encode_documents(["rain"]), unit(["passage: rain"]), atol=1e-6)
    assert server.texts[-2:] == ["query: rain", "passage: rain"]


def test_no_texts_are_no_request(encoder_of, server):
    assert encoder_of().encode_documents([]).shape == (0, 64)
    assert len(server.requests) == 1


def test_an_empty_text_is_sent_as_a_space(encoder_of, server):
    assert encoder_of().encode_documents([""]).shape == (1, 64)
    assert server.texts[-1] == " "


def test_every_declared_value_and_the_model_behind_it_make_another_id(encoder_of, server):
    made = [
        encoder_of(),
        encoder_of(revision="2026-01"),
        encoder_of(dimensions=32),
        encoder_of(model="other"),
        encoder_of(endpoint=f"{server.endpoint}/v1"[: -len("/v1")].replace("127.0.0.1", "localhost")),
        encoder_of(settings={"query_prompt": "q: "}),
        encoder_of(settings={"document_prompt": "d: "}),
        encoder_of(settings={"max_seq_length": 32}),
    ]
    assert len({each.encoder_id for each in made}) == len({each.declaration_id for each in made}) == len(made)
    server.model = "newer"
    assert encoder_of().encoder_id != made[0].encoder_id
    assert encoder_of().declaration_id == made[0].declaration_id


def test_how_it_is_asked_does_not_enter_the_id(encoder_of):
    hurried = encoder_of(
        key_env="K", key=KEY, batch_texts=1, batch_tokens=9, max_parallel=1,
        timeout_s=9, max_retries=1, price_per_million_tokens=9,
    )  # fmt: skip
    assert hurried.encoder_id == encoder_of().encoder_id


def test_a_service_that_is_not_exact_keeps_its_id(encoder_of, server):
    first = encoder_of()
    server.noise = 0.005
    again = encoder_of()
    assert again.encoder_id != first.encoder_id
    registered = again.registered(first.probe)
    assert registered.encoder_id == first.encoder_id
    assert (registered.model_id, registered.dimension) == (first.model_id, 64)


@pytest.mark.parametrize("change", [{"model": "newer"}, {"noise": 0.2}, {"dimension": 32}])
def test_a_service_that_changed_its_model_is_refused(encoder_of, server, change):
    first = encoder_of()
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(ModelRefused, match=r"bag at http.* is not the model that was registered") as caught:
        encoder_of().registered(first.probe)
    assert "encoder.api.revision" in caught.value.hint


def test_a_model_changed_while_we_embed_is_refused_by_its_dimension(encoder_of, server):
    encoder = encoder_of()
    server.dimension = 32
    with pytest.raises(ServiceError, match="32 dimensions among those of 64"):
        encoder.encode_documents(["a"])


def test_a_dimension_that_the_service_ignores_is_refused(encoder_of, server):
    server.faults = [lambda handler, body: handler.good({**body, "dimensions": 64})]
    with pytest.raises(ServiceError, match="answers 64 dimensions, not 16") as caught:
        encoder_of(dimensions=16)
    assert "dimensions" in caught.value.hint


def test_requests_hold_no_more_texts_and_tokens_than_allowed(encoder_of, server):
    texts = ["one two three four"] * 7 + ["long " * 30] + ["five six"] * 3
    encoder = encoder_of(batch_texts=3, batch_tokens=20)
    np.testing.assert_allclose(encoder.encode_documents(texts), unit(texts), atol=1e-6)
    sizes = [(len(request.texts), sum(len(rough_spans(text)) for text in request.texts)) for request in server.requests]
    assert all(number <= 3 and (tokens <= 20 or number == 1) for number, tokens in sizes[1:])
    assert sum(number for number, _ in sizes[1:]) == len(texts)


# Tokens, roughly


def test_long_texts_are_cut_prompt_included(encoder_of, server):
    encoder = encoder_of(settings={"max_seq_length": 8, "document_prompt": "pass: "})
    encoder.encode_documents(["one two three four five six seven eight", "one two"])
    assert server.texts[-2:] == ["pass: one two three four five", "pass: one two"]
    assert encoder.count_tokens(["one two three four five", ""]) == [8, 2]


@given(st.text())
def test_pieces_cover_all_but_white_space_in_order(text):
    spans = rough_spans(text)
    assert "".join(text[start:end] for start, end in spans) == re.sub(r"\s", "", text)
    assert all(end <= after for (_, end), (after, _) in itertools.pairwise(spans))


def test_passages_of_an_endless_word_have_at_most_the_tokens_asked_for():
    text = "x" * 1000 + " 日本" * 100
    pieces = split_text(text, window=Window(max_tokens=20, overlap_tokens=5), spans=rough_spans(text))
    assert max(len(rough_spans(piece)) for piece in pieces) <= 20


def test_the_estimate_names_texts_tokens_and_price(encoder_of, server):
    texts = ["one two three four five"] * 1000
    encoder = encoder_of(price_per_million_tokens=0.02, settings={"max_seq_length": 8})
    said = encoder.describe(num_texts=len(texts), num_tokens=encoder.estimated_tokens(texts))
    assert said == f"1000 texts for bag at {server.endpoint}: about 6000 tokens, 0.0001 USD"
    assert "at a price unknown" in encoder_of().describe(num_texts=1, num_tokens=1)


# With the cache


@pytest.fixture
def cached(tmp_path):
    def embed(encoder, texts):
        with EmbeddingCache(tmp_path, encoder_id=encoder.encoder_id, kind="documents", dimension=64) as cache:
            batching = Batching(block_texts=encoder.api.batch_texts, workers=encoder.api.max_parallel)
            return cache.vectors(
                texts, encode=encoder.encode_documents, progress=Silent(), label="encode", batching=batching
            )

    return embed


@pytest.mark.exhaustive
def test_requests_go_out_at_once_and_results_are_those_of_one_by_one(encoder_of, server, cached):
    texts = [f"text number {n}" for n in range(200)]
    server.fault_of = lambda _: in_company
    made_ND, num_encoded = cached(encoder_of(batch_texts=4, max_parallel=4), texts)
    assert num_encoded == 200
    np.testing.assert_allclose(made_ND, unit(texts), atol=1e-6)
    assert 1 < server.most_at_once <= 4


@pytest.mark.parametrize("workers", [1, 4])
def test_a_failure_in_the_middle_loses_nothing_that_was_answered(encoder_of, server, cached, workers):
    texts = [f"text number {n:03}" for n in range(100)]
    server.fault_of = lambda request: status(400) if "text number 050" in request.texts else None
    encoder = encoder_of(batch_texts=5, max_parallel=workers)
    with pytest.raises(ServiceError, match="400"):
        cached(encoder, texts)
    answered = {
        text for request in server.requests[1:] for text in request.texts if "text number 050" not in request.texts
    }
    server.fault_of = lambda request: None
    server.requests.clear()
    made_ND, num_encoded = cached(encoder, texts)
    np.testing.assert_allclose(made_ND, unit(texts), atol=1e-6)
    assert set(server.texts) == set(texts) - answered
    assert num_encoded == len(server.texts) == 100 - len(answered) <= 50
