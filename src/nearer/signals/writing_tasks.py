"""What a language model is asked, so that it writes queries for documents."""

from collections.abc import Sequence
from random import Random

from nearer.core.ids import content_id
from nearer.core.records import Document
from nearer.encode.chat import Question
from nearer.signals.asking import Task
from nearer.signals.prompts import Prompt, as_data
from nearer.signals.query_styles import allotted, proportions

WRITTEN_TOKENS = 30
"""Of a query in JSON, for the estimate."""
_MOST_CHARACTERS = 6000
"""Of a document that a model is shown: its beginning says what it is about."""
_EXAMPLES = 8
"""Source: Dai et al., Promptagator (2022), section 3.1: up to 8 examples."""


def writing_tasks(
    documents: Sequence[Document], real: Sequence[str], prompt: Prompt, *, each: int, seed: int
) -> list[Task]:
    """A question a document, for ``each`` queries: styles as in the ``real`` queries, of which some are examples."""
    plans = allotted(proportions(real), each=each, number=len(documents))
    rng = Random(seed)
    tasks = []
    for document, plan in zip(documents, plans, strict=True):
        examples = rng.sample(real, min(_EXAMPLES, len(real)))
        system = prompt.filled(
            num_queries=each,
            styles=", ".join(f"{number} {style}" for style, number in plan.items()),
            examples="\n".join(f"- {text[:300]}" for text in examples) or "- (none yet)",
        )
        user = as_data("document", document.full_text[:_MOST_CHARACTERS], token=content_id("x", document.doc_id)[-8:])
        question = Question(system=system, user=user, max_tokens=100 + 2 * WRITTEN_TOKENS * each)
        tasks.append(Task(doc_id=document.doc_id, question=question))
    return tasks
