"""What the service showed for a query, in which order, written to the event log as it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import SystemRandom

from nearer.serving.query import Hit
from nearer.serving.searcher import Answer
from nearer.signals.explore import explore
from nearer.store.events.records import Impression
from nearer.web.schemas import SearchRequest
from nearer.web.service import Service

_DRAWS = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer as it is shown: its id, and its results in the order in which they are shown."""

    query_id: str
    hits: tuple[Hit, ...]


def show(
    service: Service, requests: Sequence[SearchRequest], answers: Sequence[Answer], *, arms: Sequence[str]
) -> list[Page]:
    """The pages of answers; what each showed is written to the event log, for which nobody waits."""
    pages, noted, at = [], [], datetime.now(UTC)
    share = service.workspace.recipe.search.explore
    for request, answer, arm in zip(requests, answers, arms, strict=True):
        shown = explore(len(answer.hits), share=0.0 if answer.teams else share, rng=_DRAWS)
        asked = _unanswered(service, request, arm, at)
        page = Page(query_id=asked.query_id, hits=tuple(answer.hits[place] for place in shown.order))
        pages.append(page)
        noted.append(
            replace(
                asked,
                release_id=answer.release_id,
                space_id=answer.space_id,
                doc_ids=tuple(hit.document.doc_id for hit in page.hits),
                ordinals=tuple(range(1, len(page.hits) + 1)),
                propensities=shown.propensities,
                took_ms=1000 * sum(answer.took_s.values()),
                teams=answer.teams,
                failed=False,
            )
        )
    service.events.add(noted)
    return pages


def note_failure(service: Service, requests: Sequence[SearchRequest], arms: Sequence[str]) -> None:
    """Write to the event log that searches failed, by the arm that was to answer them."""
    at = datetime.now(UTC)
    service.events.add([_unanswered(service, request, arm, at) for request, arm in zip(requests, arms, strict=True)])


def _unanswered(service: Service, request: SearchRequest, arm: str, at: datetime) -> Impression:
    """The impression of a search that nothing has answered; whoever asked is hashed."""
    return Impression(
        query_id=service.salt.new_query_id(),
        at=at,
        query=request.query,
        user=service.salt.hashed(request.user),
        session=service.salt.hashed(request.session),
        release_id="",
        space_id="",
        arm=arm,
        doc_ids=(),
        ordinals=(),
        propensities=(),
        failed=True,
    )
