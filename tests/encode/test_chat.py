"""Language models that are asked: faults of a service, a key that is never shown, pace, and a tiny local model."""

import json

import pytest

from chat_server import ChatServer, cut_short, raw, says, stalled, status
from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.encode.chat import ChatEndpoint, LocalChat, Pace, Question, Unusable, open_chat

QUESTION = Question(system="be brief", user="hello")


@pytest.fixture
def server():
    with ChatServer(lambda body: "yes") as server:
        yield server


def endpoint(server, **more):
    return ChatEndpoint(url=server.url, model="m", key=more.pop("key", None), **more)


def test_it_asks_and_counts(server):
    reply = endpoint(server).ask(QUESTION)
    assert (reply.text, reply.num_read, reply.num_written, reply.is_cut) == ("yes", 100, 10, False)
    [body] = server.bodies
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert server.keys == [None], "no key is sent where there is none"


@pytest.mark.parametrize("fault", [status(500), status(429, retry_after="0.01"), cut_short], ids=["500", "429", "cut"])
def test_what_passes_is_asked_again(server, fault):
    server.faults = [fault]
    assert endpoint(server).ask(QUESTION).text == "yes"
    assert len(server.bodies) == 2


def test_what_stays_is_reported(server):
    chat = endpoint(server, max_retries=0, key="secret-key-1")
    for fault, part in ((status(500), "500"), (status(401), "401"), (status(404), "404"), (cut_short, "reached")):
        server.faults = [fault]
        with pytest.raises(ServiceError) as caught:
            chat.ask(QUESTION)
        assert part in caught.value.message
        assert caught.value.hint
        assert "secret-key-1" not in caught.value.message + caught.value.hint
    server.faults = [lambda handler, _: handler.fail(400, "your key secret-key-1 is bad")]
    with pytest.raises(ServiceError, match=r"\*\*\*"):
        chat.ask(QUESTION)
    server.faults = [stalled]
    with pytest.raises(ServiceError, match=r"no answer within 0\.2 s"):
        endpoint(server, max_retries=0, timeout_s=0.2).ask(QUESTION)


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        (raw(b"<html>"), "malformed"),
        (raw(b"{}"), "malformed"),
        (raw(b'{"choices": []}'), "malformed"),
        (raw(b'{"choices": [{"message": "x"}]}'), "malformed"),
        (says(" "), "empty"),
        (says(None, refusal="no"), "refused"),
    ],
)
def test_what_is_no_answer(server, fault, part):
    server.faults = [fault]
    with pytest.raises(Unusable, match=part):
        endpoint(server).ask(QUESTION)


def test_an_answer_holds_nothing_that_no_database_can(server):
    server.answer = lambda _: "a\ud800b\x00c"
    assert endpoint(server).ask(QUESTION).text == "a\ufffdb\ufffdc"
    said = {"choices": [{"message": {"content": "ab"}}], "usage": {"prompt_tokens": 10**30, "completion_tokens": 7}}
    server.faults = [raw(json.dumps(said).encode())]
    found = endpoint(server).ask(QUESTION)
    assert (found.num_read < 1000, found.num_written) == (True, 7)


def test_the_pace_is_kept():
    now, slept = [0.0], []
    pace = Pace(60, clock=lambda: now[0], sleep=slept.append)
    for _ in range(3):
        pace.wait()
    assert slept == [1.0, 2.0], "each waits for its turn"
    Pace(None, sleep=lambda _: pytest.fail("no pace")).wait()


def test_who_is_asked():
    with pytest.raises(InputError, match="OPENAI_BASE_URL"):
        open_chat("gpt", environment={})
    with pytest.raises(InputError, match="no address"):
        open_chat("gpt", environment={"OPENAI_BASE_URL": "ftp://x"})
    with pytest.raises(InputError) as caught:
        open_chat("gpt", environment={"OPENAI_API_KEY": "geheim\x01ö"})
    assert "geheim" not in caught.value.message
    assert open_chat("gpt", environment={"OPENAI_BASE_URL": "http://x/v1/"}).name == "http://x/v1 gpt"


@pytest.fixture(scope="module")
def tiny_llm(tmp_path_factory, make_decoder):
    """A folder with a language model of random weights."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("llm")
    tokenizer = AutoTokenizer.from_pretrained(str(make_decoder()))
    tokenizer.save_pretrained(str(folder))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            intermediate_size=32,
            max_position_embeddings=128,
        )
        Qwen3ForCausalLM(config).save_pretrained(str(folder), safe_serialization=True)
    return folder


def test_a_local_model_answers_the_same_again(tiny_llm):
    chat = open_chat(str(tiny_llm), environment={})
    assert isinstance(chat, LocalChat)
    question = Question(system="s", user="water " * 500, max_tokens=12)
    first, again = chat.ask(question), chat.ask(question)
    assert first == again
    assert 0 < first.num_written <= 12
    assert first.num_read + first.num_written <= 128
    assert chat.ask(Question(system="s", user="water " * 500, max_tokens=12, attempt=1)) != first


def test_what_is_no_local_model_is_refused(tmp_path):
    with pytest.raises(ModelRefused, match="no language model"):
        open_chat(str(tmp_path), environment={})
