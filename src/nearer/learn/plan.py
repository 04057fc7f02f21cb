"""How much training fits into a time, by the cost of a token and a plain rule.

What gives way where not all pairs fit, in this order, each only where it makes room for more pairs:

1. float32 for bfloat16, where the hardware has it and it is faster,
2. half of the tokens of a text, but not below 64,
3. a pass: as many as mining leaves half of the time to, then all but one,
4. the lower half of the layers,
5. epochs, then pairs.

Where fewer than ten steps fit, batches and texts are halved until ten do: to 2 pairs and 16 tokens at least. A tenth of
the time is left for what was not measured, and a sixth of the rest for dev: a fifth of what training has. The shares
are our rule.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nearer.core.results.training_plan import Costs, Plan, Settings
from nearer.core.sections import TrainRecipe

NUM_STEPS = 10
"""Steps that a training has at least, unless the recipe has fewer. Our rule: fewer teach nothing."""
LEAST_TOKENS = 16
"""What texts go down to so that there are steps at all."""
WARM_START_EPOCHS = 5
"""Of the map that takes the place of passes there is no time for. Our rule, by dev (ADR 15): they take seconds."""
LEFT_OVER = 0.1
"""Of the time that is kept for what was not measured."""
_MINING, _DEV = 0.5, 1 / 6
_WORTH = 1.1
"""Times as many pairs that a saving must make room for. Our rule: what a token takes is not known exactly."""
_WORTH_LEARNING_LESS = 1.25
"""The same where less is learned of each. Our rule, by dev of the demo: a tenth more pairs are no second pass."""
_FEWEST_TOKENS = 64
"""What texts go down to for the sake of more pairs. Our rule, from `settings` of benchmarks/training.py."""
_LEAST_BATCH, _SMALL_BATCH = 2, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What there is to do, in tokens: of a pair and of its mined negatives when texts are read to so many, and more.

    ``mining`` are those of one mining, ``dev`` of one measurement of all of dev, ``least_dev`` of the smallest.
    ``num_batches`` gives those of an epoch, of so many pairs at such a batch size. ``num_layers`` are the model's,
    0 where none can be frozen. ``can_map`` says whether a linear map may take the place of passes.
    """

    num_pairs: int
    pair: Mapping[int, float]
    negatives: Mapping[int, float]
    mining: float
    dev: float
    least_dev: float
    num_batches: Callable[[int, int], int]
    mines_before: Callable[[int], bool]
    map_mines: Callable[[int], bool]
    first: int
    longest: int
    num_layers: int = 0
    can_map: bool = True


