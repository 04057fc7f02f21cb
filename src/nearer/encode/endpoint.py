"""One endpoint that speaks OpenAI's ``/v1/embeddings``: requests that keep its limits, are repeated, and are checked.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

import base64
import binascii
import json
import random
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nearer.core.arrays import Floats32, Floats64
from nearer.core.errors import ServiceError
from nearer.core.sections import ApiRecipe
from nearer.encode.failures import explain, shown
from nearer.encode.pace import Pace, backoff_s

if TYPE_CHECKING:
    import openai


class Endpoint:
    """A model of a service, and how it may be asked; ``on_answer`` is told the tokens of each answered request.

    A request is repeated after 408, 409, 429 or 5xx, when it was not answered in time, and when the connection was
    lost; while nobody has answered yet, a lost connection is tried once more only.
    """

    def __init__(
        self,
        api: ApiRecipe,
        *,
        model: str,
        key: str | None,
        on_answer: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.api = api
        self.model = model
        self._key = key
        self._on_answer = on_answer
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._pace = Pace(
            requests_per_minute=api.requests_per_minute,
            tokens_per_minute=api.tokens_per_minute,
            clock=clock,
            sleep=sleep,
        )
        self._has_answered = False
        self._client = _client(api, key)
        weakref.finalize(self, self._client.close)

    def embed(self, texts: Sequence[str], *, num_tokens: int) -> Floats32:
        """The vectors of ``texts`` in one request, shape (N, D); ``num_tokens`` is our estimate of its size.

        Raises ServiceError when the service refuses, keeps failing, or answers something else.
        """
        body = self._ask(texts, num_tokens)
        try:
            vectors_ND, counted = read_answer(body, num_texts=len(texts))
        except ValueError as error:
            raise ServiceError(
                f"{self.api.endpoint}: its answer cannot be used: {shown(str(error), key=self._key)}",
                hint="check encoder.model, and that encoder.api.endpoint is one for embeddings: most end in /v1",
            ) from None
        self._on_answer(num_tokens if counted is None else counted)
        return vectors_ND

    def _ask(self, texts: Sequence[str], num_tokens: int) -> bytes:
        """The body of a good answer, after as many attempts as are allowed."""
        import httpx2
        import openai

        attempt = 0
        while True:
            attempt += 1
            self._pace.wait(num_tokens)
            try:
                body = self._send(texts)
            except (openai.APIError, httpx2.HTTPError, OSError) as error:
                failure = explain(error, api=self.api, model=self.model, key=self._key)
            else:
                self._has_answered = True
                return body
            is_nobody_there = failure.is_lost_connection and not self._has_answered
            most = min(self.api.max_retries, 1) if is_nobody_there else self.api.max_retries
            if not failure.may_pass or attempt > most:
                raise failure.error
            if failure.pause_s is None:
                self._sleep(backoff_s(attempt, self._rng))
            else:
                self._pace.pause(failure.pause_s)

    def _send(self, texts: Sequence[str]) -> bytes:
        """One attempt. The body is read piece by piece, so that one which trickles in ends at the time limit too."""
        import openai

        deadline = self._clock() + self.api.timeout_s
        pieces = []
        with self._client.embeddings.with_streaming_response.create(
            model=self.model,
            input=list(texts),
            dimensions=openai.omit if self.api.dimensions is None else self.api.dimensions,
            encoding_format="base64",
            extra_headers=None if self._key else {"Authorization": openai.Omit()},
        ) as response:
            for piece in response.iter_bytes():
                pieces.append(piece)
                if self._clock() > deadline:
                    raise TimeoutError
        return b"".join(pieces)


def read_answer(body: bytes, *, num_texts: int) -> tuple[Floats32, int | None]:
    """The vectors of an answer in the order of the texts, made unit length, and the tokens counted, if it tells.

    Raises ValueError for anything but one finite vector, not all zero and of one length, for each text.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError(f"not JSON but {body[:60].decode(errors='replace')!r}") from None
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f'no "data" with vectors in {body[:200].decode(errors="replace")!r}')
    if len(rows) != num_texts:
        raise ValueError(f"{len(rows)} vectors for {num_texts} texts")
    vector_of = {str(row.get("index")): row.get("embedding") for row in rows}
    if vector_of.keys() != {str(number) for number in range(num_texts)}:
        raise ValueError('the "index" of its vectors is not that of the texts')
    vectors = [_vector(vector_of[str(number)]) for number in range(num_texts)]
    if len({len(vector) for vector in vectors}) > 1:
        raise ValueError("vectors of different lengths")
    vectors_ND = np.stack(vectors)
    lengths_N = np.linalg.norm(vectors_ND, axis=1)
    if not np.isfinite(lengths_N).all() or not lengths_N.all():
        raise ValueError("a vector that is all zero or holds nan or infinity")
    usage = answer.get("usage")
    counted = usage.get("total_tokens", usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    unit_ND = (vectors_ND / lengths_N[:, None]).astype(np.float32)
    return unit_ND, counted if isinstance(counted, int) and counted >= 0 else None


def _vector(embedding: object) -> Floats64:
    """A vector sent as numbers, or as the base64 of little-endian float32."""
    try:
        if isinstance(embedding, str):
            vector = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4").astype(np.float64)
        else:
            vector = np.asarray(embedding, dtype=np.float64)
    except (binascii.Error, TypeError, ValueError, OverflowError):
        raise ValueError("a vector that is neither numbers nor base64") from None
    if vector.ndim != 1 or not len(vector):
        raise ValueError("a vector that is no list of numbers")
    return vector


def _client(api: ApiRecipe, key: str | None) -> "openai.OpenAI":
    """A client that repeats nothing by itself, follows no redirection, and sends no key but ours."""
    import openai

    return openai.OpenAI(
        api_key=key or "none",  # the client insists on one; without ours none is sent
        base_url=api.endpoint,
        max_retries=0,
        timeout=api.timeout_s,
        http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=api.timeout_s),
    )
