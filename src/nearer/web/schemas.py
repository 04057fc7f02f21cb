"""What comes in and goes out over HTTP. A field that is not known is refused."""

import json
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nearer.core.results.base import JSON
from nearer.core.results.service import JobEntry

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def _writable(value: T) -> T:
    """Refuse what no UTF-8 text or JSON can hold: half a surrogate pair, NaN."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a surrogate pair, which is no text") from error
    return value


def _writable_model(value: M) -> M:
    _writable(value.model_dump())
    return value


Text = Annotated[str, AfterValidator(_writable)]
"""Text of any length. A plain ``str`` of limited length refuses half a surrogate pair by itself."""

Object = Annotated[dict[str, Any], AfterValidator(_writable)]


def respond(answer: BaseModel, *, without_none: bool = False) -> Response:
    """The answer of a route."""
    return Response(answer.model_dump_json(exclude_none=without_none), media_type="application/json")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SearchRequest(_Asked):
    """One query."""

    query: Text = Field(description="The words to search for.")
    k: int | None = Field(None, ge=1, description="How many documents; 10, or as many as a reranker keeps.")
    filter: Object | None = Field(
        None,
        description='Only documents that pass, as in OpenAI\'s vector stores: {"type": "gte", "key": "year", '
        '"value": 2020}; "and" and "or" join several.',
    )
    known: Object = Field({}, description="What else is known of the query, for the rules of a release that filters.")
    mode: Literal["release", "dense", "lexical"] = Field(
        "release", description="What ranks: what the release says, its vectors alone, or BM25 alone."
    )
    user: str | None = Field(
        None, max_length=512, description="Who asks: draws the arm; kept hashed, with what was shown."
    )
    session: str | None = Field(None, max_length=512, description="In which session; it is kept hashed too.")


class SearchBatch(_Asked):
    """Several queries, answered by one release; their texts are encoded together."""

    queries: list[SearchRequest] = Field(min_length=1)


class Span(BaseModel):
    """Characters of a document's title, line break and text: from ``start`` to before ``end``."""

    start: int
    end: int


class SearchResult(BaseModel):
    """A document that was found, and its passage nearest to the query."""

    doc_id: str
    score: float
    title: str
    snippet: str = Field(description="The beginning of the passage.")
    span: Span | None = Field(description="Where the passage is; none where no single passage was chosen.")
    metadata: JSON
    identical_ids: list[str] = Field(description="Documents of the same title and text, which share its rank.")


class SearchAnswer(BaseModel):
    """The best documents, best first."""

    query_id: str
    release_id: str
    space_id: str
    arm: str = Field(
        description="live; control or treatment, where two releases share the users; interleaved; or holdout."
    )
    took_ms: dict[str, float] = Field(description="encode, rank, passages, and total with the time spent waiting.")
    unused_rules: list[str] = Field(description="Rules of the release that lacked a field in known.")
    results: list[SearchResult]


class SearchBatchAnswer(BaseModel):
    """One answer a query, in their order."""

    answers: list[SearchAnswer]


class EmbeddingsRequest(_Asked):
    """Texts to encode, in OpenAI's shape."""

    input: Text | list[Text] = Field(description="A text, or several.")
    model: Text = Field("live", description="live, or the id of a release or model.")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64 has the same float32 numbers, little-endian."
    )
    dimensions: int | None = Field(None, ge=1, description="Fewer dimensions; only of a model that was made for it.")
    input_type: Literal["query", "document"] = Field("document", description="Which of the model's prompts to use.")
    user: str | None = Field(None, max_length=512, description="Who asks; nothing is kept of it.")


class Embedding(BaseModel):
    """The vector of one text; ``truncated`` when its end was not read."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    num_tokens: int
    truncated: bool


class Usage(BaseModel):
    """The tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """One vector a text, in their order."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage


class ModelEntry(BaseModel):
    """A model that encodes, under a name for ``model``."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    space_id: str
    dimensions: list[int] = Field(description="What may be asked for; the first is the model's own.")


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"]
    data: list[ModelEntry]


class RerankText(_Asked):
    """A document as an object, as Cohere and Jina take it."""

    text: Text


class RerankRequest(_Asked):
    """Texts to rank for a query, in Cohere's and Jina's shape."""

    query: Text
    documents: list[Text | RerankText] = Field(min_length=1)
    model: Text = Field("live", description="live: its reranker, or else its vectors; or the id of a reranker.")
    top_n: int | None = Field(None, ge=1, description="How many results; all unless said otherwise.")
    return_documents: bool = False


class RerankResult(BaseModel):
    """The place of a text among those given, and how relevant it is: from 0 to 1, or a cosine."""

    index: int
    relevance_score: float
    document: dict[str, str] | None = None


