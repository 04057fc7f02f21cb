"""Language models: a service that speaks OpenAI's ``/v1/chat/completions``, or a model of this machine."""

import json
import os
import re
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.core.extras import extra
from nearer.encode.failures import shown

if TYPE_CHECKING:
    import openai

URL_VARIABLE, KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"
"""Where the address and the key of a service are, as OpenAI's own client has it."""
_MAX_RETRIES, _FIRST_RETRIES = 6, 2
_MINUTE_S = 60.0
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""What no database can hold: NUL and halves of surrogate pairs."""
_MOST_COUNTED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked: how to behave, and the message; ``attempt`` and ``vote`` count askings of the same."""

    system: str
    user: str
    max_tokens: int = 1000
    temperature: float = 0.7
    attempt: int = 0
    vote: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, and the tokens it read and wrote; ``is_cut`` where it had no room to end."""

    text: str
    num_read: int
    num_written: int
    is_cut: bool = False


class Unusable(Exception):
    """An answer came, and is none: it was paid for, and another may do."""


class Chat(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """What it is called: where it runs, and its model."""
        ...

    def ask(self, question: Question) -> Reply:
        """What it says. Raises ServiceError where nobody answers, Unusable for what is no answer."""
        ...


class Pace:
    """At most so many requests a minute, whoever asks; ``sleep`` and ``clock`` are passed in by tests."""

    def __init__(
        self,
        per_minute: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap_s = _MINUTE_S / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Wait for this request's turn."""
        if not self._gap_s:
            return
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
        if turn > now:
            self._sleep(turn - now)


class ChatEndpoint:
    """A model of a service. The client asks again after 408, 409, 429, 5xx, time-outs and lost connections.

    Raises InputError where its library is not installed.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key: str | None,
        timeout_s: float = 120.0,
        max_retries: int = _MAX_RETRIES,
        pace: Pace | None = None,
    ) -> None:
        with extra("api", used_for="asking a language model"):
            import openai
        self.url, self.model, self._key = url.rstrip("/"), model, key
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._pace, self._has_answered = pace or Pace(None), False
        self._client = openai.OpenAI(
            api_key=key or "none",  # the client insists on one; without ours none is sent
            base_url=self.url,
            max_retries=max_retries,
            timeout=timeout_s,
            http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=timeout_s),
        )
        weakref.finalize(self, self._client.close)

    @property
    def name(self) -> str:
        """The address and the model."""
        return f"{self.url} {self.model}"

    def ask(self, question: Question) -> Reply:
        """The model's answer. Raises ServiceError, and Unusable for what is none."""
        import openai

        self._pace.wait()
        retries = self._max_retries if self._has_answered else min(self._max_retries, _FIRST_RETRIES)
        try:
            response = self._client.with_options(max_retries=retries).chat.completions.with_raw_response.create(
                model=self.model,
                messages=[
                    {"role": "system", "content": question.system},
                    {"role": "user", "content": question.user},
                ],
                max_tokens=question.max_tokens,
                temperature=question.temperature,
                extra_headers=None if self._key else {"Authorization": openai.Omit()},
            )
        except openai.APIError as error:
            raise self._explained(error) from None
        self._has_answered = True
        return read_reply(response.content, question)

    def _explained(self, error: "openai.APIError") -> ServiceError:
        """What an exception of the client means; its hint says what mends it."""
        import openai

        if isinstance(error, openai.APIStatusError):
            body = error.body
            said = body.get("message", "") if isinstance(body, dict) else body or ""
            text = "" if str(said).lstrip().startswith("<") else shown(str(said), key=self._key)
            return ServiceError(f"{self.url}: {error.status_code}{f': {text}' if text else ''}", hint=self._hint(error))
        if isinstance(error, openai.APITimeoutError):
            return ServiceError(f"{self.url}: no answer within {self._timeout_s:g} s", hint=KEPT)
        cause = shown(str(error.__cause__ or error), key=self._key)
        return ServiceError(
            f"{self.url}: cannot be reached: {cause}", hint=f"check {URL_VARIABLE} and the network; {KEPT}"
        )

    def _hint(self, error: "openai.APIStatusError") -> str:
        if error.status_code in (401, 403):
            return f"check the key in {KEY_VARIABLE}, and what it may do"
        if error.status_code == 404:
            return f"check --model ({self.model}) and {URL_VARIABLE}: most end in /v1"
        if error.status_code == 429:
            return f"top up the account, or ask less often: --per-minute 60; {KEPT}"
        return f"see what the service says; {KEPT}"


KEPT = "what was answered is kept and not paid again, so repeat the command"


