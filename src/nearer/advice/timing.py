"""What each remedy takes to measure, told before any is measured, and kept within a time."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearer.core.errors import InputError
from nearer.core.progress import OutOfTime, Progress
from nearer.core.results.advice import SkippedRemedy
from nearer.encode.corpus import Corpus, cut, missing_passages, window_of
from nearer.encode.encoder import Encoder, local_reader
from nearer.store.workspace import Workspace
from nearer.systems.system import System
from nearer.training.budget import encoding_cost, rounded_time
from nearer.training.deadline import Deadline
from nearer.training.dev_size import mean_tokens

if TYPE_CHECKING:
    from nearer.advice.remedies import Remedy
    from nearer.advice.rows import MeasuredRemedy

_ENCODING = 0.6
"""Of a time that may go into encoding the documents once. Our rule: the remedies need the rest."""
_SAMPLE = 64
"""Documents by which that is told."""
_LITTLE_S = 5.0
"""What is not worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """A remedy, or some that are measured together, and what that is expected to take; 0 where it is seconds."""

    name: str
    seconds: float
    make: "Callable[[], Iterable[Remedy | SkippedRemedy | MeasuredRemedy]]"

    def found(self, deadline: Deadline) -> "Iterable[Remedy | SkippedRemedy | MeasuredRemedy]":
        """What it brings, or why it was left out for want of time."""
        if self.seconds > deadline.left_s:
            reason = (
                f"it takes about {rounded_time(self.seconds)}, of the time {max(0.0, deadline.left_s):.0f} s are left"
            )
            yield SkippedRemedy(name=self.name, reason=reason)
            return
        try:
            yield from self.make()
        except OutOfTime as error:
            yield SkippedRemedy(name=self.name, reason=f"the time was over: {error}")


def tell(steps: Iterable[Step], progress: Progress) -> None:
    """Say what they take, before any is done."""
    known = [step for step in steps if step.seconds >= _LITTLE_S]
    total = sum(step.seconds for step in known)
    parts = ", ".join(f"{step.name} about {rounded_time(step.seconds)}" for step in known)
    progress.say(f"will take about {rounded_time(total)}: {parts}" if known else "takes seconds a remedy")


def encoding_s(encoder: Encoder, corpus: Corpus, *, clock: Callable[[], float]) -> float:
    """What encoding all passages takes, by a few of them."""
    passages = corpus.passages
    cost = encoding_cost(encoder, passages, clock=clock)
    return len(passages) * mean_tokens(encoder, passages) * cost


def refuse_long_encoding(
    workspace: Workspace, system: System, deadline: Deadline, *, clock: Callable[[], float]
) -> None:
    """Raise InputError, with what would do, where cutting and encoding the documents takes most of the time.

    Told by a few of them, before the others are cut.
    """
    encoder = local_reader(system.encoder, "documents")
    if not deadline.is_ever or encoder is None:
        return
    documents = workspace.collection.documents()
    if not documents:
        return
    some = random.Random(0).sample(documents, min(_SAMPLE, len(documents)))
    began = clock()
    sample = cut(some, encoder, window_of(workspace.recipe.chunk, encoder))
    cutting_s = clock() - began
    times = len(documents) / len(some)
    missing = missing_passages(workspace, encoder, sample.passages)
    encoded_s = encoding_s(encoder, sample, clock=clock) * len(missing) / len(sample.passages) if missing else 0.0
    needed_s = times * (cutting_s + encoded_s)
    if needed_s > _ENCODING * deadline.left_s:
        enough = rounded_time(needed_s / _ENCODING)
        raise InputError(
            f"the time is too short for advice: some {times * len(missing):,.0f} passages of {len(documents):,} "
            f"documents are to be encoded first, about {rounded_time(needed_s)}, and "
            f"{max(0.0, deadline.left_s):.0f} s are left",
            hint=f"give it {enough}: --budget {enough}; or encode them before: nearer index base",
        )
