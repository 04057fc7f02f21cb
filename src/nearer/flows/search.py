"""One query against the live release."""

from nearer.core.records import Metadata
from nearer.core.results.serving import FoundPassage, SearchAnswer, SearchHit
from nearer.serving.query import Hit
from nearer.serving.searcher import Searcher, Where, refuse_question
from nearer.store.workspace import Workspace


def search(
    workspace: Workspace,
    text: str,
    *,
    k: int | None = None,
    where: Where = None,
    known: Metadata | None = None,
    lexical: bool = False,
) -> SearchAnswer:
    """The ``k`` best documents for ``text`` (10, or as many as a reranker keeps); removed documents are left out.

    Documents of one title and text take one rank: the best is shown, ``identical_ids`` names the others.

    ``where`` is a filter in the grammar of OpenAI's vector stores, or conditions such as "year>=2020" that must all
    hold. ``known`` has what else is known of the query, for the rules of a system that filters; ``unused_rules`` names
    those that lacked a field. ``lexical`` ranks by BM25 over today's documents instead of what the release does. To
    ask more than once, keep a ``Searcher``.

    Raises InputError for a blank query, a ``k`` below 1, and a filter that cannot be used; NotFound when nothing is
    live.
    """
    refuse_question(text, k=k)
    with Searcher.open(workspace) as searcher:
        answer = searcher.search(text, k=k, where=where, known=known, mode="lexical" if lexical else "release")
        return SearchAnswer(
            release_id=answer.release_id,
            space_id=answer.space_id,
            is_unmeasured=searcher.is_unmeasured,
            stale=tuple(searcher.stale()),
            unused_rules=answer.unused_rules,
            results=tuple(
                SearchHit(
                    doc_id=hit.document.doc_id,
                    score=hit.score,
                    title=hit.document.title,
                    text=hit.document.full_text,
                    metadata=hit.document.metadata,
                    passage=_found(hit),
                    identical_ids=hit.identical_ids,
                )
                for hit in answer.hits
            ),
            api=searcher.spent(),
        )


def _found(hit: Hit) -> FoundPassage | None:
    passage, text = hit.passage, hit.passage_text
    if passage is None or text is None:
        return None
    return FoundPassage(ordinal=passage.ordinal, start=passage.start, end=passage.end, text=text)
