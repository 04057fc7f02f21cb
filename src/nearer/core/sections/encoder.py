"""What turns texts into vectors: the base model, a service in its place, and how documents are cut."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from nearer.core.sections.base import Section


class ApiRecipe(Section):
    """A service that encodes, spoken to as OpenAI's ``/v1/embeddings``; without an ``endpoint`` we encode here.

    ``key_env`` names the environment variable that holds the key: the key itself is never written down. Source of
    the limits of a request (2048 texts, 300,000 tokens): OpenAI's reference of embeddings; ``batch_tokens`` keeps to
    a third of it, since tokens are estimated.
    """

    endpoint: str | None = Field(
        default=None,
        description=("a service that speaks OpenAI's `/v1/embeddings`, as `https://api.openai.com/v1`; none: run here"),
    )
    key_env: str | None = Field(
        default=None, description="name of the environment variable that holds the key; none: no key is sent"
    )
    dimensions: int | None = Field(
        default=None, ge=1, description="asked of the service, for models that can shorten; none: the model's own"
    )
    revision: str = Field(default="", description="a label of your own; a new one makes a new encoder, embedded anew")
    batch_texts: int = Field(
        default=128, ge=1, le=2048, description="texts a request, and kept at once; OpenAI's limit is 2048"
    )
    batch_tokens: int = Field(
        default=100_000, ge=1, description="estimated tokens a request; OpenAI's limit is 300,000"
    )
    max_parallel: int = Field(default=4, ge=1, le=32, description="requests at once")
    timeout_s: float = Field(default=60.0, gt=0, description="how long the service may be silent")
    max_retries: int = Field(
        default=8,
        ge=0,
        le=20,
        description=(
            "after 408, 409, 429, 5xx, timeouts and lost connections: 0.5, 1, 2, 4 and then 8 s apart, or what the "
            "service asks for up to two minutes"
        ),
    )
    price_per_million_tokens: float | None = Field(
        default=None, ge=0, description="US dollars; none: the cost is unknown"
    )

    @field_validator("endpoint")
    @classmethod
    def _base_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            is_plain = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        except ValueError:
            is_plain = False
        if not is_plain:
            raise ValueError("must be an address such as https://api.openai.com/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment: the key goes into key_env's variable")
        if parts.path.rstrip("/").endswith("/embeddings"):
            raise ValueError("must be the part before /embeddings, such as https://api.openai.com/v1")
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

    @field_validator("key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, never a key")
        return value

    @model_validator(mode="after")
    def _asked_of_someone(self) -> "ApiRecipe":
        fields = type(self).model_fields
        unused = [name for name, field in fields.items() if getattr(self, name) != field.default]
        if self.endpoint is None and unused:
            raise ValueError(f"{', '.join(unused)} set without an endpoint, such as https://api.openai.com/v1")
        return self


class EncoderRecipe(Section):
    """What turns text into vectors.

    ``model`` is "all-MiniLM-L6-v2" (installed with Nearer, offline), a folder, or a Hub name; with an
    ``api.endpoint`` it is the service's name of a model. Prompts are put before each query or document, in training
    and in search alike; none means those that the model declares.
    """

    model: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description=(
            "the base model: this one comes installed; or a folder, a Hub name, or the name that the API knows"
        ),
    )
    max_seq_length: int | None = Field(
        default=None,
        ge=8,
        description=("tokens read of each text; none: the model's own limit, 512 (estimated) behind an API"),
    )
    query_prompt: str | None = Field(
        default=None, description="put before every query; none: what the model declares, else nothing"
    )
    document_prompt: str | None = Field(
        default=None, description="put before every passage; none: what the model declares, else nothing"
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="texts encoded at once, on this machine")
    api: ApiRecipe = ApiRecipe.model_construct()

    @property
    def name(self) -> str:
        """What its system is called where it is not the base: its model, a service's as ``api:MODEL``."""
        if self.api.endpoint is None:
            return self.model
        return f"api:{self.model}" + (f"@{self.api.dimensions}" if self.api.dimensions else "")


class ChunkRecipe(Section):
    """How long documents become passages. Lengths are tokens of the encoder."""

    enabled: bool = Field(
        default=True, description="cut long documents into passages; `false` truncates them, and says how many"
    )
    max_tokens: int | None = Field(
        default=None,
        ge=16,
        description=(
            "longest passage; none: 126, which an encoder reads as 128, or all that it reads where that is less "
            "(benchmarks/cutting.py)"
        ),
    )
    overlap_tokens: int | None = Field(
        default=None,
        ge=0,
        description=("how much a passage may repeat of the one before; none: a quarter of it, 32 at most"),
    )
    repeat_title: bool = Field(
        default=True,
        description=(
            "begin every passage of a document but its first with the title, or the first sentence where it has none; "
            "a quarter of the passage at most"
        ),
    )
