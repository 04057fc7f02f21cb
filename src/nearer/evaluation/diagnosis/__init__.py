"""Diagnose a system: every query of a split that failed, with its one cause and what would mend it."""

from collections.abc import Sequence
from typing import Literal

from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.core.results.measuring import CauseExample, Diagnosis, FailureCause, MissedDocument, ShownDocument
from nearer.encode.embedded import Corpora
from nearer.evaluation.diagnosis.background import Background, Failure
from nearer.evaluation.diagnosis.detectors import Finding, Stale, explain
from nearer.evaluation.judged_split import JudgedSplit, read_judged_with
from nearer.evaluation.ranking import rank
from nearer.measure.diagnosis import BY_RANK, CAUSES, Missed
from nearer.retrieval.index import open_index
from nearer.store.workspace import Workspace
from nearer.systems import LIVE, System, api_use
from nearer.systems.space_index import entry_hashes, folder_of

DEPTH = 1000
"""Documents ranked a query: a rule may have to exclude hundreds before the right one is first."""
NUM_EXAMPLES = 3
"""Queries shown of each cause."""


def diagnose_system(workspace: Workspace, opened: System, *, split: str, progress: Progress) -> Diagnosis:
    """The cause of every failed query of ``split``, for a system that is open.

    Raises InputError when the split has no query with a relevant document or a field of the recipe is unknown,
    WorkspaceError where a look at a test split could not be entered.
    """
    corpora = Corpora(workspace, progress)
    judged = read_judged_with(corpora, split)
    stale_ids = _stale(workspace, opened)
    embedded, ranked, exclusions = rank(corpora, opened, judged.queries, k=DEPTH)
    corpora.refuse_edited(judged.revision)
    background = Background(workspace, judged, corpora.documents, exclusions)
    doc_ids = embedded.corpus.doc_ids
    stale: Stale = {row: stale_ids[each] for row, each in enumerate(doc_ids) if each in stale_ids}
    without, num_unjudged = _without_relevant(workspace, background)
    failures = [background.failure(query, []) for query in without]
    for query, rows_K in zip(judged.queries, ranked.rows_QK.tolist(), strict=True):
        failure = background.failure(query, rows_K)
        if failure.first not in failure.relevant:
            failures.append(failure)
        elif failure.first in stale:
            missed = Missed(row=failure.first, rank=1, above=())
            failures.append(Failure(query=query, relevant=failure.relevant, missed=missed, first=failure.first))
    found = explain(corpora, background, opened, failures, stale=stale)
    return Diagnosis(
        system=opened.name,
        model_id=opened.model.model_id,
        split=split,
        num_queries=len(judged.queries) + len(without),
        num_failed=len(failures),
        causes=_by_cause(background, found),
        by_query={each.failure.query.query_id: each.cause for each in found},
        notes=_notes(background, num_unjudged),
        excluded=exclusions.counts,
        ledger=workspace.registry.use_test_split(split=split, systems=[opened.name], purpose="diagnose"),
        api=api_use([opened]),
    )


def _stale(workspace: Workspace, system: System) -> dict[str, Literal["missing", "older"]]:
    """The documents that live's index does not hold as they are; none for a system that has nothing to follow.

    Raises NotFound or WorkspaceError when live's index cannot be used.
    """
    if system.name != LIVE:
        return {}
    space_id = system.model.space_id
    index = open_index(folder_of(workspace, space_id), space_id=space_id)
    indexed = index.hashes()
    current = entry_hashes(workspace.collection, index.manifest.spec.fields)
    return {
        doc_id: "older" if doc_id in indexed else "missing"
        for doc_id, made_of in current.items()
        if indexed.get(doc_id) != made_of
    }


def _without_relevant(workspace: Workspace, background: Background) -> tuple[list[Query], int]:
    """The split's queries that were judged and have no relevant document, and how many were never judged."""
    judged: JudgedSplit = background.judged
    known = {query.query_id for query in judged.queries}
    others = [each for each in workspace.collection.queries(judged.split) if each.query_id not in known]
    found = [query for query in others if query.query_id in background.grades]
    return found, len(others) - len(found)


def _by_cause(background: Background, found: Sequence[Finding]) -> tuple[FailureCause, ...]:
    """Every cause that was found, in order of precedence."""
    causes = []
    for cause, explanation in CAUSES.items():
        its = [each for each in found if each.cause == cause]
        if its:
            causes.append(
                FailureCause(
                    cause=cause,
                    num_queries=len(its),
                    share=len(its) / len(found),
                    is_proven=cause not in BY_RANK,
                    meaning=explanation.meaning,
                    remedy=explanation.remedy,
                    examples=tuple(_example(background, each) for each in its[:NUM_EXAMPLES]),
                )
            )
    return tuple(causes)


def _example(background: Background, found: Finding) -> CauseExample:
    failure, documents = found.failure, background.documents
    relevant = first = None
    if missed := failure.missed:
        document = documents[missed.row]
        relevant = MissedDocument(doc_id=document.doc_id, text=document.full_text, rank=missed.rank)
    if failure.first >= 0:
        document = documents[failure.first]
        first = ShownDocument(doc_id=document.doc_id, text=document.full_text)
    return CauseExample(
        query_id=failure.query.query_id,
        query=failure.query.text,
        relevant=relevant,
        first=first,
        evidence=found.evidence,
    )


def _notes(background: Background, num_unjudged: int) -> tuple[str, ...]:
    notes = list(background.obeyed.notes)
    if num_unjudged:
        notes.append(
            f"{num_unjudged} queries have no judgment and are excluded: nobody judged them, or their documents were "
            "removed, and the judgments with them"
        )
    return tuple(notes)
