"""The run of any search engine as a system that can be measured, though nothing else: ``run:FILE``.

Ranked as trec_eval does, by score alone, ties by document id, descending.
Source: trec_eval 9.0, comp_sim_docno in form_res_rels.c.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearer.core.arrays import Ints
from nearer.core.errors import Fault, FaultLog, ImportFaults, InputError
from nearer.core.records import Query
from nearer.store.formats import Source, read_run
from nearer.store.workspace import Workspace
from nearer.systems import RUN

Ranking = list[tuple[float, str]]
"""Scores and document ids as a heap, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSystem:
    """A system of which only the rankings are known."""

    name: str
    model: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """What a run holds beside documents of the corpus ranked for the queries measured."""

    num_unknown_documents: int
    num_queries_without_rows: int
    num_other_queries: int
    num_unknown_queries: int
    notes: tuple[str, ...]


def is_run(system: str) -> bool:
    """Whether a system's name is that of a run.

    >>> is_run("run:bm25.run"), is_run("base")
    (True, False)
    """
    return system.startswith(RUN)


def rank_run(
    workspace: Workspace,
    system: str,
    queries: Sequence[Query],
    doc_ids: Sequence[str],
    *,
    k: int,
    excluded: tuple[Ints, Ints],
) -> tuple[Ints, RunCounts]:
    """The ``k`` best rows of ``doc_ids`` for every query (int64, Q x k), -1 after the end.

    ``excluded`` holds pairs (query row, document row) that are passed over. A document that the workspace does not
    hold keeps its rank, as in trec_eval: its row is the number of documents plus the rank. Memory does not grow with
    the file.

    Queries that the workspace does not know are excluded and counted, as trec_eval excludes those without judgments.

    Raises ImportFaults when the file has faults, InputError when it has none of the workspace's queries.
    """
    own: dict[str, set[str]] = {query.query_id: set() for query in queries}
    for query_row, row in zip(*excluded, strict=True):
        own[queries[query_row].query_id].add(doc_ids[row])
    source = Source(Path(system.removeprefix(RUN)), is_import=False)
    rankings, others, unknown = _read(workspace, source, own, k=k)
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    rows_QK = np.full((len(queries), k), -1, np.int64)
    for query_row, query in enumerate(queries):
        for rank, (_, doc_id) in enumerate(sorted(rankings[query.query_id], reverse=True)):
            rows_QK[query_row, rank] = row_of.get(doc_id, len(doc_ids) + rank)
    counts = RunCounts(
        num_unknown_documents=sum(doc_id not in row_of for ranking in rankings.values() for _, doc_id in ranking),
        num_queries_without_rows=sum(not ranking for ranking in rankings.values()),
        num_other_queries=len(others),
        num_unknown_queries=len(unknown),
        notes=source.notes.lines(),
    )
    return rows_QK, counts


def _read(
    workspace: Workspace, source: Source, own: Mapping[str, set[str]], *, k: int
) -> tuple[dict[str, Ranking], set[str], set[str]]:
    """The ``k`` best of every query of ``own``, less what is excluded; other queries, and unknown ones."""
    known = {query.query_id for query in workspace.collection.queries()}
    rankings: dict[str, Ranking] = {query_id: [] for query_id in own}
    others: set[str] = set()
    unknown: set[str] = set()
    log = FaultLog()
    for row in read_run(source):
        if isinstance(row, Fault):
            log.add(row)
            continue
        entry = row.record
        if entry.query_id not in known:
            unknown.add(entry.query_id)
        elif entry.query_id not in rankings:
            others.add(entry.query_id)
        elif entry.doc_id not in own[entry.query_id]:
            _keep(rankings[entry.query_id], (float(np.float32(entry.score)), entry.doc_id), k=k)
    if log.num_faults:
        raise ImportFaults(log, hint="correct the run", outcome="nothing was measured")
    if unknown and not others and not any(rankings.values()):
        raise InputError(
            f"{source.path}: the workspace knows none of its {len(unknown)} queries, such as {min(unknown)!r}",
            hint="name the run of this workspace's queries: nearer export topics FILE writes them",
        )
    return rankings, others, unknown


def _keep(ranking: Ranking, found: tuple[float, str], *, k: int) -> None:
    if len(ranking) < k:
        heapq.heappush(ranking, found)
    else:
        heapq.heappushpop(ranking, found)
