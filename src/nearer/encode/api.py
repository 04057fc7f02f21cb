"""An encoder behind an API: its id, its probe, and texts made ready for requests.

Arrays: N texts x D dimensions, P texts of the probe, float32, rows of length 1.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import ModelRefused, ServiceError
from nearer.core.ids import canonical_json, content_id
from nearer.encode.encoder import EncoderSettings, InOwnSpace, Origin, Side, TextEncoder
from nearer.encode.endpoint import Endpoint

DEFAULT_MAX_TOKENS = 512
"""Passages of about what local models read. A sixteenth of the 8192 that OpenAI's models read, for we only estimate."""

SAME_MODEL = 0.999
"""Two probes of one model are at least so alike. Source: docs/adr/0007-the-id-of-a-remote-encoder.md."""

PROBE = (
    "The quick brown fox jumps over the lazy dog.",
    "How do I rotate a log file without losing lines?",
    "def add(a: int, b: int) -> int:\n    return a + b",
    "Der Vertrag kann mit einer Frist von drei Monaten gekündigt werden.",
    "今日は雨が降っています。",
    "Aspirin 100 mg once daily reduced cardiovascular events (HR 0.88, 95% CI 0.79-0.99).",
)
"""What every opening asks for, without prompts; never change it, or every registered encoder is refused."""

_PIECE = re.compile(r"[A-Za-z]{1,4}|[0-9]{1,3}|[^\sA-Za-z0-9]")


def rough_spans(text: str) -> list[tuple[int, int]]:
    """Where the tokens of a text roughly are, for vendors keep their tokenizers: start and end of each.

    Up to four letters a piece, or three digits, or any one other character: rather too many than too few. Source:
    ``benchmarks/remote_encoders.py``, 0.96 (nl2bash) to 1.34 (medquad) pieces for each token of MiniLM's tokenizer.

    >>> [("Encoding 2048 texts, twice."[start:end]) for start, end in rough_spans("Encoding 2048 texts, twice.")]
    ['Enco', 'ding', '204', '8', 'text', 's', ',', 'twic', 'e', '.']
    """
    return [match.span() for match in _PIECE.finditer(text)]


