"""Many questions to a language model: several at once, each answer kept at once, none paid twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Generic, TypeVar

from nearer.core.errors import InputError, ServiceError
from nearer.core.progress import Progress
from nearer.core.purse import Purse, most_tokens
from nearer.core.results.llm import LlmUse
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


class Spent:
    """What was asked and read; ``num_kept`` answers were there already and cost nothing.

    ``prices`` are US dollars a million tokens read and written. Of more than ``most_usd`` nothing is spent:
    ``num_left_out`` questions were not asked for that. Raises InputError for a limit without prices.
    """

    def __init__(self, *, prices: tuple[float, float] | None = None, most_usd: float | None = None) -> None:
        if most_usd is not None and prices is None:
            raise InputError("--max-cost needs the price of a token", hint="for example: --price 0.15,0.60")
        self.prices, self.purse = prices, Purse(most_usd)
        self.num_asked = self.num_kept = self.num_read = self.num_written = self.num_left_out = 0
        self.faults: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def cost_usd(self) -> float | None:
        """The cost of what was read and written; None where prices are not known."""
        return None if self.prices is None else self._usd(self.num_read, self.num_written)

    def add(self, *, num_read: int, num_written: int, num_asked: int = 1) -> None:
        """Count what was asked."""
        with self._lock:
            self.num_asked += num_asked
            self.num_read += num_read
            self.num_written += num_written

    def count(self, *, kept: int = 0, left_out: int = 0) -> None:
        """Count what was not asked: it was answered before, or would have cost too much."""
        with self._lock:
            self.num_kept += kept
            self.num_left_out += left_out

    def add_estimate(self, tasks: Sequence[Task], *, num_written: int) -> None:
        """Count tasks that would be asked, each answered in so many tokens."""
        num_read = sum(rough_tokens(each.question.system + each.question.user) for each in tasks)
        self.add(num_asked=len(tasks), num_read=num_read, num_written=num_written * len(tasks))

    def note_if_over(self) -> list[str]:
        """What an estimate says of the limit, where it is above it."""
        most, cost = self.purse.limit_usd, self.cost_usd
        if most is None or cost is None or cost <= most:
            return []
        share = most / cost
        return [f"--max-cost {most:g} is enough for about {share:.0%} of the questions; the others would be left out"]

    def ask(self, chat: Chat, question: Question) -> Reply | None:
        """What a model says; None where that may cost more than is left. Raises what asking raises."""
        most = self._usd(most_tokens(question.system, question.user), question.max_tokens)
        if not self.purse.reserve(most):
            return None
        paid = 0.0
        try:
            reply = chat.ask(question)
            paid = self._usd(reply.num_read, reply.num_written)
        except Unusable:
            paid = most  # nobody says how much it was
            raise
        finally:
            self.purse.settle(most, paid_usd=paid)
        return reply

    def _usd(self, num_read: int, num_written: int) -> float:
        read, written = self.prices or (0.0, 0.0)
        return (num_read * read + num_written * written) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of the task of a row: a value, or a fault; neither where it was left out for its cost."""

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
    order: Sequence[int] = (),
) -> Iterator[Outcome[T]]:
    """Each task's outcome as it comes. ``read`` makes a value of an answer, or raises Unusable; then it is asked again.

    They are asked in the ``order`` of these rows, for the last are left out where money is short.

    Raises ServiceError once several tasks in a row were not answered at all.
    """
    in_a_row = 0
    with ThreadPoolExecutor(parallel, thread_name_prefix="nearer-ask") as pool:
        futures: dict[Future[Outcome[T]], int] = {
            pool.submit(_one, chat, answers, tasks[row], row, read=read, spent=spent): row
            for row in order or range(len(tasks))
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
        if answer is None:
            spent.count(left_out=1)
            return Outcome(row=row, value=None, fault="")
        fault = answer.fault
        if answer.text is not None:
            try:
                return Outcome(row=row, value=read(answer.text), fault="")
            except Unusable as error:
                fault = str(error)
    return Outcome(row=row, value=None, fault=fault)


def _asked(chat: Chat, answers: LlmAnswers, question: Question, doc_id: str, spent: Spent) -> Answer | None:
    """The answer that is kept, or a new one, which is kept before anything else is done with it; or no money."""
    key = question_id(chat.name, asdict(question))
    kept = answers.get(key)
    if kept is not None:
        spent.count(kept=1)
        return kept
    try:
        reply, fault = spent.ask(chat, question), ""
        if reply is None:
            return None
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
    spent.add(num_read=reply.num_read, num_written=reply.num_written)
    return answer


def use_of(name: str, spent: Spent) -> LlmUse:
    """What a model was asked, as results tell it."""
    return LlmUse(
        model=name,
        num_asked=spent.num_asked,
        num_kept=spent.num_kept,
        num_read_tokens=spent.num_read,
        num_written_tokens=spent.num_written,
        cost_usd=spent.cost_usd,
        faults=dict(sorted(spent.faults.items())),
        num_left_out=spent.num_left_out,
        max_cost_usd=spent.purse.limit_usd,
    )
