"""What columns are called: which are missing, and which are likely meant; for the messages of faults."""

import re
from collections.abc import Collection, Iterable, Sequence
from shlex import quote as shell_quoted

from nearer.store.formats.rows import shown

_OTHER_NAMES = {
    "doc_id": "doc_id docid doc-id document_id docno pid passage_id document id uuid key sku",
    "query_id": "query_id qid queryid query-id question_id topic_id topic id uuid key",
    "text": "text content contents body passage document answer question query utterance description abstract",
    "queries.text": "text query question utterance content body",
    "grade": "grade relevance rel label rating stars score judgment",
    "query": "query question anchor",
    "positive": "positive answer passage document",
}
"""What fields are often called elsewhere; such a column is never taken for the field unasked, only named."""


def missing(fields: Sequence[tuple[str, ...]], found: Iterable[str]) -> str:
    """The reason of a fault: of each of these fields, none of its names is there."""
    wanted = "; no ".join(" or ".join(f'"{name}"' for name in names) for names in fields)
    return f"no {wanted} (found: {listed(found) or 'nothing'})"


def rename(section: str, fields: Sequence[tuple[str, ...]], found: Iterable[str]) -> str:
    """How missing fields come about: each under one of its names, or by a key in a section of the recipe.

    >>> rename("documents", [("_id", "doc_id")], ["id", "text"]).rpartition(", ")[2]
    'or --set columns.documents.doc_id=id'
    """
    others = set(found)
    once = []
    for names in fields:
        field = next(name for name in names if name in _OTHER_NAMES)
        if found_name := likely(f"{section}.{field}" if section == "queries" else field, others):
            others.remove(found_name)
            once.append(f"--set {shell_quoted(f'columns.{section}.{field}={found_name}')}")
    said = f", or {' '.join(once)}" if once else ""
    return f"rename the column, or say what it is called: [columns.{section}] in nearer.toml{said}"


def likely(field: str, found: Collection[str]) -> str | None:
    """The column that is likely to be a field, by the order in which its other names are usual."""
    spelled = {re.sub(r"\s+", "_", name.strip().casefold()): name for name in sorted(found, reverse=True)}
    usual = _OTHER_NAMES.get(field) or _OTHER_NAMES[field.rpartition(".")[2]]
    return next((spelled[name] for name in usual.split() if name in spelled), None)


def listed(names: Iterable[str]) -> str:
    """Names in order, the first of them when there are many.

    >>> listed(["b", "a"])
    "'a', 'b'"
    """
    names = sorted(names)
    return ", ".join(shown(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
