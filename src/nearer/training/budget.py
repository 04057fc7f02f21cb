"""What of a training fits into a time: the cost of a token, measured on a few texts, then the plan by it."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nearer.core.errors import RecipeError
from nearer.core.results.training_plan import Budget, Costs, Plan, Settings
from nearer.core.sections import TrainRecipe
from nearer.encode.corpus import Corpus
from nearer.encode.encoder import Encoder
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.examples import Example, limit
from nearer.learn.fit import as_in_training
from nearer.learn.losses import learns_likeness
from nearer.learn.lower_layers import frozen, layers_of
from nearer.learn.objective import embed_all
from nearer.learn.plan import NUM_STEPS, Work, lengths, make_plan
from nearer.learn.precision import matmul_precision, multiplying, precisions_of
from nearer.learn.tokens import Tokens
from nearer.learn.word_vectors import densify
from nearer.store.workspace import Workspace
from nearer.systems.reranker import open_reranker
from nearer.training.dev_size import DevTokens, dev_size, least_dev, mean_tokens, pass_tokens

PLANNING = 1 / 20
"""Of the time that planning may take."""
EMBEDDING = 1 / 4
"""Of the time that may go into encoding documents before training. Our rule: most of it must be left to learning."""
_ENOUGH_S = 0.25
"""A measurement of a cost is long enough when it took so much."""
_CARE = 1.3
"""Times what the smallest training takes that are advised: not all is known of it."""
_NUM_TEXTS = 256
_NUM_READ = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planning:
    """What a plan is made from: the data, what a token costs here, and what of it is known of mining."""

    workspace: Workspace
    encoder: Encoder
    examples: Sequence[Example]
    corpus: Corpus
    dev: DevTokens
    num_dev_queries: int
    costs: Costs
    first: int

    def plan(
        self,
        time_s: float,
        *,
        savings: Settings | None = None,
        mapped: Callable[[int], bool] = lambda number: False,
    ) -> Plan:
        """What fits into a time; with savings that are settled, and the passes that a map mines for."""
        recipe = self.workspace.recipe.train
        return make_plan(self.costs, self._work(recipe, mapped), recipe=recipe, time_s=time_s, savings=savings)

    def budget(self, plan: Plan, *, budget_s: float) -> Budget:
        """The plan with what of dev is measured by it."""
        recipe = self.workspace.recipe.train.model_copy(
            update={key.removeprefix("train."): value for key, value in plan.changes.items()}
        )
        examples = limit(self.examples, max_pairs=plan.num_pairs, seed=recipe.seed)
        work = pass_tokens(self.encoder, examples, recipe)
        size = dev_size(recipe, self.dev, num_queries=self.num_dev_queries, work=work, limit=plan.dev_tokens)
        return Budget(budget_s=budget_s, plan=plan, costs=self.costs, dev=size)

    def _work(self, recipe: TrainRecipe, mapped: Callable[[int], bool]) -> Work:
        examples, mining = self.examples, self.workspace.recipe.mining
        likeness = learns_likeness(recipe.loss, examples)
        longest = recipe.max_seq_length or self.encoder.settings.max_seq_length
        reads_documents = recipe.sides == "both"
        sides = {"anchor": [e.anchor for e in examples], "positive": [e.positive for e in examples]}
        anchor, positive = (
            {length: mean_tokens(self.encoder, texts, longest=length) for length in lengths(longest)}
            for texts in sides.values()
        )
        own = 1 + sum(len(each.negatives) for each in examples) / max(1, len(examples)) if reads_documents else 0
        passage = mean_tokens(self.encoder, self.corpus.passages)

        def num_batches(num_pairs: int, batch_size: int) -> int:
            some = limit(examples, max_pairs=num_pairs, seed=recipe.seed)
            return BatchOrder.of(some, recipe.model_copy(update={"batch_size": batch_size})).num_batches

        most = recipe.most_dev_queries
        return Work(
            num_pairs=len(examples),
            pair={length: anchor[length] + own * positive[length] for length in anchor},
            negatives={length: mining.num_negatives * positive[length] * reads_documents for length in anchor},
            mining=len(self.corpus.passages) * passage * reads_documents + len(examples) * anchor[longest],
            dev=min(most, self.num_dev_queries) * self.dev.query + recipe.most_dev_distractors * self.dev.passage,
            least_dev=least_dev(self.dev),
            num_batches=num_batches,
            mines_before=lambda number: (recipe.mines_before(number) or mapped(number)) and not likeness,
            map_mines=mapped,
            first=self.first,
            longest=longest,
            num_layers=_num_freezable(self.encoder),
            can_map=self.first == 1 and reads_documents and not likeness,
        )


def refuse_short(plan: Plan, costs: Costs, *, budget_s: float, left_s: float) -> None:
    """Raise RecipeError, with what would do, when nothing fits."""
    if not plan.num_pairs:
        raise too_short(costs, budget_s=budget_s, left_s=left_s, least_s=plan.least_s)


def too_short(costs: Costs, *, budget_s: float, left_s: float, least_s: float) -> RecipeError:
    """The error for a time of which ``left_s`` are left, where ``least_s`` are needed: it says what would do."""
    enough = rounded_time(_CARE * (budget_s - left_s + least_s))
    return RecipeError(
        f"the time is too short to train: {max(0.0, left_s):.0f} s are left, in which {NUM_STEPS} steps do not fit; "
        f"{1000 * costs.train_s:.3g} s a thousand tokens, {costs.step_s:.2g} s a step beside them",
        hint=f"give it about {enough}, as in --budget {enough}; what was encoded is kept",
    )


def measure_costs(
    workspace: Workspace,
    encoder: Encoder,
    texts: Sequence[str],
    *,
    num_judged: int,
    most_s: float,
    clock: Callable[[], float],
) -> Costs:
    """What a token takes here, by mini-batches that are as large as some part of ``most_s`` allows.

    The model is as it was after that. ``num_judged`` are the pairs that a teacher reads of one mining.
    """
    recipe = workspace.recipe.train
    rng = random.Random(recipe.seed)
    sample = rng.sample(list(texts), min(_NUM_TEXTS, len(texts)))
    share_s = most_s / 10
    encode_s = _token_s(
        encoder.encode_documents, sample, tokens=lambda some: _num_tokens(encoder, some), enough_s=share_s, clock=clock
    )
    train_s, step_s = _training_s(encoder, sample, recipe, enough_s=share_s, clock=clock)
    coarse_s = None
    if recipe.precision == "float32" and "bfloat16" in precisions_of(encoder.model.device):
        coarse = recipe.model_copy(update={"precision": "bfloat16"})
        coarse_s, _ = _training_s(encoder, sample, coarse, enough_s=share_s, clock=clock)
    judging_s = 0.0
    if name := workspace.recipe.mining.reranker:
        teacher, pairs = open_reranker(workspace, name), [(text, text) for text in sample[:_NUM_READ]]
        teacher.scores(pairs[:1])
        began = clock()
        teacher.scores(pairs)
        judging_s = (clock() - began) / len(pairs) * num_judged
    return Costs(encode_s=encode_s, train_s=train_s, step_s=step_s, coarse_s=coarse_s, judging_s=judging_s)


def encoding_cost(encoder: Encoder, texts: Sequence[str], *, clock: Callable[[], float]) -> float:
    """Seconds of a token that is encoded, by a few of these texts."""
    sample = random.Random(0).sample(list(texts), min(_NUM_TEXTS, len(texts)))
    return _token_s(
        encoder.encode_documents,
        sample,
        tokens=lambda some: _num_tokens(encoder, some),
        enough_s=_ENOUGH_S,
        clock=clock,
    )


def _training_s(
    encoder: Encoder, sample: Sequence[str], recipe: TrainRecipe, *, enough_s: float, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of a token forward and backward, and of the optimiser's step, at a rate of 0, which changes nothing."""
    import torch

    model = encoder.model
    with _training(encoder, recipe):
        tokens = Tokens(model, list(sample), prompt=encoder.settings.document_prompt)

        def forward_and_backward(rows: Sequence[int]) -> None:
            made = embed_all(model, [tokens.features(list(rows))], grad_cache=recipe.grad_cache)
            made.sum().backward()  # type: ignore[no-untyped-call]
            made.sum().item()

        token_s = _token_s(
            forward_and_backward,
            range(len(sample)),
            tokens=lambda rows: int(tokens.lengths_T[list(rows)].sum()),
            enough_s=enough_s,
            clock=clock,
        )
        densify(model)
        trained = [each for each in model.parameters() if each.grad is not None]
        if not trained:
            return token_s, 0.0
        optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0)
        optimizer.step()
        began = clock()
        optimizer.step()
        return token_s, clock() - began


