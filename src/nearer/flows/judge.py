"""A language model judges pairs, is held against people, and people correct what it says of systems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.judging import blend
from nearer.core.progress import Progress, Silent
from nearer.core.records import TRUSTED, Judgment, Query
from nearer.core.results.llm import Calibration, ModelJudged
from nearer.encode.chat import Chat, open_chat
from nearer.evaluation.calibration import calibrate, corrected_metrics, trust_of
from nearer.evaluation.grades import max_grade_of
from nearer.evaluation.pooling import Rankings, pool, rank_all
from nearer.evaluation.ready import refuse_without
from nearer.flows.judge_sheet import read_asked
from nearer.signals.asking import Spent, ask_all, use_of
from nearer.signals.grading_tasks import GRADE_TOKENS, Pair, graded, grading_tasks, mean_grade
from nearer.signals.prompts import read_prompt
from nearer.signals.read_answers import read_grade
from nearer.signals.suspicious import is_suspicious
from nearer.store.changing import put_judgments, put_queries, stamp_judgments
from nearer.store.collection import batches
from nearer.store.formats.guideline import read_guideline
from nearer.store.llm_answers import LlmAnswers
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE

MOST_CALIBRATION = 200
"""Pairs that people judged and the model judges too, drawn at random, to hold it against them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """What is judged, and how: ``votes`` answers in each of two orders; ``limit`` pairs of the pool, at random.

    ``prices`` are US dollars a million tokens read and written; of more than ``max_cost`` dollars nothing is spent.
    """

    split: str = "dev"
    systems: tuple[str, ...] = ()
    depth: int = 10
    votes: int = 1
    limit: int | None = None
    parallel: int = 4
    per_minute: int | None = None
    prices: tuple[float, float] | None = None
    max_cost: float | None = None
    guideline: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.depth, self.votes, self.parallel) < 1 or any(
            n is not None and n < 1 for n in (self.limit, self.per_minute)
        ):
            hint = "--depth 10 --votes 1 --parallel 4 --limit 500 --per-minute 60"
            raise InputError("depth, votes, parallel, limit and per-minute are 1 or more", hint=hint)


def judge(
    workspace: Workspace,
    queries: Path | str | None = None,
    *,
    model: str | None = None,
    options: JudgeOptions | None = None,
    dry_run: bool = False,
    chat: Chat | None = None,
    progress: Progress | None = None,
) -> ModelJudged:
    """Have a language model judge what systems find for the queries of a file or a split; source ``llm``.

    Each pair is asked in two orders, query first and document first, and the mean of the answers is its grade. Pairs
    that people judged are judged too, to say how far it agrees with them. "poor": it does not.

    Raises InputError without documents, queries, a model or a service; ServiceError where the service does not answer:
    what it answered is kept.
    """
    options, progress = options or JudgeOptions(), progress or Silent()
    if chat is None and not model:
        raise InputError("which model judges?", hint="--model NAME, of the service of OPENAI_BASE_URL; or a folder")
    refuse_without(workspace, "documents", outcome="nothing can be judged")
    asked = read_asked(workspace, Path(queries)) if queries else workspace.collection.queries(options.split)
    if not asked:
        raise InputError(f"split {options.split!r} has no query", hint="name a file: nearer judge QUERIES")
    spent = Spent(prices=options.prices, most_usd=options.max_cost)
    chat = chat or open_chat(model or "", per_minute=options.per_minute)
    systems = options.systems or (LIVE if workspace.registry.live() else BASE, "bm25")
    rankings = rank_all(workspace, systems, asked, depth=options.depth, progress=progress)
    human = _by_people(workspace, asked)
    pairs = _pairs(rankings, human, options)
    documents = {each.doc_id: each for each in workspace.collection.documents([doc_id for _, doc_id in pairs])}
    prompt = read_prompt(workspace.folder, "judge", write=not dry_run)
    max_grade, said = max_grade_of(workspace), dict[Pair, dict[str, list[int]]]()
    guideline = read_guideline(options.guideline, max_grade=max_grade)
    grading = grading_tasks(pairs, asked, documents, prompt, guideline=guideline, votes=options.votes)
    if dry_run:
        spent.add_estimate(grading.tasks, num_written=GRADE_TOKENS)
    else:
        outcomes = ask_all(
            chat,
            LlmAnswers(workspace.database),
            grading.tasks,
            read=lambda text: read_grade(text, max_grade=max_grade),
            parallel=options.parallel,
            spent=spent,
            progress=progress,
            order=grading.order(seed=options.seed),
        )
        said = grading.answers(outcomes)
        _keep(workspace, asked, graded(said, rater=chat.name, max_grade=max_grade))
    grade_of = {pair: mean_grade(answers) for pair, answers in said.items()}
    calibration = calibrate(grade_of, human, answers=said, max_grade=max_grade)
    return ModelJudged(
        verdict="estimated" if dry_run else trust_of(calibration),
        num_queries=len(asked),
        num_pairs=len(pairs),
        num_judged=len(said),
        num_votes=options.votes,
        by_grade={str(grade): number for grade, number in sorted(Counter(grade_of.values()).items())},
        calibration=calibration,
        corrected=() if dry_run else tuple(corrected_metrics(rankings, grade_of, human)),
        prompt=prompt.hash,
        num_suspicious=sum(is_suspicious(each.full_text) for each in documents.values()),
        is_dry_run=dry_run,
        notes=tuple(spent.note_if_over() if dry_run else _notes(calibration)),
        use=use_of(chat.name, spent),
    )


def _by_people(workspace: Workspace, asked: Sequence[Query]) -> dict[Pair, int]:
    ids = {query.query_id for query in asked}
    said = blend(workspace.collection.all_judgments(), TRUSTED)
    return {(each.query_id, each.doc_id): each.grade for each in said if each.query_id in ids}


def _pairs(rankings: Rankings, human: Mapping[Pair, int], options: JudgeOptions) -> list[Pair]:
    """The pool, or so much of it, and some of what people judged."""
    rng = Random(options.seed)
    pooled = [(each.query_id, each.doc_id) for each in pool(rankings)]
    if options.limit is not None and options.limit < len(pooled):
        pooled = rng.sample(pooled, options.limit)
    known = sorted(human.keys() - set(pooled))
    return sorted({*pooled, *rng.sample(known, min(len(known), MOST_CALIBRATION))})


def _keep(workspace: Workspace, asked: Sequence[Query], judgments: Sequence[Judgment]) -> None:
    """Enter the judgments, and the queries that are new."""
    known = {query.query_id for query in workspace.collection.queries()}
    with workspace.write("judge") as connection:
        for new in batches([query for query in asked if query.query_id not in known]):
            put_queries(connection, new)
        for some in batches(judgments):
            put_judgments(connection, some)
        stamp_judgments(connection)
    failpoint("judge.commit")


def _notes(calibration: Calibration) -> list[str]:
    if calibration.num_pairs:
        return []
    return ["people judged none of these pairs, so nobody knows how far it can be believed: nearer label start"]
