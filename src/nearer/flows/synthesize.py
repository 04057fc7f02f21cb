"""Queries for documents that nobody asked for yet: written by a language model, or made by rules; and sifted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.records import Document
from nearer.core.results.llm import LlmUse, Synthesized
from nearer.encode.chat import Chat, open_chat
from nearer.evaluation.grades import max_grade_of
from nearer.evaluation.pooling import best_ranks
from nearer.evaluation.ready import refuse_without
from nearer.evaluation.splits import ensure_splits
from nearer.signals.asking import Spent, ask_all, use_of
from nearer.signals.offline_queries import OfflineWriter
from nearer.signals.prompts import Prompt, read_prompt
from nearer.signals.read_answers import read_queries
from nearer.signals.synthetic_entries import OFFLINE, SyntheticEntries, summarise_synthetic, synthetic_entries
from nearer.signals.synthetic_filters import ROUND_TRIP, Candidate, Sifted, sift
from nearer.signals.writing_tasks import WRITTEN_TOKENS, writing_tasks
from nearer.store.changing import put_judgments, put_queries, put_split, remove_queries, stamp_judgments
from nearer.store.collection import LEAKED, SYNTHETIC, SYNTHETIC_ID, TRAIN, batches
from nearer.store.llm_answers import LlmAnswers
from nearer.store.workspace import Workspace
from nearer.systems import BASE


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizeOptions:
    """How queries are written: ``each`` for a document, for ``limit`` documents drawn at random, or all.

    ``prices`` are US dollars a million tokens read and written; of more than ``max_cost`` dollars nothing is spent.
    """

    each: int = 5
    limit: int | None = None
    parallel: int = 4
    per_minute: int | None = None
    prices: tuple[float, float] | None = None
    max_cost: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            not 1 <= self.each <= 20
            or self.parallel < 1
            or any(n is not None and n < 1 for n in (self.limit, self.per_minute))
        ):
            hint = "--each 5 --parallel 4 --limit 1000 --per-minute 60"
            raise InputError("1 to 20 queries a document; parallel, limit and per-minute of 1 or more", hint=hint)


def synthesize(
    workspace: Workspace,
    *,
    model: str | None = None,
    offline: bool = False,
    options: SynthesizeOptions | None = None,
    dry_run: bool = False,
    chat: Chat | None = None,
    progress: Progress | None = None,
) -> Synthesized:
    """Write queries for documents, and enter those that hold as training queries of the source ``synthetic``.

    ``model`` is a folder, or the name that the service of ``OPENAI_BASE_URL`` knows; ``offline`` needs none. They are
    never dev or test. Queries of an earlier run of the same method are replaced. With ``dry_run`` nothing is asked and
    nothing kept.

    Raises InputError without documents, a model or a service; ServiceError where the service does not answer: what
    it answered is kept.
    """
    options, progress = options or SynthesizeOptions(), progress or Silent()
    if offline == (model is not None or chat is not None):
        raise InputError("who writes the queries?", hint="either --offline, or --model NAME")
    refuse_without(workspace, "documents", outcome="there is nothing to write queries for")
    ensure_splits(workspace)
    documents = _drawn(workspace, options)
    if offline:
        rules = OfflineWriter(documents).candidates(documents, each=options.each)
        return _finish(workspace, OFFLINE, documents, rules, dry_run=dry_run, progress=progress)
    spent = Spent(prices=options.prices, most_usd=options.max_cost)
    chat = chat or open_chat(model or "", per_minute=options.per_minute)
    prompt = read_prompt(workspace.folder, "synthesize", write=not dry_run)
    real = _real_queries(workspace)
    tasks = writing_tasks(documents, real, prompt, each=options.each, seed=options.seed)
    if dry_run:
        spent.add_estimate(tasks, num_written=WRITTEN_TOKENS * options.each)
        estimate = summarise_synthetic(
            Sifted(kept=(), num_gone={}, samples={}),
            documents,
            real,
            method=chat.name,
            num_written=0,
            use=use_of(chat.name, spent),
            prompt=prompt,
            is_dry_run=True,
        )
        return replace(estimate, notes=(*estimate.notes, *spent.note_if_over()))
    answers = ask_all(
        chat,
        LlmAnswers(workspace.database),
        tasks,
        read=read_queries,
        parallel=options.parallel,
        spent=spent,
        progress=progress,
        order=Random(options.seed).sample(range(len(tasks)), len(tasks)),
    )
    written = [
        Candidate(doc_id=documents[outcome.row].doc_id, text=query.text, style=query.style)
        for outcome in answers
        for query in outcome.value or ()
    ]
    written.sort(key=lambda each: each.doc_id.encode())
    use = use_of(chat.name, spent)
    return _finish(workspace, chat.name, documents, written, use, prompt, dry_run=False, progress=progress)


def _drawn(workspace: Workspace, options: SynthesizeOptions) -> list[Document]:
    documents = [each for each in workspace.collection.documents() if each.full_text.strip()]
    if options.limit is None or options.limit >= len(documents):
        return documents
    rows = sorted(Random(options.seed).sample(range(len(documents)), options.limit))
    return [documents[row] for row in rows]


def _real_queries(workspace: Workspace) -> list[str]:
    """The queries of people that train: examples of dev or test would leak what measures."""
    return [each.text for each in workspace.collection.queries(TRAIN) if not each.query_id.startswith(SYNTHETIC_ID)]


def _finish(
    workspace: Workspace,
    method: str,
    documents: Sequence[Document],
    written: Sequence[Candidate],
    use: LlmUse | None = None,
    prompt: Prompt | None = None,
    *,
    dry_run: bool,
    progress: Progress,
) -> Synthesized:
    """Sift what was written, and enter what stays."""
    ranks: dict[tuple[str, str], int | None] = {}

    def found_at(left: Sequence[Candidate]) -> list[int | None]:
        pairs = [(each.doc_id, each.text) for each in left]
        found = best_ranks(workspace, (BASE, "bm25"), pairs, depth=ROUND_TRIP, progress=progress)
        ranks.update(zip(pairs, found, strict=True))
        return found

    sifted = sift(
        written,
        {each.doc_id: each for each in documents},
        held_out=workspace.collection.texts_outside((TRAIN, LEAKED, SYNTHETIC)),
        may_copy=prompt is None,
        found_at=None if dry_run else found_at,
    )
    if not dry_run:
        grade = max_grade_of(workspace)
        _keep(workspace, synthetic_entries(sifted.kept, ranks, method=method, prompt=prompt, grade=grade), method)
    return summarise_synthetic(
        sifted,
        documents,
        _real_queries(workspace),
        method=method,
        num_written=len(written),
        use=use,
        prompt=prompt,
        is_dry_run=dry_run,
    )


def _keep(workspace: Workspace, entries: SyntheticEntries, method: str) -> None:
    """Enter the queries, their judgments and their splits in one step, in place of those of the same method."""
    with workspace.write("synthesize") as connection:
        remove_queries(connection, source="synthetic", rater=method)
        for some in batches(entries.queries):
            put_queries(connection, some)
        for split, ids in entries.splits.items():
            put_split(connection, split, ids)
        for several in batches(entries.judgments):
            put_judgments(connection, several)
        stamp_judgments(connection)
    failpoint("synthesize.commit")
