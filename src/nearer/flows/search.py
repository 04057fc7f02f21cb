"""One query against the live release."""

from dataclasses import asdict
from typing import Any

from nearer.core.records import Metadata, Passage
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
) -> dict[str, Any]:
    """The ``k`` best documents for ``text`` (10, or as many as a reranker keeps); removed documents are left out.

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
        return {
            "release_id": answer.release_id,
            "space_id": answer.space_id,
            "stale": searcher.stale(),
            "unused_rules": list(answer.unused_rules),
            "results": [
                {
                    "doc_id": hit.document.doc_id,
                    "score": hit.score,
                    "text": hit.document.full_text,
                    "passage": _place(hit.passage),
                }
                for hit in answer.hits
            ],
            **searcher.spent(),
        }


def _place(passage: Passage | None) -> dict[str, int] | None:
    """Where a passage is in its document: its number, and its first and last characters."""
    return None if passage is None else {name: asdict(passage)[name] for name in ("ordinal", "start", "end")}
