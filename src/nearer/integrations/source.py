"""Where a retriever asks: a service by its address, or a ``Searcher`` in this process."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, Union
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from nearer.core.errors import InputError, ServiceError
from nearer.core.records import Metadata
from nearer.serving.searcher import Searcher

KEY_ENV = "NEARER_API_KEY"
_TIMEOUT_S = 60.0
Where = Mapping[str, object] | None


class FieldFilter(TypedDict):
    """A field compared with a value, in the grammar of OpenAI's vector stores."""

    type: str
    key: str
    value: object


class JoinedFilter(TypedDict):
    """Filters joined by "and" or "or"."""

    type: str
    filters: "list[AnyFilter]"


AnyFilter = Union[FieldFilter, JoinedFilter]  # noqa: UP007


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """A document's passage nearest to a query; ``metadata`` is the document's own, with title and query_id."""

    doc_id: str
    text: str
    score: float
    metadata: Metadata


class Source(Protocol):
    """What answers."""

    def __call__(self, query: str, *, k: int, where: Where) -> list[Retrieved]:
        """The best passages. Raises InputError, ServiceError."""
        ...


def source_of(source: "str | Searcher") -> Source:
    """What asks a service at an address, with the key in NEARER_API_KEY if there is one, or a searcher."""
    return _Service(source.rstrip("/")) if isinstance(source, str) else _Local(source)


@dataclass(frozen=True, slots=True)
class _Local:
    searcher: Searcher

    def __call__(self, query: str, *, k: int, where: Where) -> list[Retrieved]:
        answer = self.searcher.search(query, k=k, where=where)
        return [
            _retrieved(
                hit.document.doc_id,
                hit.passage_text or hit.document.full_text,
                hit.score,
                hit.document.metadata,
                title=hit.document.title,
                query_id=None,
            )
            for hit in answer.hits
        ]


@dataclass(frozen=True, slots=True)
class _Service:
    url: str

    def __call__(self, query: str, *, k: int, where: Where) -> list[Retrieved]:
        answer = self._asked("/v1/search", {"query": query, "k": k, **({"filter": dict(where)} if where else {})})
        return [self._whole(each, answer["query_id"]) for each in answer["results"]]

    def _whole(self, result: Mapping[str, Any], query_id: str) -> Retrieved:
        """A result with all of its passage, of which the answer has the beginning."""
        document = self._asked(f"/v1/documents/{quote(result['doc_id'], safe='')}")
        text = f"{document['title']}\n{document['text']}" if document["title"] else document["text"]
        if span := result["span"]:
            text = text[span["start"] : span["end"]]
        return _retrieved(
            result["doc_id"], text, result["score"], result["metadata"], title=result["title"], query_id=query_id
        )

    def _asked(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        key = os.environ.get(KEY_ENV, "").strip()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.url + path, data, headers), timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            message, hint = _message_and_hint(error)
            kind = InputError if error.code in (400, 404, 413, 422) else ServiceError
            raise kind(message, hint=hint) from error
        except (URLError, TimeoutError, OSError, ValueError) as error:
            raise ServiceError(f"{self.url}: no usable answer: {error}", hint="start it: nearer serve") from error


def _message_and_hint(error: HTTPError) -> tuple[str, str]:
    try:
        answer = json.load(error)["error"]
        return str(answer["message"]), str(answer["hint"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}", "see the log of the service"


def _retrieved(
    doc_id: str, text: str, score: float, metadata: Mapping[str, Any], *, title: str, query_id: str | None
) -> Retrieved:
    own = {"title": title, "query_id": query_id} if query_id else {"title": title}
    return Retrieved(doc_id=doc_id, text=text, score=float(score), metadata={**metadata, **own})
