"""``/v1/search``: the ranking of ``nearer search``, over HTTP."""

import time

from fastapi import APIRouter, Response

from nearer.core.errors import InputError, NotReady, Overloaded
from nearer.serving.arms import Arm, interleave
from nearer.serving.query import Hit
from nearer.serving.searcher import Answer, Ask
from nearer.web.impressions import Page, note_failure, show
from nearer.web.schemas import (
    SearchAnswer,
    SearchBatch,
    SearchBatchAnswer,
    SearchRequest,
    SearchResult,
    Span,
    respond,
)
from nearer.web.service import Service, since_ms

SNIPPET_CHARACTERS = 300


def search_routes(service: Service) -> APIRouter:
    """The routes of search."""
    routes = APIRouter(tags=["search"])

    @routes.post("/v1/search", response_model=SearchAnswer, summary="Search")
    async def search(request: SearchRequest) -> Response:
        """Find the best documents for a query, as ``nearer search`` does."""
        [answer] = await answered(service, [request])
        return respond(answer)

    @routes.post("/v1/search/batch", response_model=SearchBatchAnswer, summary="Search for several queries")
    async def search_batch(request: SearchBatch) -> Response:
        """Answer several queries, those of an arm by one release; one that cannot be answered refuses them all."""
        service.refuse_many(len(request.queries), what="queries", limit=service.limits.queries)
        return respond(SearchBatchAnswer(answers=await answered(service, request.queries)))

    return routes


async def answered(service: Service, requests: list[SearchRequest]) -> list[SearchAnswer]:
    """The answers as they are sent, in their order; what was shown is in the event log. Raises NearerError."""
    start, limits = time.perf_counter(), service.limits
    for request in requests:
        service.refuse_text(request.query, what="the query", limit=limits.query_characters)
        service.refuse_many(request.k or 1, what="results", limit=limits.results)
    arms = [service.router.arm_of(each.user or each.session) for each in requests]
    asks = [Ask(text=each.query, k=each.k, where=each.filter, known=each.known, mode=each.mode) for each in requests]
    try:
        answered = await service.do(lambda deadline: _answers(service, asks, arms, deadline=deadline))
    except (InputError, NotReady, Overloaded):  # the query's own fault, or nobody's
        raise
    except Exception:
        note_failure(service, requests, arms)
        raise
    arms, answers = [arm for arm, _ in answered], [answer for _, answer in answered]
    total_ms = since_ms(start)
    pages = show(service, requests, answers, arms=arms)
    for ask, arm, answer in zip(asks, arms, answers, strict=True):
        service.metrics.search(answer.took_s)
        if arm not in ("treatment", "holdout"):
            service.shadow.offer(ask, answer)
    shown = zip(answers, pages, arms, strict=True)
    return [_plain(answer, page, arm=arm, total_ms=total_ms) for answer, page, arm in shown]


def _answers(service: Service, asks: list[Ask], arms: list[Arm], *, deadline: float) -> list[tuple[Arm, Answer]]:
    """The answers in order, each with the arm that gave it; those of an arm are one release's."""
    found: dict[int, tuple[Arm, Answer]] = {}
    for arm in dict.fromkeys(arms):
        rows = [row for row, each in enumerate(arms) if each == arm]
        answered = _of_arm(service, [asks[row] for row in rows], arm, deadline=deadline)
        found |= dict(zip(rows, answered, strict=True))
    return [found[row] for row in range(len(asks))]


def _of_arm(service: Service, asks: list[Ask], arm: Arm, *, deadline: float) -> list[tuple[Arm, Answer]]:
    """The answers of an arm; of live where the treatment was taken away after its arm was drawn."""
    try:
        if arm != "interleaved":
            return [(arm, each) for each in service.searcher_of(arm).search_many(asks, deadline=deadline)]
        sides: tuple[Arm, Arm] = ("control", "treatment")
        control, treatment = (service.searcher_of(side).search_many(asks, deadline=deadline) for side in sides)
        return [(arm, interleave(*both)) for both in zip(control, treatment, strict=True)]
    except NotReady:
        if arm not in ("treatment", "interleaved", "holdout"):
            raise
        return _of_arm(service, asks, "live", deadline=deadline)


def _plain(answer: Answer, page: Page, *, arm: Arm, total_ms: float) -> SearchAnswer:
    took_ms = {part: round(1000 * seconds, 3) for part, seconds in answer.took_s.items()}
    return SearchAnswer(
        query_id=page.query_id,
        release_id=answer.release_id,
        space_id=answer.space_id,
        arm=arm,
        took_ms={**took_ms, "total": total_ms},
        unused_rules=list(answer.unused_rules),
        results=[_result(hit) for hit in page.hits],
    )


def _result(hit: Hit) -> SearchResult:
    document, passage = hit.document, hit.passage
    return SearchResult(
        doc_id=document.doc_id,
        score=float(hit.score),
        title=document.title,
        snippet=shortened(document.text if passage is None else hit.passage_text or ""),
        span=None if passage is None else Span(start=passage.start, end=passage.end),
        metadata=document.metadata,
        identical_ids=list(hit.identical_ids),
    )


def shortened(text: str) -> str:
    """The beginning of a text, up to the end of a word.

    >>> shortened("short")
    'short'
    """
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    beginning = text[:SNIPPET_CHARACTERS]
    return f"{beginning.rpartition(' ')[0] or beginning}..."
