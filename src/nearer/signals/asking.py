"""Many questions to a language model: several at once, each answer kept at once, none paid twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Generic, TypeVar

from nearer.core.errors import ServiceError
from nearer.core.progress import Progress
from nearer.encode.chat import Chat, Question, Reply, Unusable, rough_tokens
from nearer.store.llm_answers import Answer, LlmAnswers, question_id

T = TypeVar("T")

ATTEMPTS = 2
"""How often a question is asked whose answer cannot be used."""
_MOST_IN_A_ROW = 3
"""After so many questions in a row that nobody answers the service is taken to be away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question about a document."""

    doc_id: str
    question: Question


@dataclass(slots=True, kw_only=True)
class Spent:
    """What was asked and read; ``num_kept`` answers were there already and cost nothing."""

    num_asked: int = 0
    num_kept: int = 0
    num_read: int = 0
    num_written: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def cost_usd(self, prices: tuple[float, float] | None) -> float | None:
        """The cost at prices of a million tokens read and written; None where they are not known."""
        return None if prices is None else (self.num_read * prices[0] + self.num_written * prices[1]) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of the task of a row: a value, or a fault."""

    row: int
    value: T | None
    fault: str


def ask_all(
    chat: Chat,
    answers: LlmAnswers,
    tasks: Sequence[Task],
    *,
    read: Callable[[str], T],
    parallel: int,
    spent: Spent,
    progress: Progress,
) -> Iterator[Outcome[T]]:
    """Each task's outcome as it comes. ``read`` makes a value of an answer, or raises Unusable; then it is asked again.

    Raises ServiceError once several tasks in a row were not answered at all.
    """
    in_a_row = 0
    with ThreadPoolExecutor(parallel, thread_name_prefix="nearer-ask") as pool:
        futures: dict[Future[Outcome[T]], int] = {
            pool.submit(_one, chat, answers, task, row, read=read, spent=spent): row for row, task in enumerate(tasks)
        }
        try:
            for future in progress.track(as_completed(futures), label=f"ask {chat.name}", total=len(tasks)):
                try:
                    outcome = future.result()
                    in_a_row = 0
                except ServiceError as error:
                    in_a_row += 1
                    if in_a_row >= min(_MOST_IN_A_ROW, len(tasks)):
                        raise
                    outcome = Outcome(row=futures[future], value=None, fault=f"not answered: {error.message}")
                if outcome.fault:
                    spent.faults[outcome.fault] += 1
                yield outcome
        finally:
            with suppress(RuntimeError):
                pool.shutdown(wait=True, cancel_futures=True)


def _one(
    chat: Chat, answers: LlmAnswers, task: Task, row: int, *, read: Callable[[str], T], spent: Spent
) -> Outcome[T]:
    fault = ""
    for attempt in range(ATTEMPTS):
        question = replace(task.question, attempt=attempt)
        answer = _asked(chat, answers, question, task.doc_id, spent)
        fault = answer.fault
        if answer.text is not None:
            try:
                return Outcome(row=row, value=read(answer.text), fault="")
            except Unusable as error:
                fault = str(error)
    return Outcome(row=row, value=None, fault=fault)


def _asked(chat: Chat, answers: LlmAnswers, question: Question, doc_id: str, spent: Spent) -> Answer:
    """The answer that is kept, or a new one, which is kept before anything else is done with it."""
    key = question_id(chat.name, asdict(question))
    kept = answers.get(key)
    if kept is not None:
        spent.num_kept += 1
        return kept
    try:
        reply, fault = chat.ask(question), ""
    except Unusable as error:
        reply, fault = Reply(text="", num_read=rough_tokens(question.system + question.user), num_written=0), str(error)
    answer = Answer(
        question_id=key,
        text=None if fault else reply.text,
        fault=fault,
        num_read=reply.num_read,
        num_written=reply.num_written,
    )
    answers.keep(answer, model=chat.name, doc_id=doc_id)
    spent.num_asked += 1
    spent.num_read += reply.num_read
    spent.num_written += reply.num_written
    return answer