class ApiEncoder(InOwnSpace):
    """A service's model with fixed settings.

    ``encoder_id`` covers endpoint, model, dimensions, revision, settings, and the probe that was kept when the
    encoder was registered.
    """

    def __init__(self, endpoint: Endpoint, *, settings: EncoderSettings, probe_PD: Floats32) -> None:
        self.settings = settings
        self.api = endpoint.api
        self.probe_PD = probe_PD
        self._endpoint = endpoint

    @classmethod
    def open(cls, endpoint: Endpoint, *, settings: EncoderSettings) -> "ApiEncoder":
        """Ask for the probe. Raises ServiceError when that fails, or when the dimension is not the one asked for."""
        probe_PD = endpoint.embed(PROBE, num_tokens=sum(len(rough_spans(text)) for text in PROBE))
        wanted = endpoint.api.dimensions
        if wanted is not None and probe_PD.shape[1] != wanted:
            raise ServiceError(
                f"{endpoint.api.endpoint}: {endpoint.model} answers {probe_PD.shape[1]} dimensions, not {wanted}",
                hint="leave encoder.api.dimensions out: this model or service cannot shorten its vectors",
            )
        return cls(endpoint, settings=settings, probe_PD=probe_PD)

    def registered(self, kept: bytes) -> "ApiEncoder":
        """This encoder under the id that it has with the ``probe`` which was kept.

        Raises ModelRefused when the two probes are not of one model.
        """
        kept_PD = np.frombuffer(kept, dtype="<f4").reshape(len(PROBE), -1)
        if kept_PD.shape == self.probe_PD.shape:
            likeness = float(np.einsum("pd,pd->p", kept_PD, self.probe_PD).min())
            fault = "" if likeness >= SAME_MODEL else f"a probe's cosine is {likeness:.4f}, not at least {SAME_MODEL}"
        else:
            fault = f"it answers {self.probe_PD.shape[1]} dimensions, not {kept_PD.shape[1]}"
        if fault:
            raise ModelRefused(
                f"{self._endpoint.model} at {self.api.endpoint} is not the model that was registered: {fault}",
                hint='to go on with it as another encoder, embedded anew: encoder.api.revision = "<a new label>"',
            )
        return ApiEncoder(self._endpoint, settings=self.settings, probe_PD=kept_PD)

    @property
    def probe(self) -> bytes:
        """The probe's vectors, to be kept: float32, little-endian."""
        return self.probe_PD.astype("<f4").tobytes()

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.probe_PD.shape[1])

    @property
    def declaration_id(self) -> str:
        """The id of what the recipe declares, under which the first probe is kept."""
        return content_id("api", self._declaration, num_hex=32)

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint: what the recipe declares, and the probe."""
        digest = hashlib.sha256(canonical_json(self._declaration).encode() + self.probe)
        return f"enc-{digest.hexdigest()[:32]}"

    @property
    def _declaration(self) -> dict[str, object]:
        api = self.api.model_dump(include={"endpoint", "dimensions", "revision"})
        return {**api, "model": self._endpoint.model, **asdict(self.settings)}

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: one for all services, whose tokenizers nobody has."""
        return "rough"

    def origin(self, side: Side) -> Origin:
        """Itself, whatever the side."""
        return Origin(encoder=self)

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D). Raises ServiceError."""
        return self._encode(texts, prompt=self.settings.query_prompt)

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D). Raises ServiceError."""
        return self._encode(texts, prompt=self.settings.document_prompt)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Roughly the number of tokens of each text as a document, prompt included, before truncation."""
        return [len(rough_spans(self.settings.document_prompt + text)) for text in texts]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text, roughly."""
        return rough_spans(text)

    def estimated_tokens(self, texts: Sequence[str]) -> int:
        """About how many tokens encoding ``texts`` will take."""
        return sum(min(tokens, self.settings.max_seq_length) for tokens in self.count_tokens(texts))

    def describe(self, *, num_texts: int, num_tokens: int) -> str:
        """What encoding so much will take, to be read before it begins."""
        price = self.api.price_per_million_tokens
        cost = "at a price unknown" if price is None else f"{num_tokens * price / 1e6:.4f} USD"
        return f"{num_texts} texts for {self._endpoint.model} at {self.api.endpoint}: about {num_tokens} tokens, {cost}"

    def _encode(self, texts: Sequence[str], *, prompt: str) -> Floats32:
        parts = [np.empty((0, self.dimension), dtype=np.float32)]
        for batch, num_tokens in self._requests([prompt + text for text in texts]):
            part_ND = self._endpoint.embed(batch, num_tokens=num_tokens)
            if part_ND.shape[1] != self.dimension:
                raise ServiceError(
                    f"{self.api.endpoint}: a vector of {part_ND.shape[1]} dimensions among those of {self.dimension}",
                    hint="the service may just have changed its model: repeat the command, which asks for the probe",
                )
            parts.append(part_ND)
        return np.concatenate(parts)

    def _requests(self, texts: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """The texts cut to the maximum length, in order, as many to a request as are allowed, and its tokens."""
        batch: list[str] = []
        batch_tokens = 0
        for text in texts:
            spans = rough_spans(text)[: self.settings.max_seq_length + 1]
            if len(spans) > self.settings.max_seq_length:
                spans = spans[:-1]
                text = text[: spans[-1][1]]
            if batch and (len(batch) == self.api.batch_texts or batch_tokens + len(spans) > self.api.batch_tokens):
                yield batch, batch_tokens
                batch, batch_tokens = [], 0
            batch.append(text or " ")  # services refuse an empty text
            batch_tokens += len(spans)
        if batch:
            yield batch, batch_tokens


def service_reader(encoder: TextEncoder, side: Side) -> ApiEncoder | None:
    """The service that reads the texts of a side; None where a model here does."""
    reader = encoder.origin(side).encoder
    return reader if isinstance(reader, ApiEncoder) else None
