"""Queries for documents that nobody asked for yet: written by a language model, or made by rules; and sifted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.progress import Progress, Silent
from nearer.core.records import Document, Judgment, Query
from nearer.core.results.llm import LlmUse, Shape, Synthesized, SyntheticQuery
from nearer.core.text import normalise
from nearer.encode.chat import Chat, open_chat, rough_tokens
from nearer.evaluation.pooling import rank_all
from nearer.evaluation.ready import refuse_without
from nearer.evaluation.splits import ensure_splits
from nearer.flows.label import max_grade_of
from nearer.signals.asking import Spent, Task, ask_all, use_of
from nearer.signals.offline_queries import OfflineWriter
from nearer.signals.prompts import Prompt, read_prompt
from nearer.signals.query_styles import STYLES, style_of
from nearer.signals.read_answers import WrittenQuery, read_queries
from nearer.signals.suspicious import is_suspicious
from nearer.signals.synthetic_filters import ROUND_TRIP, Candidate, Sifted, sift
from nearer.signals.writing_tasks import WRITTEN_TOKENS, writing_tasks
from nearer.store.changing import put_judgments, put_queries, put_split, remove_queries, stamp_judgments
from nearer.store.collection import LEAKED, SYNTHETIC, SYNTHETIC_ID, TRAIN, batches
from nearer.store.llm_answers import LlmAnswers
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace
from nearer.systems import BASE

OFFLINE = "offline"
_SHOWN = 10
_CHOOSING = 10
"""One document in so many is kept out of training with its queries, to choose a checkpoint by."""


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
        written, use, prompt = _by_rules(documents, options), None, None
        return _finish(workspace, OFFLINE, documents, written, use, prompt, dry_run=dry_run, progress=progress)
    spent = Spent(prices=options.prices, most_usd=options.max_cost)
    chat = chat or open_chat(model or "", per_minute=options.per_minute)
    prompt = read_prompt(workspace.folder, "synthesize", write=not dry_run)
    real = [query.text for query in _real_queries(workspace)]
    tasks = writing_tasks(documents, real, prompt, each=options.each, seed=options.seed)
    if dry_run:
        return _estimated(workspace, chat, documents, tasks, prompt, spent, options)
    written = [
        (documents[outcome.row].doc_id, query)
        for outcome in ask_all(
            chat,
            LlmAnswers(workspace.database),
            tasks,
            read=read_queries,
            parallel=options.parallel,
            spent=spent,
            progress=progress,
            order=Random(options.seed).sample(range(len(tasks)), len(tasks)),
        )
        for query in outcome.value or ()
    ]
    written.sort(key=lambda each: each[0].encode())
    use = use_of(chat.name, spent)
    return _finish(workspace, chat.name, documents, written, use, prompt, dry_run=False, progress=progress)


Written = Sequence[tuple[str, WrittenQuery]]


def _drawn(workspace: Workspace, options: SynthesizeOptions) -> list[Document]:
    documents = [each for each in workspace.collection.documents() if each.full_text.strip()]
    if options.limit is None or options.limit >= len(documents):
        return documents
    rows = sorted(Random(options.seed).sample(range(len(documents)), options.limit))
    return [documents[row] for row in rows]


def _by_rules(documents: Sequence[Document], options: SynthesizeOptions) -> list[tuple[str, WrittenQuery]]:
    writer = OfflineWriter(documents)
    return [
        (document.doc_id, WrittenQuery(text=" ".join(made.text.split()), style=style_of(made.text)))
        for document in documents
        for made in writer.queries(document, number=options.each)
    ]


def _real_queries(workspace: Workspace) -> list[Query]:
    """The queries of people that train: examples of dev or test would leak what measures."""
    return [each for each in workspace.collection.queries(TRAIN) if not each.query_id.startswith(SYNTHETIC_ID)]


def _estimated(
    workspace: Workspace,
    chat: Chat,
    documents: Sequence[Document],
    tasks: Sequence[Task],
    prompt: Prompt,
    spent: Spent,
    options: SynthesizeOptions,
) -> Synthesized:
    num_read = sum(rough_tokens(each.question.system + each.question.user) for each in tasks)
    num_written = WRITTEN_TOKENS * options.each * len(tasks)
    spent.add(num_asked=len(tasks), num_read=num_read, num_written=num_written)
    sifted, use = Sifted(kept=(), num_gone={}, samples={}), use_of(chat.name, spent)
    found = _result(workspace, chat.name, documents, sifted, use=use, prompt=prompt, dry=True)
    return replace(found, notes=(*found.notes, *spent.note_if_over()))


def _finish(
    workspace: Workspace,
    method: str,
    documents: Sequence[Document],
    written: Written,
    use: LlmUse | None,
    prompt: Prompt | None,
    *,
    dry_run: bool,
    progress: Progress,
) -> Synthesized:
    """Sift what was written, and enter what stays."""
    by_id = {each.doc_id: each for each in documents}
    candidates = [Candidate(doc_id=doc_id, text=each.text, style=each.style) for doc_id, each in written]
    held_out = [
        query.text
        for split in workspace.collection.splits()
        if split not in (TRAIN, LEAKED, SYNTHETIC)
        for query in workspace.collection.queries(split)
    ]
    ranks: dict[tuple[str, str], int | None] = {}

    def found_at(left: Sequence[Candidate]) -> list[int | None]:
        found = _ranks(workspace, left, progress)
        ranks.update({(each.doc_id, each.text): rank for each, rank in zip(left, found, strict=True)})
        return found

    sifted = sift(
        candidates,
        by_id,
        held_out=held_out,
        may_copy=prompt is None,
        found_at=None if dry_run else found_at,
    )
    if not dry_run:
        _keep(workspace, method, sifted.kept, ranks, prompt)
    return _result(
        workspace,
        method,
        documents,
        sifted,
        use=use,
        prompt=prompt,
        dry=dry_run,
        num_written=len(written),
    )


def _ranks(workspace: Workspace, left: Sequence[Candidate], progress: Progress) -> list[int | None]:
    """The best rank of each query's own document by the base and BM25, from 1."""
    asked = [Query(query_id=str(row), text=each.text) for row, each in enumerate(left)]
    rankings = rank_all(workspace, (BASE, "bm25"), asked, depth=ROUND_TRIP, progress=progress)
    found: list[int | None] = []
    for row, each in enumerate(left):
        places = [
            list(its[str(row)]).index(each.doc_id) + 1 for its in rankings.values() if each.doc_id in its[str(row)]
        ]
        found.append(min(places, default=None))
    return found


