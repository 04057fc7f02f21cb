"""Preflight: what would spoil training or measuring, found before either begins."""

from collections import Counter
from collections.abc import Mapping

from nearer.core.judging import conflicts
from nearer.core.progress import Progress, Silent
from nearer.core.records import JUDGMENT_SOURCES, TRUSTED
from nearer.core.results.data import Preflight, QueryLeak
from nearer.core.text import normalise
from nearer.encode.unknown import UnknownTokens
from nearer.evaluation.grades import scale_of
from nearer.evaluation.preflight import DocumentScan, scan_documents, unknown_in_queries
from nearer.evaluation.ready import JUDGE, waiting
from nearer.evaluation.splits import Leak, drop_leaks, ensure_splits, few_queries, leaks_of
from nearer.signals.coverage import coverage
from nearer.store.collection import Collection
from nearer.store.events.reading import read_events
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_system

FEW_TEST_QUERIES = 50
_SHOWN = 10


def check(workspace: Workspace, *, drop: bool = False, progress: Progress | None = None) -> Preflight:
    """Prove that no query leaks between splits, and count duplicates, truncation and what is missing.

    ``faults`` make the verdict "faults"; ``notes`` do not. With ``drop`` the leaking queries are set aside first.
    """
    progress = progress or Silent()
    ensure_splits(workspace)
    leaks = leaks_of(workspace)
    num_dropped = 0
    if drop and leaks:
        num_dropped = drop_leaks(workspace, leaks)
        leaks = leaks_of(workspace)
    collection = workspace.collection
    encoder = open_system(workspace, BASE).encoder if collection.counts()["documents"] else None
    scan = scan_documents(workspace, encoder, progress=progress)
    unknown = {"documents": scan.unknown, "queries": unknown_in_queries(workspace, encoder) if encoder else None}
    few = few_queries(workspace)
    faults = [*_leak_faults(leaks), *_missing(collection, is_few=few is not None)]
    waits = [waiting(few)] if few else []
    return Preflight(
        verdict="faults" if faults else "ok",
        faults=tuple(faults),
        notes=(*waits, *_notes(workspace), *_truncated(scan), *_duplicates(scan), *_unread(unknown), *_uncut(scan)),
        leaks=tuple(
            QueryLeak(kind=each.kind, query_id=each.set_aside, leaks_into=each.kept) for each in leaks[:_SHOWN]
        ),
        num_leaks=len(leaks),
        num_dropped=num_dropped,
        counts=collection.counts(),
        splits=collection.splits(),
        num_passages=scan.num_passages,
        num_truncated=scan.num_truncated,
        unknown_tokens={name: round(each.share, 4) for name, each in unknown.items() if each and each.num_tokens},
    )


def _leak_faults(leaks: list[Leak]) -> list[str]:
    counts: dict[str, int] = {}
    for leak in leaks:
        counts[leak.kind] = counts.get(leak.kind, 0) + 1
    return [
        f"{count} leaks between splits ({kind}); training leaves the earlier side's queries out; "
        "take them out of their split: nearer check --drop-leaks"
        for kind, count in counts.items()
    ]


def _missing(collection: Collection, *, is_few: bool) -> list[str]:
    counts, splits = collection.counts(), collection.splits()
    faults = []
    if not counts["documents"]:
        faults.append("no documents: nearer add corpus FILE")
    if not counts["judgments"]:
        faults.append(f"no judgments, so nothing can be measured: {JUDGE}")
    elif is_few:
        pass  # a note says so
    elif not any(split.startswith("test") for split in splits):
        faults.append("no test split, so nothing can be judged: add judgments, or raise split.test_fraction")
    elif "dev" not in splits:
        faults.append("no dev split, so no checkpoint can be chosen: add judgments, or raise split.dev_fraction")
    return faults


def _sources(workspace: Workspace) -> list[str]:
    """How much each source judged, where several did, and where they do not agree; what of the log is judged."""
    said = workspace.collection.all_judgments()
    volumes = Counter(each.source for each in said)
    notes = []
    if len(volumes) > 1:
        counted = ", ".join(f"{volumes[source]} by {source}" for source in JUDGMENT_SOURCES if volumes[source])
        apart = conflicts(said, relevant_from=scale_of(workspace).relevant_from)
        notes.append(
            f"judgments: {counted}; on {len(apart)} pairs one source says relevant and another does not: the first of "
            f"{', '.join(JUDGMENT_SOURCES)} counts"
        )
    return notes + _coverage(workspace, {each.query_id for each in said if each.source in TRUSTED})


def _coverage(workspace: Workspace, judged_ids: set[str]) -> list[str]:
    """How much of what people ask is judged by people or files."""
    impressions = read_events(event_folder(workspace)).impressions
    if not impressions.num_rows:
        return []
    queries = workspace.collection.queries()
    judged = {name for each in queries if each.query_id in judged_ids for name in (each.text, each.query_id)}
    known = {normalise(name) for name in judged}
    parts = coverage([normalise(each) for each in impressions["query"].to_pylist()], known)
    said = "; ".join(
        f"{part.name} {part.num_judged / part.num_asked:.0%} ({part.num_queries} queries, asked {part.num_asked} times)"
        for part in parts
    )
    return [f"of what people ask, so much is judged: {said}"]


def _notes(workspace: Workspace) -> list[str]:
    collection, notes = workspace.collection, _sources(workspace)
    scale = scale_of(workspace)
    num_pairs = (
        sum(j.grade >= scale.positive_from for j in collection.judgments("train")) + collection.counts()["pairs"]
    )
    few = workspace.recipe.advise.min_pairs
    if num_pairs < few:
        notes.append(
            f"{num_pairs} training pairs, fewer than {few}, are little to learn from; nearer advise measures whether "
            "training pays all the same"
        )
    for split, number in collection.splits().items():
        if split.startswith("test") and number < FEW_TEST_QUERIES:
            notes.append(f"split {split} has only {number} queries: intervals will be wide")
    return notes


def _truncated(scan: DocumentScan) -> list[str]:
    if not scan.num_truncated:
        return []
    return [
        f"{scan.num_truncated} of {scan.num_passages} passages ({scan.num_truncated / scan.num_passages:.0%}) are "
        "longer than the encoder reads; their ends are never seen (set chunk.enabled = true)"
    ]


def _duplicates(scan: DocumentScan) -> list[str]:
    counted = ((scan.num_same, "repeat another's text"), (scan.num_near - scan.num_same, "nearly repeat another"))
    return [f"{count} documents {what}" for count, what in counted if count > 0]


def _unread(unknown: Mapping[str, UnknownTokens | None]) -> list[str]:
    """What of documents and queries the base's tokenizer does not know."""
    return [
        f"the base cannot read the {name}: its tokenizer does not know {each.described} of their tokens. Training does "
        "not mend that: choose a base that knows the script (encoder.model), or rank by words (bm25)"
        for name, each in unknown.items()
        if each and each.is_unreadable
    ]


def _uncut(scan: DocumentScan) -> list[str]:
    """What the analyser cannot cut into words."""
    notes = []
    if scan.num_wordless:
        notes.append(f"{scan.num_wordless} documents hold no word, only signs or nothing: bm25 never finds them")
    if scan.unspaced:
        counted = ", ".join(f"{name} in {number} documents" for name, number in scan.unspaced.most_common())
        notes.append(
            f"written without spaces: {counted}. This is compared by groups of characters, since no dictionary cuts it "
            "into words"
        )
    return notes