@contextmanager
def _training(encoder: Encoder, recipe: TrainRecipe) -> "Iterator[None]":
    """The model as it is trained; its gradients and its mode are as before after that."""
    import torch

    model, was_training = encoder.model, encoder.model.training
    coarse = recipe.precision == "bfloat16"
    state = torch.get_rng_state()
    try:
        with (
            multiplying(matmul_precision(recipe.precision)),
            as_in_training(model, recipe),
            torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=coarse),
        ):
            model.train()
            yield
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
        torch.set_rng_state(state)


def _token_s(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    tokens: Callable[[Any], int],
    enough_s: float,
    clock: Callable[[], float],
) -> float:
    """Seconds a token: of twice as many items each time, until that took long enough. The first warms up."""
    began = clock()
    work(items[:1])
    number = 1 if clock() - began > enough_s else min(2, len(items))
    while True:
        began = clock()
        work(items[:number])
        took = clock() - began
        if took >= min(_ENOUGH_S, enough_s) or number == len(items):
            return max(1e-9, took / max(1, tokens(items[:number])))
        number = min(len(items), 2 * number)


def _num_tokens(encoder: Encoder, texts: Sequence[str]) -> int:
    return sum(min(each, encoder.settings.max_seq_length) for each in encoder.count_tokens(texts))


def _num_freezable(encoder: Encoder) -> int:
    """The layers of the model; 0 where their lower half cannot be frozen."""
    transformer = encoder.model.transformers_model
    number = len(layers_of(transformer)) if transformer is not None else 0
    if number < 2:
        return 0
    try:
        with frozen(transformer, number // 2):
            return number
    except RecipeError:
        return 0


def rounded_time(seconds: float) -> str:
    """A time as one would ask for it, not less."""
    if seconds < 120:
        return f"{10 * -(-seconds // 10):.0f}s"
    return f"{-(-seconds // 60):.0f}m"
