"""A language model judges pairs, is held against people, and people correct what it says of systems."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.judging import blend
from nearer.core.progress import Progress, Silent
from nearer.core.records import TRUSTED, Document, Judgment, Query
from nearer.core.results.llm import Calibration, ModelJudged
from nearer.encode.chat import Chat, Question, open_chat, rough_tokens
from nearer.evaluation.calibration import ORDERS, Pair, calibrate, corrected_metrics
from nearer.evaluation.grades import max_grade_of
from nearer.evaluation.pooling import Rankings, pool, rank_all
from nearer.evaluation.ready import refuse_without
from nearer.flows.judge_sheet import read_asked
from nearer.signals.asking import Spent, Task, ask_all, use_of
from nearer.signals.prompts import Prompt, as_data, read_prompt
from nearer.signals.read_answers import read_grade
from nearer.signals.suspicious import is_suspicious
from nearer.store.changing import put_judgments, put_queries, stamp_judgments
from nearer.store.collection import batches
from nearer.store.formats.guideline import read_guideline
from nearer.store.llm_answers import LlmAnswers
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE

POOR_KAPPA = 0.4
"""Below this weighted kappa with people a model's grades are not to be trained on.

Source: Landis and Koch, The Measurement of Observer Agreement for Categorical Data (1977): above 0.40 is moderate.
"""
MOST_CALIBRATION = 200
"""Pairs that people judged and the model judges too, drawn at random, to hold it against them."""
_MOST_CHARACTERS = 6000
_WRITTEN_TOKENS = 40


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
    filled = _rubric(prompt, options, max_grade=max_grade_of(workspace))
    texts = {each.query_id: each.text for each in asked}
    tasks = [
        _task(filled[order], texts[query_id], documents[doc_id], order=order, vote=vote, votes=options.votes)
        for query_id, doc_id in pairs
        for order in ORDERS
        for vote in range(options.votes)
    ]
    said = dict[Pair, dict[str, list[int]]]()
    if dry_run:
        num_read = sum(rough_tokens(each.question.system + each.question.user) for each in tasks)
        spent.add(num_asked=len(tasks), num_read=num_read, num_written=_WRITTEN_TOKENS * len(tasks))
    else:
        said = _ask(workspace, chat, tasks, pairs, options, spent=spent, progress=progress)
        _keep(workspace, asked, said, chat.name, max_grade=max_grade_of(workspace))
    grade_of = {pair: _mean(answers) for pair, answers in said.items()}
    calibration = calibrate(grade_of, human, answers=said, max_grade=max_grade_of(workspace))
    return ModelJudged(
        verdict=_verdict(calibration, dry_run=dry_run),
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


def _rubric(prompt: Prompt, options: JudgeOptions, *, max_grade: int) -> dict[str, str]:
    guideline = read_guideline(options.guideline, max_grade=max_grade)
    lines = "\n".join(f"{each.grade} {each.name}: {each.meaning}" for each in guideline.grades)
    said = {
        "query first": "The query comes first, then the document.",
        "document first": "The document comes first, then the query.",
    }
    return {name: prompt.filled(rubric=lines, order=text, example=max_grade // 2) for name, text in said.items()}


def _task(system: str, query: str, document: Document, *, order: str, vote: int, votes: int) -> Task:
    token = content_id("x", document.doc_id)[-8:]
    parts = [
        as_data("query", query, token=token),
        as_data("document", document.full_text[:_MOST_CHARACTERS], token=token),
    ]
    user = "\n\n".join(parts if order == ORDERS[0] else reversed(parts))
    temperature = 0.0 if votes == 1 else 0.7
    question = Question(system=system, user=user, max_tokens=200, temperature=temperature, vote=vote)
    return Task(doc_id=document.doc_id, question=question)


def _ask(
    workspace: Workspace,
    chat: Chat,
    tasks: Sequence[Task],
    pairs: Sequence[Pair],
    options: JudgeOptions,
    *,
    spent: Spent,
    progress: Progress,
) -> dict[Pair, dict[str, list[int]]]:
    """The grades of each pair that has any, by order."""
    max_grade, said = max_grade_of(workspace), dict[Pair, dict[str, list[int]]]()
    outcomes = ask_all(
        chat,
        LlmAnswers(workspace.database),
        tasks,
        read=lambda text: read_grade(text, max_grade=max_grade),
        parallel=options.parallel,
        spent=spent,
        progress=progress,
        order=_order(pairs, options),
    )
    for outcome in outcomes:
        if outcome.value is not None:
            pair, rest = pairs[outcome.row // (2 * options.votes)], outcome.row % (2 * options.votes)
            order = ORDERS[rest // options.votes]
            said.setdefault(pair, {}).setdefault(order, []).append(outcome.value[0])
    return said


def _order(pairs: Sequence[Pair], options: JudgeOptions) -> list[int]:
    """The rows of the tasks as they are asked: query by query, drawn at random, for money may end before they do."""
    queries = sorted({query_id for query_id, _ in pairs})
    place = {query_id: number for number, query_id in enumerate(Random(options.seed).sample(queries, len(queries)))}
    rows, each = sorted(range(len(pairs)), key=lambda row: place[pairs[row][0]]), len(ORDERS) * options.votes
    return [row * each + number for row in rows for number in range(each)]


def _mean(answers: Mapping[str, Sequence[int]]) -> int:
    """The mean of all answers, each order counting alike; half a grade counts as a whole one."""
    return math.floor(sum(sum(each) / len(each) for each in answers.values()) / len(answers) + 0.5)


def _keep(
    workspace: Workspace,
    asked: Sequence[Query],
    said: Mapping[Pair, Mapping[str, Sequence[int]]],
    rater: str,
    *,
    max_grade: int,
) -> None:
    """Enter the judgments; how far apart a pair's answers are lowers its weight."""
    at = utc_now()
    judgments = []
    for (query_id, doc_id), answers in said.items():
        grades = [grade for each in answers.values() for grade in each]
        apart = (max(grades) - min(grades)) / max_grade
        judgments.append(
            Judgment(
                query_id=query_id,
                doc_id=doc_id,
                grade=_mean(answers),
                source="llm",
                rater=rater,
                weight=round(1 - apart / 2, 4),
                at=at,
            )
        )
    known = {query.query_id for query in workspace.collection.queries()}
    with workspace.write("judge") as connection:
        for new in batches([query for query in asked if query.query_id not in known]):
            put_queries(connection, new)
        for some in batches(judgments):
            put_judgments(connection, some)
        stamp_judgments(connection)
    failpoint("judge.commit")


def _verdict(calibration: Calibration, *, dry_run: bool) -> str:
    if dry_run:
        return "estimated"
    if calibration.kappa is None:
        return "uncalibrated"
    return "poor" if calibration.kappa.value < POOR_KAPPA else "calibrated"


def _notes(calibration: Calibration) -> list[str]:
    if calibration.num_pairs:
        return []
    return ["people judged none of these pairs, so nobody knows how far it can be believed: nearer label start"]
