"""What language models answered: kept by the hash of the question and the model, as soon as it is there."""

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from nearer.core.failpoints import failpoint
from nearer.core.ids import canonical_json
from nearer.store.database import Database, insert_into
from nearer.store.registry import utc_now
from nearer.store.tables import llm_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer: its text, or, where it cannot be used, the ``fault``; and the tokens that it took."""

    question_id: str
    text: str | None
    fault: str
    num_read: int
    num_written: int


def question_id(model: str, question: object) -> str:
    """The hash of a question to a model; equal questions have equal ones."""
    return hashlib.sha256(canonical_json([model, question]).encode()).hexdigest()[:40]


class LlmAnswers:
    """The answers that a workspace has paid for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, question_id: str) -> Answer | None:
        """The answer to a question, if it was asked before."""
        table = llm_answers
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.question_id == question_id)).first()
        return Answer(**{name: row._mapping[name] for name in Answer.__slots__}) if row else None

    def keep(self, answer: Answer, *, model: str, doc_id: str) -> None:
        """Keep an answer for good."""
        row = {name: getattr(answer, name) for name in Answer.__slots__}
        with self._database.write(holder="nearer asks a language model") as connection:
            content = {**row, "model": model, "doc_id": doc_id, "at": utc_now()}
            connection.execute(insert_into(connection, llm_answers).on_conflict_do_nothing(), [content])
        failpoint("llm.answer")
