"""A searcher: opened once from the live release, it answers many queries from many threads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nearer.core.errors import Conflict, InputError, WorkspaceError
from nearer.core.filters import Fields, Filter, all_of, parse_filter, parse_where
from nearer.core.records import Metadata, Query
from nearer.core.text import normalise
from nearer.retrieval.rules import Rule, condition_of, unused
from nearer.serving.query import AskedQuery, Hit
from nearer.serving.served import Served, open_live
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace
from nearer.systems import System, spent
from nearer.systems.filtering import known_of, rules_of

Where = Mapping[str, object] | Sequence[str] | None

DEFAULT_K = 10
"""Documents returned by a search that asks for no number, where no reranker keeps another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The best documents for one query, and the release that found them; ``unused_rules`` lacked a query's field."""

    release_id: str
    space_id: str
    unused_rules: tuple[str, ...]
    hits: tuple[Hit, ...]


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
    def open(cls, workspace: Workspace) -> Self:
        """The searcher of the live release. Raises NotFound when nothing is live, and what opening it raises."""
        return cls(
            open_live(workspace),
            documents=workspace.collection,
            reopen=lambda before: open_live(workspace, before),
        )

    def search(
        self,
        text: str,
        *,
        k: int | None = None,
        where: Where = None,
        known: Metadata | None = None,
        lexical: bool = False,
    ) -> Answer:
        """The ``k`` best documents for ``text`` (10, or as many as a reranker keeps).

        ``where`` is a filter in the grammar of OpenAI's vector stores, or conditions such as "year>=2020" that must
        all hold. ``known`` has what else is known of the query, for the rules of a system that filters. ``lexical``
        ranks by BM25 instead of what the release does.

        Raises InputError for a blank query, a ``k`` below 1, and a filter that cannot be used.
        """
        refuse_question(text, k=k)
        served = self.served
        try:
            return self._answer(served, text, k=k, where=where, known=known or {}, lexical=lexical)
        except WorkspaceError:  # others have replaced the index so long ago that what was opened is removed
            reopened = self._reopen(served)
            if reopened.index.manifest == served.index.manifest:
                raise
            self._served = reopened
            return self._answer(reopened, text, k=k, where=where, known=known or {}, lexical=lexical)

    def _answer(
        self, served: Served, text: str, *, k: int | None, where: Where, known: Metadata, lexical: bool
    ) -> Answer:
        system, fields = served.system, served.fields
        rules: tuple[Rule, ...] = ()
        if "filter" in system.stages and not lexical:
            rules = rules_of(system.search, fields)
        metadata = known_of(_refuse_unknown(known, system), system.search)
        query = Query(query_id="asked", text=text, metadata=metadata)
        condition = all_of([_condition(where, fields), condition_of(rules, metadata)])
        asked = AskedQuery(served, self._documents, query, condition)
        wanted = k or (system.search.rerank.keep if system.reranker else DEFAULT_K)
        return Answer(
            release_id=served.release.release_id,
            space_id=served.release.space_id,
            unused_rules=tuple(str(rule) for rule in unused(rules, metadata)),
            hits=tuple(asked.by_bm25(k=wanted) if lexical else asked.answer(k=wanted)),
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

    def spent(self) -> dict[str, Any]:
        """What services were asked for since it was opened."""
        return spent([self.served.system])

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


def _refuse_unknown(known: Metadata, system: System) -> Metadata:
    """What was said of the query. Raises InputError for a field that no rule of the system may use."""
    fields = system.search.query_time_fields if "filter" in system.stages else ()
    if strange := [name for name in known if name not in fields]:
        raise InputError(
            f"the live system makes no use of the query's {strange[0]!r}",
            hint=f"it may know: {', '.join(fields)}" if fields else "it does not filter: leave --known out",
        )
    return known


def _condition(where: Where, fields: Fields) -> Filter | None:
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse_filter(where, fields)
    return parse_where([where] if isinstance(where, str) else where, fields)
