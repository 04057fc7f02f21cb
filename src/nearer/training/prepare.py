"""What a training works with, read within its time: documents, pairs, dev, and what of them fits.

Arrays: P passages, D dimensions.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nearer.core.errors import InputError, RecipeError
from nearer.core.progress import Progress, phase
from nearer.core.records import Document
from nearer.core.results.training_plan import Costs
from nearer.encode.corpus import Corpus, cut, missing_passages, window_of
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.ready import choosing_split
from nearer.learn.plan import LEAST_TOKENS, LEFT_OVER, NUM_STEPS
from nearer.store.workspace import Workspace
from nearer.systems import LocalSystem
from nearer.training.budget import EMBEDDING, PLANNING, Planning, measure_costs, refuse_short, too_short
from nearer.training.deadline import Deadline
from nearer.training.dev_set import build_dev_set, dev_queries
from nearer.training.dev_size import DevTokens, dev_size, least_dev, mean_tokens, pass_tokens
from nearer.training.examples import Excluded, read_examples
from nearer.training.feasible import refuse_hopeless
from nearer.training.job import TrainingJob
from nearer.training.monitor import build_monitor
from nearer.training.part import Part, cut_documents, encode_part
from nearer.training.query_side import learner
from nearer.training.run import KeptBudget, TrainingRun
from nearer.training.select import Fitting, longest_epochs
from nearer.training.unfinished import TrainingRequest

_SAMPLE = 64
"""Documents by which costs are measured, before any other is cut."""
_QUERY_TOKENS = 32
"""Of a query, as long as none was looked at. Our rule: questions have fewer."""
_MOST_MEASURING_S = 8.0
"""What that may take, however much time there is: whoever gave too little is to hear it within seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preparing:
    """What is known before anything is cut or encoded."""

    workspace: Workspace
    run: TrainingRun
    base: LocalSystem
    parent: LocalSystem
    documents: Sequence[Document]
    excluded: Excluded
    deadline: Deadline
    asked: TrainingRequest
    progress: Progress
    clock: Callable[[], float]

    @property
    def first(self) -> int:
        """The number of the first pass: the base begins with one on in-batch negatives."""
        return 1 if self.parent.model.model_id == self.base.model.model_id else 2

    def prepared(self) -> tuple[TrainingJob, Fitting | None]:
        """The training, not begun, and what of it fits into its time, if it has one.

        Raises RecipeError for settings or data that cannot work or where the time is too short, and forgets the run.
        """
        workspace, base, progress = self.workspace, self.base.encoder, self.progress
        with _forgotten_where_refused(self.run):
            part, corpus, costs = self._part()
            excluded = part.without(self.excluded)
            embedded = EmbeddedCorpus(workspace, base, corpus, progress=progress)
            with phase(progress, "read training pairs"):
                examples = read_examples(embedded, excluded=excluded)
                queries, judgments = dev_queries(workspace, corpus, excluded=excluded.query_ids)
            if part.doc_ids is not None and costs and (len(examples) < 2 or not queries):
                raise too_short(costs, budget_s=self.asked.budget_s or 0.0, left_s=self.deadline.left_s, least_s=60.0)
            refuse_hopeless(workspace, self.parent.encoder, num_examples=len(examples), num_dev_queries=len(queries))
            recipe = workspace.recipe.train
            tokens = DevTokens.of(self.parent.encoder, corpus, queries, judgments, recipe.sides)
            planning = Planning(
                workspace=workspace.with_values({"train.epochs": longest_epochs(workspace, self.asked)}),
                encoder=self.parent.encoder,
                examples=examples,
                corpus=corpus,
                dev=tokens,
                num_dev_queries=len(queries),
                costs=costs or Costs(encode_s=0.0, train_s=0.0, step_s=0.0),
                first=self.first,
            )
            with phase(progress, "plan the training"):
                fitting = self._fitting(planning, is_new=costs is not None)
            work = pass_tokens(self.parent.encoder, examples, recipe)
            size = fitting.budget.dev if fitting else dev_size(recipe, tokens, num_queries=len(queries), work=work)
            workspace = workspace.with_values({"train.evals_per_pass": size.evals_per_pass})
            with phase(progress, "choose what dev ranks"):
                dev = build_dev_set(embedded, excluded=excluded.query_ids, size=size)
                monitor = build_monitor(embedded, dev=dev, examples=examples, size=size)
            encoder = learner(
                workspace, self.parent.encoder, examples, corpus.passages, *monitor.passages, progress=progress
            )
        job = TrainingJob(
            workspace=workspace,
            run=self.run,
            encoder=encoder,
            corpus=corpus,
            examples=examples,
            monitor=monitor,
            first=self.first,
            deadline=self.deadline,
            progress=progress,
        )
        return job, fitting

    def _part(self) -> tuple[Part, Corpus, Costs | None]:
        """The documents there is time to encode, cut, and what a token costs.

        What an earlier process chose stays chosen.
        """
        kept = self.run.budget()
        if not self.deadline.is_ever or (kept and kept.budget and kept.part):
            part = kept.part if kept and kept.part else Part()
            return part, self._cut(part), None
        workspace, left_s = self.workspace, self.deadline.left_s
        some = random.Random(workspace.recipe.train.seed).sample(self.documents, min(_SAMPLE, len(self.documents)))
        sample = cut(some, self.base.encoder, window_of(workspace.recipe.chunk, self.base.encoder))
        num_judged = len(workspace.collection.judgments("train")) * (1 + workspace.recipe.mining.num_drawn)
        with phase(self.progress, "measure what a token takes here"):
            costs = measure_costs(
                workspace,
                self.parent.encoder,
                sample.passages,
                num_judged=num_judged,
                most_s=min(_MOST_MEASURING_S, PLANNING * left_s),
                clock=self.clock,
            )
        if kept and kept.part:
            return kept.part, self._cut(kept.part), costs
        least = self._least(costs, sample)
        if least.time_s > (left_s := self.deadline.left_s):
            raise too_short(costs, budget_s=self.asked.budget_s or 0.0, left_s=left_s, least_s=least.time_s)
        part, corpus = encode_part(
            workspace,
            self.base.encoder,
            self.documents,
            excluded=self.excluded,
            time_s=max(least.encoding_s, min(EMBEDDING * left_s, left_s - least.learning_s)),
            revision=self.run.revision,
            progress=self.progress,
            clock=self.clock,
        )
        kept = kept or KeptBudget(left_s=left_s)
        self.run.keep_budget(replace(kept, left_s=self.deadline.left_s, part=part))
        return part, corpus, costs

    def _cut(self, part: Part) -> Corpus:
        return cut_documents(
            self.workspace,
            self.base.encoder,
            part.of(self.documents),
            revision=self.run.revision,
            progress=self.progress,
        )

    def _least(self, costs: Costs, sample: Corpus) -> "_Least":
        """What the smallest training takes: its documents and queries, ten steps, one measurement."""
        encoder, passages = self.base.encoder, sample.passages
        passage = mean_tokens(encoder, passages)
        document = passage * len(passages) / len(sample.documents)
        is_new = bool(missing_passages(self.workspace, encoder, passages))
        relevant = Counter(
            each.query_id
            for each in self.workspace.collection.judgments(choosing_split(self.workspace))
            if each.grade > 0
        )
        answers = sum(relevant.values()) / max(1, len(relevant))
        num_pairs = 2 * NUM_STEPS
        encoded = num_pairs * (passage + is_new * document)
        measured = least_dev(DevTokens(query=min(passage, _QUERY_TOKENS) + answers * document, passage=passage))
        trained_s = num_pairs * 2 * min(LEAST_TOKENS, passage) * costs.train_s + NUM_STEPS * costs.step_s
        learning_s = (trained_s + measured * costs.encode_s) / (1 - LEFT_OVER)
        return _Least(encoding_s=encoded * costs.encode_s, learning_s=learning_s)

    def _fitting(self, planning: Planning, *, is_new: bool) -> Fitting | None:
        """What of the training fits into its time, if it has one."""
        if not self.deadline.is_ever:
            return None
        budget_s, kept = self.asked.budget_s or 0.0, self.run.budget()
        if not is_new and kept and kept.budget:
            return Fitting(budget=kept.budget, planning=None)
        left_s = self.deadline.left_s
        plan = planning.plan(left_s / (self.asked.num_trials or 1))
        refuse_short(plan, planning.costs, budget_s=budget_s, left_s=left_s)
        return Fitting(budget=planning.budget(plan, budget_s=budget_s), planning=planning)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Least:
    """The seconds of the smallest training."""

    encoding_s: float
    learning_s: float

    @property
    def time_s(self) -> float:
        """Of all of it."""
        return self.encoding_s + self.learning_s


@contextmanager
def _forgotten_where_refused(run: TrainingRun) -> Iterator[None]:
    """Forget a run that has done nothing when its data or settings are refused."""
    try:
        yield
    except (InputError, RecipeError):
        if not run.is_resumed:
            run.remove()
        raise
