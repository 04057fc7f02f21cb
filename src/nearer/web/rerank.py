"""``/v1/rerank`` in the shape of Cohere and Jina."""

import math
import secrets
import time

import numpy as np
from fastapi import APIRouter, Response

from nearer.core.arrays import Floats32
from nearer.core.errors import DeadlineExceeded, InputError
from nearer.core.text import normalise
from nearer.encode.cross_encoder import CrossEncoder, Pair
from nearer.systems import LIVE
from nearer.web.embeddings import count_read
from nearer.web.schemas import RerankAnswer, RerankRequest, RerankResult, respond
from nearer.web.service import Service

_PAIRS = 32  # scored at once


def rerank_routes(service: Service) -> APIRouter:
    """The route of reranking."""
    routes = APIRouter(tags=["rerank"])

    @routes.post("/v1/rerank", response_model=RerankAnswer, response_model_exclude_none=True, summary="Rerank texts")
    async def rerank(request: RerankRequest) -> Response:
        """Rank texts for a query: by the cross-encoder of ``model``, or by live's vectors where live has none."""
        texts = [each if isinstance(each, str) else each.text for each in request.documents]
        service.refuse_many(len(texts), what="documents", limit=service.limits.texts)
        service.refuse_text(request.query, what="the query", limit=service.limits.query_characters)
        for place, text in enumerate(texts):
            service.refuse_text(text, what=f"document {place}")
        if not normalise(request.query):
            raise InputError("the query is blank", hint="send the words to rank for")
        ranked = await service.do(lambda deadline: _ranked(service, request, texts, deadline))
        return respond(ranked, without_none=True)

    return routes


def _ranked(service: Service, request: RerankRequest, texts: list[str], deadline: float) -> RerankAnswer:
    reranker = service.models.reranker(request.model)
    if reranker is not None:
        pairs = [(request.query, text) for text in texts]
        scores_N = _scored(reranker, pairs, deadline=deadline)
        model = reranker.reranker_id
        shown = [0.5 + 0.5 * math.tanh(float(score) / 2) for score in scores_N]  # the logistic function
        num_truncated = reranker.count_truncated(pairs)
    else:
        system = service.models.encoder(LIVE)
        query_1D = service.queue.encode(system.encoder, [request.query], side="query", deadline=deadline, urgent=True)
        emb_ND = service.queue.encode(system.encoder, texts, side="document", deadline=deadline)
        scores_N = emb_ND @ query_1D[0]
        model = system.model.model_id
        shown = scores_N.tolist()
        num_truncated = sum(is_cut for _, is_cut in count_read(system.encoder, texts, side="document"))
    best = np.argsort(-scores_N, kind="stable")[: request.top_n]
    return RerankAnswer(
        id=f"rerank-{secrets.token_hex(16)}",
        model=model,
        scored_by="cosine" if reranker is None else "cross-encoder",
        results=[
            RerankResult(
                index=int(row),
                relevance_score=shown[row],
                document={"text": texts[row]} if request.return_documents else None,
            )
            for row in best
        ],
        num_truncated=num_truncated,
    )


def _scored(reranker: CrossEncoder, pairs: list[Pair], *, deadline: float) -> Floats32:
    """The scores of pairs, a few at a time, so that others' come between. Raises DeadlineExceeded."""
    parts = []
    for first in range(0, len(pairs), _PAIRS):
        if time.monotonic() > deadline:
            raise DeadlineExceeded("the documents were not scored in time", hint="send fewer documents")
        parts.append(reranker.scores(pairs[first : first + _PAIRS]))
    return np.concatenate(parts)
