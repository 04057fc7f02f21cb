"""``/v1/embeddings`` and ``/v1/models`` in OpenAI's shape.

Arrays: N texts x D dimensions, float32.
"""

import base64
from datetime import datetime

import numpy as np
from fastapi import APIRouter, Response

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, NotFound
from nearer.encode.encoder import TextEncoder
from nearer.serving.encode_queue import Side
from nearer.store.registered import Model
from nearer.systems import LIVE
from nearer.web.schemas import Embedding, EmbeddingsAnswer, EmbeddingsRequest, ModelEntry, ModelList, Usage, respond
from nearer.web.service import Service


def embedding_routes(service: Service) -> APIRouter:
    """The routes of vectors and models."""
    routes = APIRouter(tags=["embeddings"])

    @routes.post("/v1/embeddings", response_model=EmbeddingsAnswer, summary="Embed texts")
    async def embed(request: EmbeddingsRequest) -> Response:
        """Encode texts as the index and queries are encoded."""
        texts = [request.input] if isinstance(request.input, str) else request.input
        service.refuse_many(len(texts), what="texts", limit=service.limits.texts)
        for place, text in enumerate(texts):
            service.refuse_text(text, what=f"input {place}")
        if not texts:
            raise InputError("input is an empty list", hint='for example: "input": ["a text"]')
        return respond(await service.do(lambda deadline: _embedded(service, request, texts, deadline)))

    @routes.get("/v1/models", response_model=ModelList, summary="List models")
    async def models() -> Response:
        """List the names that ``model`` may have."""
        return respond(ModelList(object="list", data=await service.do(lambda _: _entries(service))))

    @routes.get("/v1/models/{name}", response_model=ModelEntry, summary="One model")
    async def model(name: str) -> Response:
        """Tell of one model."""
        entries = {each.id: each for each in await service.do(lambda _: _entries(service))}
        if name not in entries:
            raise NotFound(f"no model {name!r}", hint="list them: GET /v1/models")
        return respond(entries[name])

    return routes


def _embedded(service: Service, request: EmbeddingsRequest, texts: list[str], deadline: float) -> EmbeddingsAnswer:
    system = service.models.encoder(request.model)
    encoder = system.encoder
    allowed = service.models.dimensions(system)
    dimension = request.dimensions or encoder.dimension
    if dimension not in allowed:
        raise InputError(
            f"{request.model} was not trained or rotated for vectors of {dimension} dimensions",
            hint=f"it has {', '.join(map(str, allowed[:8]))}; leave dimensions out",
        )
    vectors_ND = service.queue.encode(encoder, texts, side=request.input_type, deadline=deadline)
    if dimension < encoder.dimension:
        vectors_ND = vectors_ND[:, :dimension]
        vectors_ND = vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    read = count_read(encoder, texts, side=request.input_type)
    num_tokens = sum(num for num, _ in read)
    return EmbeddingsAnswer(
        object="list",
        model=system.model.model_id,
        data=[
            Embedding(
                object="embedding",
                index=row,
                embedding=written(vector_D, request.encoding_format),
                num_tokens=read[row][0],
                truncated=read[row][1],
            )
            for row, vector_D in enumerate(vectors_ND)
        ],
        usage=Usage(prompt_tokens=num_tokens, total_tokens=num_tokens),
    )


def written(vector_D: Floats32, encoding_format: str) -> list[float] | str:
    """A vector as numbers, or as base64 of its float32 numbers, little-endian.

    >>> written(np.array([1.0, -2.0], np.float32), "base64")
    'AACAPwAAAMA='
    """
    if encoding_format == "base64":
        return base64.b64encode(vector_D.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector_D.tolist()
    return numbers


def count_read(encoder: TextEncoder, texts: list[str], *, side: Side) -> list[tuple[int, bool]]:
    """The tokens that are read of each text, prompt included, and whether its end is not."""
    settings = encoder.settings
    counts = encoder.count_tokens(texts)
    if side == "query" and settings.query_prompt != settings.document_prompt:
        more = len(encoder.token_spans(settings.query_prompt)) - len(encoder.token_spans(settings.document_prompt))
        counts = [count + more for count in counts]
    return [(min(count, settings.max_seq_length), count > settings.max_seq_length) for count in counts]


def _entries(service: Service) -> list[ModelEntry]:
    live = service.searcher.served
    registry = service.workspace.registry
    current = registry.model(live.release.model_id)
    cuts = service.models.dimensions(live.system)
    entries = [
        _entry(name, current, created_at=live.release.created_at, dimensions=cuts)
        for name in (LIVE, live.release.release_id)
    ]
    for model in registry.models():
        known = cuts if model.model_id == current.model_id else ()
        entries.append(_entry(model.model_id, model, created_at=model.created_at, dimensions=known))
    return entries


def _entry(name: str, model: Model, *, created_at: str, dimensions: tuple[int, ...]) -> ModelEntry:
    return ModelEntry(
        id=name,
        object="model",
        created=int(datetime.fromisoformat(created_at).timestamp()),
        owned_by="nearer",
        space_id=model.space_id,
        dimensions=list(dimensions),
    )
