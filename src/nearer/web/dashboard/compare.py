"""Two systems side by side for one query: what each found, its score and passage, and its rank on the other side."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearer.core.errors import NearerError
from nearer.core.results.base import Result
from nearer.serving.query import Hit, Mode
from nearer.serving.searcher import Answer, Searcher
from nearer.web.search import shortened
from nearer.web.service import Service

_K = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SideHit(Result):
    """A document that one side found; ``other_rank`` is its rank on the other side, None where it is not there."""

    doc_id: str
    score: float
    title: str
    passage: str
    identical_ids: tuple[str, ...]
    other_rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side(Result):
    """What one system found."""

    name: str
    release_id: str
    took_ms: float
    hits: tuple[SideHit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePage(Result):
    """A query, and what two of ``choices`` found for it; ``fault`` says why they could not be asked."""

    query: str
    left: str
    right: str
    choices: tuple[str, ...]
    sides: tuple[Side, ...] = ()
    num_shared: int = 0
    fault: str = ""


def compare_page(service: Service, *, query: str, left: str, right: str) -> ComparePage:
    """Ask two systems one query; without a query only the choices are shown."""
    choices = _choices(service)
    left, right = left or choices[0], right or choices[min(1, len(choices) - 1)]
    page = ComparePage(query=query, left=left, right=right, choices=choices)
    if not query:
        return page
    try:
        answers = [_asked(service, name, query) for name in (left, right)]
    except NearerError as error:
        return ComparePage(query=query, left=left, right=right, choices=choices, fault=error.message)
    ids = [[hit.document.doc_id for hit in answer.hits] for answer in answers]
    sides = tuple(
        _side(name, answer, other) for name, answer, other in zip((left, right), answers, reversed(ids), strict=True)
    )
    shared = len(set(ids[0]) & set(ids[1]))
    return ComparePage(query=query, left=left, right=right, choices=choices, sides=sides, num_shared=shared)


_ALONE: dict[str, Mode] = {"live, vectors alone": "dense", "live, BM25 alone": "lexical"}


def _choices(service: Service) -> tuple[str, ...]:
    """What may be asked without opening a model, and the release before."""
    names = ["live"]
    names += ["shadow"] if service.shadow.served else []
    names += ["treatment"] if service.router.served else []
    names += ["previous"] if service.workspace.registry.previous() else []
    return (*names, *_ALONE)


def _asked(service: Service, name: str, query: str) -> Answer:
    """Raises NotFound for another name, and what searching raises."""
    service.refuse_text(query, what="the query", limit=service.limits.query_characters)
    searcher: Searcher = service.other_searcher(name) if name not in _ALONE else service.searcher
    return searcher.search(query, k=_K, mode=_ALONE.get(name, "release"))


def _side(name: str, answer: Answer, other_ids: Sequence[str]) -> Side:
    return Side(
        name=name,
        release_id=answer.release_id,
        took_ms=1000 * sum(answer.took_s.values()),
        hits=tuple(_hit(hit, other_ids) for hit in answer.hits),
    )


def _hit(hit: Hit, other_ids: Sequence[str]) -> SideHit:
    doc_id = hit.document.doc_id
    return SideHit(
        doc_id=doc_id,
        score=float(hit.score),
        title=hit.document.title,
        passage=shortened(hit.passage_text or hit.document.text),
        identical_ids=hit.identical_ids,
        other_rank=other_ids.index(doc_id) + 1 if doc_id in other_ids else None,
    )
