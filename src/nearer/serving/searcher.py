"""A searcher: opened once from the live release, it answers many queries from many threads."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from nearer.core.errors import Conflict, DeadlineExceeded, InputError, WorkspaceError
from nearer.core.filters import Fields, Filter, all_of, parse_filter, parse_where
from nearer.core.records import Metadata, Query
from nearer.core.results.measuring import ApiUse
from nearer.core.spans import span
from nearer.core.text import normalise
from nearer.retrieval.rules import Rule, condition_of, unused
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.query import AskedQuery, Hit, Mode, QueryVectors
from nearer.serving.served import Served, live_release, open_served
from nearer.store.collection import Collection
from nearer.store.registered import Release
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use
from nearer.systems.filtering import known_of, rules_of

Where = Mapping[str, object] | Sequence[str] | None

DEFAULT_K = 10
"""Documents returned by a search that asks for no number, where no reranker keeps another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A query as it is asked: see ``Searcher.search``."""

    text: str
    k: int | None = None
    where: Where = None
    known: Metadata = field(default_factory=dict)
    mode: Mode = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The best documents for one query, and the release that found them; ``unused_rules`` lacked a query's field.

    ``took_s`` has the seconds of each part: encode, rank, passages. ``teams`` is of two rankings that were interleaved:
    a letter a hit, a for the first ranking, b for the second.
    """

    release_id: str
    space_id: str
    unused_rules: tuple[str, ...]
    hits: tuple[Hit, ...]
    teams: str = ""
    took_s: Mapping[str, float] = field(compare=False)


class Searcher:
    """Answers queries from a snapshot of what is live, until it is told to refresh.

    Many threads may ask at once. Removed documents are left out at once; added ones are found after ``refresh``. An
    index that others have replaced is opened anew once what was opened is gone.
    """

    def __init__(self, served: Served, *, documents: Collection, reopen: Callable[[Served], Served]) -> None:
        self._served: Served | None = served
        self._documents = documents
        self._reopen = reopen

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        *,
        target: Callable[[Workspace], Release] = live_release,
        queue: EncodeQueue | None = None,
        is_urgent: bool = True,
    ) -> Self:
        """The searcher of the live release, or of another ``target``; with a ``queue`` many threads encode together.

        Raises NotFound when nothing is live, and what opening it raises.
        """

        def opened(before: Served | None) -> Served:
            return open_served(workspace, target(workspace), before, queue=queue, is_urgent=is_urgent)

        return cls(opened(None), documents=workspace.collection, reopen=opened)

    @property
    def is_unmeasured(self) -> bool:
        """Whether the release went live with no judged query to measure it by."""
        return self.served.release.is_unmeasured

    def search(
        self,
        text: str,
        *,
        k: int | None = None,
        where: Where = None,
        known: Metadata | None = None,
        mode: Mode = "release",
    ) -> Answer:
        """The ``k`` best documents for ``text`` (10, or as many as a reranker keeps).

        ``where`` is a filter in the grammar of OpenAI's vector stores, or conditions such as "year>=2020" that must
        all hold. ``known`` has what else is known of the query, for the rules of a system that filters. ``mode``
        ranks by vectors or by BM25 alone instead of as the release does.

        Raises InputError for a blank query, a ``k`` below 1, and a filter that cannot be used.
        """
        return self.search_many([Ask(text=text, k=k, where=where, known=known or {}, mode=mode)])[0]

    def search_many(self, asks: Sequence[Ask], *, deadline: float | None = None) -> list[Answer]:
        """The answers to several queries, all by one release; their texts are encoded together.

        ``deadline`` is a time of ``time.monotonic``. Raises what ``search`` raises, what the queue does, and
        DeadlineExceeded.
        """
        for ask in asks:
            refuse_question(ask.text, k=ask.k)
        served = self.served
        try:
            with span("search", release_id=served.release.release_id, num_queries=len(asks)):
                return self._answers(served, asks, deadline=deadline)
        except WorkspaceError:  # others have replaced the index so long ago that what was opened is removed
            reopened = self._reopen(served)
            if reopened.index.manifest == served.index.manifest:
                raise
            self._served = reopened
            return self._answers(reopened, asks, deadline=deadline)

    def _answers(self, served: Served, asks: Sequence[Ask], *, deadline: float | None) -> list[Answer]:
        vectors = QueryVectors(served, [ask.text for ask in asks], deadline=deadline)
        answers = []
        for ask in asks:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceeded("the queries were not answered in time", hint="send fewer at once")
            answers.append(self._answer(served, ask, vectors))
        return answers

    def _answer(self, served: Served, ask: Ask, vectors: QueryVectors) -> Answer:
        system, fields = served.system, served.fields
        does_filter = "filter" in system.stages and ask.mode == "release"
        rules: tuple[Rule, ...] = rules_of(system.search, fields) if does_filter else ()
        metadata = known_of(_refuse_unknown(ask.known, system, does_filter=does_filter), system.search)
        query = Query(query_id="asked", text=ask.text, metadata=metadata)
        condition = all_of([_condition(ask.where, fields), condition_of(rules, metadata)])
        asked = AskedQuery(served, self._documents, query, condition, vectors=vectors)
        keeps = system.search.rerank.keep if system.reranker and ask.mode == "release" else DEFAULT_K
        return Answer(
            release_id=served.release.release_id,
            space_id=served.release.space_id,
            unused_rules=tuple(str(rule) for rule in unused(rules, metadata)),
            hits=tuple(asked.answer(k=ask.k or keeps, mode=ask.mode)),
            took_s=asked.took_s,
        )

    @property
    def served(self) -> Served:
        """What is asked now. Raises Conflict after ``close``."""
        if self._served is None:
            raise Conflict("the searcher is closed", hint="open another: Searcher.open(workspace)")
        return self._served

    def stale(self) -> list[str]:
        """How the index differs from the documents of this moment; empty when it follows them."""
        return self.served.differences(self._documents)

    def spent(self) -> ApiUse | None:
        """What services were asked for since it was opened; None without any."""
        return api_use([self.served.system])

    def refresh(self) -> bool:
        """Follow the live pointer, the index and the documents; whether the release is another now.

        Queries that are being answered go on with what they began with. Raises what opening raises, and then goes on
        with what it served.
        """
        before = self.served
        self._served = self._reopen(before)
        return before.release.release_id != self._served.release.release_id

    def close(self) -> None:
        """Let go of the model and the index."""
        self._served = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def refuse_question(text: str, *, k: int | None) -> None:
    """Raises InputError for a blank query and a ``k`` below 1."""
    if not normalise(text):
        raise InputError("the query is blank", hint='for example: nearer search "rotate a log file"')
    if k is not None and k < 1:
        raise InputError(f"-k {k}: at least one result must be asked for", hint="for example: -k 10")


def _refuse_unknown(known: Metadata, system: System, *, does_filter: bool) -> Metadata:
    """What was said of the query. Raises InputError for a field that no rule may use."""
    fields = system.search.query_time_fields if does_filter else ()
    if strange := [name for name in known if name not in fields]:
        raise InputError(
            f"the live system makes no use of the query's {strange[0]!r}",
            hint=f"it may know: {', '.join(fields)}" if fields else "it does not filter here: leave it out",
        )
    return known


def _condition(where: Where, fields: Fields) -> Filter | None:
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse_filter(where, fields)
    return parse_where([where] if isinstance(where, str) else where, fields)
