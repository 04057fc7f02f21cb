"""What is judged next: what several systems find for queries, pooled, and chosen by a strategy."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.embedded import Corpora
from nearer.evaluation.ranking import rank
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.vectors.topk import NO_ROW

Strategy = Literal["random", "depth", "disagreement"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

Rankings = Mapping[str, Mapping[str, Sequence[str]]]
"""Document ids, best first, by system and query id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A pair that some system found: its best rank of all, from 1, and how far its reciprocal ranks are apart."""

    query_id: str
    doc_id: str
    best_rank: int
    disagreement: float


def rank_all(
    workspace: Workspace, systems: Sequence[str], queries: Sequence[Query], *, depth: int, progress: Progress
) -> Rankings:
    """What each system finds for each query, as it is served. Raises what opening a system raises."""
    rankings: dict[str, dict[str, list[str]]] = {}
    corpora = Corpora(workspace, progress)
    for name in systems:
        embedded, ranked, _ = rank(corpora, open_system(workspace, name), queries, k=depth, as_served=True)
        rankings[name] = {
            query.query_id: [embedded.corpus.documents[row].doc_id for row in rows_K[:depth].tolist() if row != NO_ROW]
            for query, rows_K in zip(queries, ranked.rows_QK, strict=True)
        }
    return rankings


def best_ranks(
    workspace: Workspace, systems: Sequence[str], pairs: Sequence[tuple[str, str]], *, depth: int, progress: Progress
) -> list[int | None]:
    """For each pair of a document's id and a query's text, the best rank of the document in any system, from 1.

    None where no system has it among the first ``depth``.
    """
    asked = [Query(query_id=str(row), text=text) for row, (_, text) in enumerate(pairs)]
    found: list[list[int]] = [[] for _ in pairs]
    for ranked in rank_all(workspace, systems, asked, depth=depth, progress=progress).values():
        for row, (doc_id, _) in enumerate(pairs):
            if doc_id in ranked[str(row)]:
                found[row].append(ranked[str(row)].index(doc_id) + 1)
    return [min(places, default=None) for places in found]


def pool(rankings: Rankings) -> list[Pooled]:
    """Every pair that some system ranks, in the order of ids.

    Source: Sparck Jones and van Rijsbergen, Report on the need for an ideal test collection (1975).

    >>> pool({"a": {"q": ["x", "y"]}, "b": {"q": ["x"]}})[1]
    Pooled(query_id='q', doc_id='y', best_rank=2, disagreement=0.5)
    """
    ranks: dict[tuple[str, str], list[int]] = {}
    for found in rankings.values():
        for query_id, doc_ids in found.items():
            for place, doc_id in enumerate(doc_ids, start=1):
                ranks.setdefault((query_id, doc_id), []).append(place)
    return [
        Pooled(
            query_id=query_id,
            doc_id=doc_id,
            best_rank=min(places),
            disagreement=1 / min(places) - (1 / max(places) if len(places) == len(rankings) else 0.0),
        )
        for (query_id, doc_id), places in sorted(ranks.items())
    ]


def choose(
    pooled: Sequence[Pooled], *, count: int | None, strategy: str, judged: Collection[tuple[str, str]], seed: int
) -> list[Pooled]:
    """So many pairs that nobody judged, or all: at random, the highest ranked, or those about which systems disagree.

    Equal ones are drawn at random. Raises InputError for an unknown strategy and a count below 1.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"--strategy {strategy}: not known", hint=f"one of: {', '.join(STRATEGIES)}")
    if count is not None and count < 1:
        raise InputError(f"--count {count}: below 1", hint="for example: --count 200")
    left = [each for each in pooled if (each.query_id, each.doc_id) not in judged]
    random.Random(seed).shuffle(left)
    if strategy == "depth":
        left.sort(key=lambda each: each.best_rank)
    elif strategy == "disagreement":
        left.sort(key=lambda each: -each.disagreement)
    return left[:count]
