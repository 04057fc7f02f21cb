"""One endpoint that speaks OpenAI's ``/v1/embeddings``: its answers are checked, and its failures explained.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

import base64
import binascii
import json
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from nearer.core.arrays import Floats32, Floats64
from nearer.core.errors import ServiceError
from nearer.core.extras import extra
from nearer.core.purse import most_tokens
from nearer.core.sections import ApiRecipe
from nearer.encode.failures import explain, shown

if TYPE_CHECKING:
    import openai

Request = Callable[[int], AbstractContextManager[Callable[[int], object]]]
_FIRST_RETRIES = 2
"""A service that never answers is reported in seconds."""


class Endpoint:
    """A model of a service, and how it may be asked.

    ``request`` is entered before each, with the most tokens that it can take, and gives what is told how many it took.

    The client of ``openai`` asks again after 408, 409, 429 and 5xx, after a timeout, and when the connection was lost;
    while nobody has answered yet, twice at most.

    Raises InputError where that library is not installed.
    """

    def __init__(self, api: ApiRecipe, *, model: str, key: str | None, request: Request) -> None:
        self.api = api
        self.model = model
        self._key = key
        self._request = request
        self._has_answered = False
        self._client = _client(api, key)
        weakref.finalize(self, self._client.close)

    def embed(self, texts: Sequence[str], *, num_tokens: int) -> Floats32:
        """The vectors of ``texts`` in one request, shape (N, D); ``num_tokens`` is our estimate of its size.

        Raises ServiceError when the service refuses, keeps failing, or answers something else, BudgetSpent.
        """
        with self._request(most_tokens(*texts)) as answered:
            vectors_ND, counted = self._answer(texts)
            answered(num_tokens if counted is None else counted)
        return vectors_ND

    def _answer(self, texts: Sequence[str]) -> tuple[Floats32, int | None]:
        body = self._ask(texts)
        try:
            return read_answer(body, num_texts=len(texts))
        except ValueError as error:
            raise ServiceError(
                f"{self.api.endpoint}: its answer cannot be used: {shown(str(error), key=self._key)}",
                hint="check encoder.model, and that encoder.api.endpoint is one for embeddings: most end in /v1",
            ) from None

    def _ask(self, texts: Sequence[str]) -> bytes:
        """The body of a good answer."""
        import openai

        max_retries = self.api.max_retries if self._has_answered else min(self.api.max_retries, _FIRST_RETRIES)
        try:
            response = self._client.with_options(max_retries=max_retries).embeddings.with_raw_response.create(
                model=self.model,
                input=list(texts),
                dimensions=openai.omit if self.api.dimensions is None else self.api.dimensions,
                encoding_format="base64",
                extra_headers=None if self._key else {"Authorization": openai.Omit()},
            )
        except openai.APIError as error:
            raise explain(error, api=self.api, model=self.model, key=self._key) from None
        self._has_answered = True
        return response.content


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
    """A client that follows no redirection, and sends no key but ours."""
    with extra("api", used_for="an encoder behind an API"):
        import openai

    return openai.OpenAI(
        api_key=key or "none",  # the client insists on one; without ours none is sent
        base_url=api.endpoint,
        max_retries=api.max_retries,
        timeout=api.timeout_s,
        http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=api.timeout_s),
    )