def read_reply(body: bytes, question: Question) -> Reply:
    """The answer of a body. Raises Unusable for anything but a message with text.

    Tokens that the service does not count are estimated, four characters each.
    """
    try:
        content = json.loads(body)
        choice = content["choices"][0]
        message = choice["message"]
        text = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise Unusable("the answer is malformed") from None
    text = _NO_TEXT.sub("\ufffd", text) if isinstance(text, str) else ""
    if not text.strip():
        refusal = message.get("refusal")
        raise Unusable("the model refused" if isinstance(refusal, str) and refusal else "the answer is empty")
    usage = content.get("usage")
    return Reply(
        text=text,
        num_read=_counted(usage, "prompt_tokens", question.system + question.user),
        num_written=_counted(usage, "completion_tokens", text),
        is_cut=choice.get("finish_reason") == "length",
    )


def _counted(usage: Any, name: str, text: str) -> int:
    number = usage.get(name) if isinstance(usage, dict) else None
    return number if isinstance(number, int) and 0 <= number < _MOST_COUNTED else rough_tokens(text)


def rough_tokens(text: str) -> int:
    """About how many tokens a text has: four characters each, as OpenAI's help says of English.

    >>> rough_tokens("about four tokens")
    5
    """
    return -(-len(text) // 4)


class LocalChat:
    """A model of this machine, loaded by transformers from safetensors; one question at a time.

    Raises ModelRefused for what is no such model.
    """

    def __init__(self, source: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(source)
            self._model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelRefused(
                f"{source}: no language model that can be loaded: {str(error).splitlines()[0]}",
                hint="a folder with config.json, tokenizer files and model.safetensors, or a Hub name",
            ) from error
        self._model.eval()
        self._lock = threading.Lock()
        self._source = source

    @property
    def name(self) -> str:
        """The folder or the Hub name."""
        return f"local {self._source}"

    def ask(self, question: Question) -> Reply:
        """The model's answer, sampled by a seed that the question makes. Raises Unusable for an empty one."""
        import torch

        with self._lock, torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(zlib.crc32(f"{question.attempt} {question.vote} {question.user}".encode()))
            ids = self._prompt(question)
            room = max(1, self._most_tokens() - ids.shape[1])
            made = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=min(question.max_tokens, room),
                do_sample=question.temperature > 0,
                temperature=question.temperature or None,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
            new = made[0, ids.shape[1] :]
            text = str(self._tokenizer.decode(new, skip_special_tokens=True))
        if not text.strip():
            raise Unusable("the answer is empty")
        return Reply(
            text=text, num_read=int(ids.shape[1]), num_written=len(new), is_cut=len(new) >= question.max_tokens
        )

    def _prompt(self, question: Question) -> Any:
        """The question's tokens (1 x T), by the model's own template where it has one; of a long one the end."""
        import torch

        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            found = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            found = self._tokenizer(f"{question.system}\n\n{question.user}\n")["input_ids"]
        most = max(1, self._most_tokens() - min(question.max_tokens, self._most_tokens() // 2))
        return torch.tensor([found[-most:]])

    def _most_tokens(self) -> int:
        return int(getattr(self._model.config, "max_position_embeddings", None) or 2048)


LOCAL = "local:"


def open_chat(model: str, *, per_minute: int | None = None, environment: dict[str, str] | None = None) -> Chat:
    """The model of a name: a folder, ``local:`` and a Hub name, or else what the service of the environment has.

    Raises InputError where nobody says which service, ModelRefused for a folder that holds no model.
    """
    variables = dict(os.environ) if environment is None else environment
    if model.startswith(LOCAL) or Path(model).expanduser().is_dir():
        return LocalChat(str(Path(model).expanduser()) if not model.startswith(LOCAL) else model.removeprefix(LOCAL))
    url, key = variables.get(URL_VARIABLE, "").strip(), variables.get(KEY_VARIABLE, "").strip()
    if not url and not key:
        raise InputError(
            f"{model!r} is no folder, and {URL_VARIABLE} and {KEY_VARIABLE} are not set",
            hint=f"export {URL_VARIABLE}=https://api.openai.com/v1 {KEY_VARIABLE}=...; or --model FOLDER; or --offline",
        )
    if url and not url.startswith(("http://", "https://")):
        raise InputError(f"{URL_VARIABLE} is no address", hint=f"export {URL_VARIABLE}=https://api.openai.com/v1")
    if key and not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY_VARIABLE} holds what cannot be a key", hint="set it anew")
    return ChatEndpoint(url=url or "https://api.openai.com/v1", model=model, key=key or None, pace=Pace(per_minute))