def make_plan(costs: Costs, work: Work, *, recipe: TrainRecipe, time_s: float, savings: Settings | None = None) -> Plan:
    """What fits into ``time_s``; ``num_pairs`` is 0 where nothing does. ``savings`` that are given stay as they are."""
    way = _Way(costs=costs, work=work, recipe=recipe, time_s=time_s)
    if savings is not None:
        return way.under(savings).smaller().plan()
    return way.coarser().shorter().fewer_passes().frozen().smaller().plan()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Way:
    """The recipe under what saves time so far, the least harmful first, and why that was worth it."""

    costs: Costs
    work: Work
    recipe: TrainRecipe
    time_s: float
    savings: Settings = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def longest(self) -> int:
        """The tokens that texts are read to."""
        return self.recipe.max_seq_length or self.work.longest

    @property
    def usable_s(self) -> float:
        return (1 - LEFT_OVER) * self.time_s

    @property
    def mined(self) -> list[int]:
        """The passes that have mined negatives."""
        first = self.work.first
        return [number for number in range(first, first + self.recipe.passes) if self.work.mines_before(number)]

    @property
    def mining_s(self) -> float:
        """What mining takes for all passes: encoding, unless a map has mined, and the teacher."""
        encoded = sum(not self.work.map_mines(number) for number in self.mined)
        return encoded * self.work.mining * self.costs.encode_s + len(self.mined) * self.costs.judging_s

    @property
    def dev_s(self) -> float:
        """What measurements may take: no more than all of them, no less than the smallest."""
        most = self.recipe.passes * self.recipe.most_evals * self.work.dev
        least = self.recipe.passes * self.work.least_dev
        return max(least * self.costs.encode_s, min(_DEV * self.usable_s, most * self.costs.encode_s))

    @property
    def left_s(self) -> float:
        """What is left for steps."""
        return max(0.0, self.usable_s - self.mining_s - self.dev_s)

    @property
    def steps_s(self) -> float:
        """What a step takes, as a mean over the passes."""
        share = len(self.mined) / self.recipe.passes
        return share * self.step_s(is_mined=True) + (1 - share) * self.step_s(is_mined=False)

    def step_s(self, *, is_mined: bool) -> float:
        """What a step takes, with mined negatives or without."""
        coarse = self.recipe.precision == "bfloat16" and self.costs.coarse_s is not None
        token_s = float(self.costs.coarse_s or 0.0) if coarse else self.costs.train_s
        frozen = "train.freeze_layers" in self.savings
        share = 1 - 2 / 3 * self.recipe.freeze_layers / self.work.num_layers if frozen else 1.0
        negatives = _at(self.work.negatives, self.longest) if is_mined else 0.0
        tokens = self.recipe.batch_size * (_at(self.work.pair, self.longest) + negatives)
        return self.costs.step_s + tokens * token_s * share

    def batches(self, num_pairs: int) -> int:
        return self.work.num_batches(num_pairs, self.recipe.batch_size)

    @property
    def amount(self) -> tuple[float, int]:
        """The epochs and the pairs that fit."""
        number, least = self.work.num_pairs, min(1.0, self.recipe.epochs)
        steps = self.left_s / self.steps_s / self.recipe.passes
        epochs = steps / max(1, self.batches(number))
        if epochs >= least:
            return min(self.recipe.epochs, max(least, math.floor(100 * epochs) / 100)), number
        fitting = math.floor(steps / least)
        return least, max(0, bisect_right(range(number + 1), fitting, key=self.batches) - 1)

    @property
    def num_steps(self) -> float:
        """Of a pass."""
        epochs, pairs = self.amount
        return self.batches(pairs) * epochs if pairs else 0.0

    @property
    def wanted_steps(self) -> float:
        """The least that a pass is to have: ten, or what the recipe has."""
        return min(float(NUM_STEPS), self.batches(self.work.num_pairs) * self.recipe.epochs)

    def under(self, settings: Settings) -> "_Way":
        """The same with other values of the recipe."""
        own = {key.removeprefix("train."): value for key, value in settings.items()}
        return replace(self, recipe=self.recipe.model_copy(update=own), savings={**self.savings, **settings})

    def coarser(self) -> "_Way":
        """Matrix products in bfloat16, if more pairs fit by it."""
        if self.recipe.precision != "float32" or self.costs.coarse_s is None:
            return self
        return self._with({"train.precision": "bfloat16"}, "steps multiply in bfloat16, instead of float32")

    def shorter(self) -> "_Way":
        """Texts read to half of the tokens, if more pairs fit by it."""
        half = self.longest // 2
        if half < _FEWEST_TOKENS:
            return self
        return self._with({"train.max_seq_length": half}, _read_to(half, self.longest))

    def fewer_passes(self) -> "_Way":
        """No more passes than there is time to mine for, else one pass alone, if more pairs fit by it.

        A linear map takes the place of what is left out, unless the recipe says what training begins with.
        """
        passes, way = self.recipe.passes, self
        mapped = {"train.warm_start_epochs": WARM_START_EPOCHS}
        more = mapped if self.recipe.warm_start_epochs is None and self.work.can_map else {}
        while way.recipe.passes > 1 and way.mining_s > _MINING * way.usable_s:
            way = way.under({"train.passes": way.recipe.passes - 1, **more})
        if (now := way.recipe.passes) < passes:
            each_s = self.work.mining * self.costs.encode_s + self.costs.judging_s
            why = f"{_number(now, 'pass')} instead of {passes}: mining takes {each_s:.3g} s each time"
            return replace(way, reasons=(*self.reasons, why))
        if passes == 1:
            return self
        why = f"one pass is trained instead of {passes}"
        return self._with({"train.passes": 1, **more}, why, worth=_WORTH_LEARNING_LESS)

    def frozen(self) -> "_Way":
        """The upper half of the layers alone, if more pairs fit; not beside a linear map, where dev was no better.

        Source: medquad and nl2bash in docs/results.md, "Beside the stock recipe".
        """
        half = self.work.num_layers // 2
        if half <= self.recipe.freeze_layers or self.recipe.lora_rank or "train.warm_start_epochs" in self.savings:
            return self
        why = f"the lowest {half} layers stay as they are"
        return self._with({"train.freeze_layers": half}, why, worth=_WORTH_LEARNING_LESS)

    def smaller(self) -> "_Way":
        """Smaller batches and shorter texts, until as many steps fit as a training needs."""
        way = self
        for least_batch, least_length in ((_SMALL_BATCH, _FEWEST_TOKENS), (_LEAST_BATCH, LEAST_TOKENS)):
            while way.num_steps < way.wanted_steps and way.recipe.batch_size // 2 >= least_batch:
                way = way.under({"train.batch_size": way.recipe.batch_size // 2})
            while way.num_steps < way.wanted_steps and way.longest // 2 >= least_length:
                way = way.under({"train.max_seq_length": way.longest // 2})
        reasons = []
        if (batch := way.recipe.batch_size) != self.recipe.batch_size:
            reasons.append(f"batches of {batch} pairs, instead of {self.recipe.batch_size}: so {NUM_STEPS} steps fit")
        if way.longest != self.longest:
            reasons.append(_read_to(way.longest, self.longest))
        return replace(way, reasons=(*self.reasons, *reasons))

    def plan(self) -> Plan:
        """What fits."""
        epochs, pairs = self.amount
        if self.num_steps < self.wanted_steps - 1e-9:
            pairs = 0
        steps = self.recipe.passes * math.ceil(self.batches(pairs) * epochs)
        all_s = self.recipe.passes * self.batches(self.work.num_pairs) * self.steps_s
        return Plan(
            epochs=epochs,
            passes=self.recipe.passes,
            num_pairs=pairs,
            dev_tokens=self.dev_s / self.recipe.passes / self.costs.encode_s,
            plain_step_s=self.step_s(is_mined=False),
            mined_step_s=self.step_s(is_mined=True),
            estimate_s=self.mining_s + self.dev_s + steps * self.steps_s,
            least_s=self.least_s,
            reasons=(
                *self.reasons,
                _why(epochs, pairs, recipe=self.recipe, num_pairs=self.work.num_pairs, all_s=all_s),
            ),
            savings=self.savings,
        )

    @property
    def least_s(self) -> float:
        """The time in which as many steps as a training needs would fit, of the smallest size, with one measurement."""
        tiny = {"passes": 1, "batch_size": min(self.recipe.batch_size, _LEAST_BATCH)}
        length = min(self.longest, LEAST_TOKENS)
        way = replace(self, recipe=self.recipe.model_copy(update={**tiny, "max_seq_length": length}))
        steps_s = NUM_STEPS * way.steps_s + way.work.least_dev * self.costs.encode_s + len(way.mined) * way.mining_s
        return steps_s / (1 - LEFT_OVER)

    def _with(self, settings: Settings, why: str, *, worth: float = _WORTH) -> "_Way":
        """The same with these settings, where not all pairs fit and by them ``worth`` times as many do."""
        before = self.amount[1]
        if before == self.work.num_pairs:
            return self
        saving = self.under(settings)
        number = saving.amount[1]
        if number <= worth * before:
            return self
        return replace(saving, reasons=(*self.reasons, f"{why}: so {number} pairs fit, instead of {before}"))


def _at(tokens: Mapping[int, float], longest: int) -> float:
    """The tokens when texts are read to so many, by the next smaller length that was counted."""
    return tokens[max((each for each in tokens if each <= longest), default=min(tokens))]


def _why(epochs: float, pairs: int, *, recipe: TrainRecipe, num_pairs: int, all_s: float) -> str:
    took = f"an epoch of all {num_pairs} pairs in all passes takes {all_s:.3g} s"
    if pairs < num_pairs:
        return f"{pairs} of {num_pairs} pairs: {took}"
    if epochs < recipe.epochs:
        return f"{epochs:g} epochs a pass instead of {recipe.epochs:g}: {took}"
    return f"all that the recipe asks for: {took}"


def _read_to(now: int, before: int) -> str:
    return f"texts are read to {now} tokens in training, instead of {before}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}es"


def lengths(longest: int) -> list[int]:
    """The lengths that a plan may read texts to: the longest and its halves.

    >>> lengths(100)
    [100, 50, 25]
    """
    found = [longest]
    while found[-1] // 2 >= LEAST_TOKENS:
        found.append(found[-1] // 2)
    return found