class RerankAnswer(BaseModel):
    """The texts, most relevant first."""

    id: str
    model: str
    scored_by: Literal["cross-encoder", "cosine"]
    results: list[RerankResult]
    num_truncated: Annotated[int, Field(description="Texts whose end was not read.")]


class DocumentIn(_Asked):
    """A document to add, or to put in place of the one of the same id."""

    id: Text
    text: Text
    title: Text = ""
    metadata: Object = {}


class DocumentsRequest(_Asked):
    """Documents to write."""

    documents: list[DocumentIn] = Field(min_length=1)


class DocumentOut(BaseModel):
    """A document."""

    id: str
    text: str
    title: str
    metadata: JSON


class DocumentIds(BaseModel):
    """Ids in their order; ``next`` follows the last, where there may be more."""

    ids: list[str]
    next: str | None


class DocumentsWritten(BaseModel):
    """What was done, durably; ``searchable`` is whether it was waited for until the documents can be found."""

    num_added: int
    num_updated: int
    num_unchanged: int
    searchable: bool


class DocumentsRemoved(BaseModel):
    """How many documents were removed; none of them is found from now on."""

    num_removed: int


class PromoteRequest(_Asked):
    """What is to go live: a model, base, or a former release; the newest trained model unless named."""

    system: Text | None = None
    split: Text | None = Field(None, description="The split that judges; test unless said otherwise.")
    force_reason: Text | None = Field(None, min_length=1, description="Why it goes live though the gate refuses.")
    share: float | None = Field(None, gt=0, lt=1, description="Of the users that it answers; live stays live.")


class ShadowRequest(_Asked):
    """Which system to put in the shadow of live, and the share of the queries that it is asked."""

    system: Text
    share: float = Field(0.1, gt=0, le=1)


class PruneRequest(_Asked):
    """How much stays."""

    keep: int = Field(3, ge=0, description="The newest models, rerankers and reports that stay all the same.")
    dry_run: bool = Field(False, description="Only say what would go.")


class EventPosition(BaseModel):
    """Where the document stood."""

    model_config = ConfigDict(extra="allow", strict=True)

    ordinal: int | None = Field(None, ge=1, le=2**31 - 1, description="Its place among the results; the first is 1.")


class EventObject(BaseModel):
    """The document."""

    model_config = ConfigDict(extra="allow", strict=True)

    object_id: Text | int | None = Field(None, description="The document's id.")


class EventAttributes(BaseModel):
    """What else is known of an event; further fields are kept as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    object: EventObject | None = None
    position: EventPosition | None = None
    dwell_s: float | None = Field(default=None, ge=0, description="How long the document was read, in seconds.")
    value: float | None = Field(default=None, description="A rating, or a price.")


class EventIn(_Asked):
    """What a user did, in the shape of User Behavior Insights 1.3."""

    action_name: str = Field(min_length=1, max_length=100, description="click, purchase, save, or any other.")
    query_id: str | None = Field(None, max_length=100, description="Of the answer that was shown.")
    object_id: Text | int | None = Field(None, description="The document's id; or in event_attributes.object.")
    client_id: str | None = Field(None, max_length=512, description="The browser or device; it is kept hashed.")
    user_id: str | None = Field(None, max_length=512, description="The person; kept hashed, and before client_id.")
    session_id: str | None = Field(None, max_length=512, description="It is kept hashed.")
    timestamp: str | None = Field(None, max_length=64, description="ISO 8601, UTC without an offset; or now.")
    event_id: str | None = Field(
        None, min_length=1, max_length=100, description="What is sent again with it counts once; else equal events do."
    )
    application: str | None = Field(None, max_length=100)
    message_type: str | None = Field(None, max_length=100)
    message: str | None = Field(None, max_length=1024)
    event_attributes: Annotated[EventAttributes, AfterValidator(_writable_model)] = EventAttributes()


class EventsTaken(BaseModel):
    """All that was sent is on the disk; ``num_apart`` of it is kept apart, by reason."""

    num_events: int
    num_apart: int
    apart: dict[str, int]


class Releases(BaseModel):
    """The release that is live, the one a rollback returns to, the one this process answers by, and what happened."""

    live: JSON | None
    previous: JSON | None
    served: str | None
    history: list[JSON]


class JobList(BaseModel):
    """The newest jobs first."""

    jobs: list[JobEntry]


class Health(BaseModel):
    """How the service is."""

    status: str
    release_id: str | None = None
    message: str | None = None


class ErrorDetail(BaseModel):
    """What is wrong, and what mends it."""

    code: str
    message: str
    hint: str


class ErrorAnswer(BaseModel):
    """Every error has this shape."""

    error: ErrorDetail
