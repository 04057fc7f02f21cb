"""What a language model is asked, so that it grades pairs; and its answers as judgments.

Each pair is asked about in two orders, for the answer may follow what is read first. Tasks go pair by pair, then order
by order, then vote by vote.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from nearer.core.ids import content_id
from nearer.core.records import Document, Judgment, Query
from nearer.encode.chat import Question
from nearer.signals.asking import Outcome, Task
from nearer.signals.prompts import Prompt, as_data
from nearer.store.label_records import Guideline
from nearer.store.registry import utc_now

Pair = tuple[str, str]
"""A query's id and a document's."""
ORDERS = ("query first", "document first")
"""In which a model is asked about a pair: its answer may follow what it reads first."""
Answers = Mapping[str, Sequence[int]]
"""The grades that a pair got, by the order in which it was asked."""

GRADE_TOKENS = 40
"""Of a grade with its reason in JSON, for the estimate."""
_MOST_CHARACTERS = 6000
_SAID = {
    ORDERS[0]: "The query comes first, then the document.",
    ORDERS[1]: "The document comes first, then the query.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingTasks:
    """The questions about pairs, ``votes`` of them in each order."""

    pairs: Sequence[Pair]
    tasks: Sequence[Task]
    votes: int

    def order(self, *, seed: int) -> list[int]:
        """Rows of the tasks, query by query, the queries drawn at random: money may end before the tasks do."""
        queries = sorted({query_id for query_id, _ in self.pairs})
        place = {query_id: number for number, query_id in enumerate(Random(seed).sample(queries, len(queries)))}
        rows = sorted(range(len(self.pairs)), key=lambda row: place[self.pairs[row][0]])
        each = len(ORDERS) * self.votes
        return [row * each + number for row in rows for number in range(each)]

    def answers(self, outcomes: Iterable[Outcome[tuple[int, str]]]) -> dict[Pair, dict[str, list[int]]]:
        """The grades of each pair that has any, by order."""
        said = dict[Pair, dict[str, list[int]]]()
        for outcome in outcomes:
            if outcome.value is not None:
                row, rest = divmod(outcome.row, len(ORDERS) * self.votes)
                order = ORDERS[rest // self.votes]
                said.setdefault(self.pairs[row], {}).setdefault(order, []).append(outcome.value[0])
        return said


def grading_tasks(
    pairs: Sequence[Pair],
    asked: Sequence[Query],
    documents: Mapping[str, Document],
    prompt: Prompt,
    *,
    guideline: Guideline,
    votes: int,
) -> GradingTasks:
    """A question about each pair, for each order and vote; the grades mean what ``guideline`` says."""
    rubric = "\n".join(f"{each.grade} {each.name}: {each.meaning}" for each in guideline.grades)
    example = guideline.grades[-1].grade // 2
    system = {name: prompt.filled(rubric=rubric, order=text, example=example) for name, text in _SAID.items()}
    texts = {each.query_id: each.text for each in asked}
    tasks = [
        _task(system[order], texts[query_id], documents[doc_id], order=order, vote=vote, votes=votes)
        for query_id, doc_id in pairs
        for order in ORDERS
        for vote in range(votes)
    ]
    return GradingTasks(pairs=pairs, tasks=tasks, votes=votes)


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


def mean_grade(answers: Answers) -> int:
    """The mean of all answers, each order counting alike; half a grade counts as a whole one.

    >>> mean_grade({"query first": [2], "document first": [1]})
    2
    """
    return math.floor(sum(sum(each) / len(each) for each in answers.values()) / len(answers) + 0.5)


def graded(said: Mapping[Pair, Answers], *, rater: str, max_grade: int) -> list[Judgment]:
    """A judgment a pair; how far apart its answers are lowers its weight."""
    at, judgments = utc_now(), []
    for (query_id, doc_id), answers in said.items():
        grades = [grade for each in answers.values() for grade in each]
        apart = (max(grades) - min(grades)) / max_grade
        judgments.append(
            Judgment(
                query_id=query_id,
                doc_id=doc_id,
                grade=mean_grade(answers),
                source="llm",
                rater=rater,
                weight=round(1 - apart / 2, 4),
                at=at,
            )
        )
    return judgments