def _keep(
    workspace: Workspace,
    method: str,
    kept: Sequence[Candidate],
    ranks: Mapping[tuple[str, str], int | None],
    prompt: Prompt | None,
) -> None:
    """Enter the queries, their judgments and their splits in one step, in place of those of the same method."""
    at, grade = utc_now(), max_grade_of(workspace)
    queries, judgments, splits = [], [], {TRAIN: list[str](), SYNTHETIC: list[str]()}
    for each in kept:
        query_id = content_id(SYNTHETIC_ID.rstrip("-"), [method, normalise(each.text)])
        metadata: dict[str, object] = {"synthetic_by": method, "synthetic_style": each.style}
        if prompt:
            metadata["synthetic_prompt"] = prompt.hash
        if rank := ranks.get((each.doc_id, each.text)):
            metadata["label_round_trip_rank"] = rank
        queries.append(Query(query_id=query_id, text=each.text, metadata=metadata))
        judgments.append(
            Judgment(query_id=query_id, doc_id=each.doc_id, grade=grade, source="synthetic", rater=method, at=at)
        )
        splits[SYNTHETIC if is_choosing(each.doc_id) else TRAIN].append(query_id)
    with workspace.write("synthesize") as connection:
        remove_queries(connection, source="synthetic", rater=method)
        for some in batches(queries):
            put_queries(connection, some)
        for split, ids in splits.items():
            put_split(connection, split, ids)
        for several in batches(judgments):
            put_judgments(connection, several)
        stamp_judgments(connection)
    failpoint("synthesize.commit")


def is_choosing(doc_id: str) -> bool:
    """Whether a document's queries choose a checkpoint instead of training: drawn by a hash, so that it stays."""
    return int(content_id("choosing", doc_id)[-8:], 16) % _CHOOSING == 0


def _result(
    workspace: Workspace,
    method: str,
    documents: Sequence[Document],
    sifted: Sifted,
    *,
    use: LlmUse | None,
    prompt: Prompt | None,
    dry: bool,
    num_written: int = 0,
) -> Synthesized:
    titles = {each.doc_id: each.title for each in documents}
    shown = Random(0).sample(sifted.kept, min(_SHOWN, len(sifted.kept)))
    return Synthesized(
        method=method,
        num_documents=len(documents),
        num_written=num_written,
        num_kept=len(sifted.kept),
        num_choosing=sum(is_choosing(each.doc_id) for each in sifted.kept),
        num_gone=sifted.num_gone,
        samples_gone=sifted.samples,
        samples=tuple(
            SyntheticQuery(query=each.text, style=each.style, doc_id=each.doc_id, title=titles[each.doc_id])
            for each in shown
        ),
        synthetic=_shape([each.text for each in sifted.kept]),
        real=_shape([each.text for each in _real_queries(workspace)]),
        prompt=prompt.hash if prompt else None,
        num_suspicious=sum(is_suspicious(each.full_text) for each in documents) if prompt else 0,
        is_dry_run=dry,
        notes=tuple(_notes(method, documents, sifted)),
        use=use,
    )


def _shape(texts: Sequence[str]) -> Shape:
    counts = Counter(map(style_of, texts))
    return Shape(
        num_queries=len(texts),
        mean_words=sum(len(each.split()) for each in texts) / len(texts) if texts else None,
        styles={style: counts[style] / len(texts) for style in STYLES} if texts else {},
    )


def _notes(method: str, documents: Sequence[Document], sifted: Sifted) -> Iterator[str]:
    if method == OFFLINE:
        yield "made without a model, of the documents' own words: weaker than what people ask"
    if sifted.kept:
        without = len(documents) - len({each.doc_id for each in sifted.kept})
        if without:
            yield f"{without:,} of {len(documents):,} documents have no query that stays"
