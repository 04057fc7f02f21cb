"""How much training fits into a time: epochs, passes, pairs and dev measurements, by a plain rule.

What is chosen, in this order:

1. Passes: the recipe's, one fewer while what mining costs (encoding the corpus) takes more than half of the time.
2. Dev measurements: the recipe's, fewer where they would take more than 15% of the time; one a pass at least.
3. All pairs, for as many epochs a pass as fit, up to the recipe's.
4. Where not even one epoch of all pairs fits (or the recipe's share of one): as many pairs as do.

How many batches an epoch of so many pairs has is for who asks to say: sources may weigh more, or not share batches.

A tenth of the time, and two dev measurements, are left for what was not measured and for the end. The shares are our
rule: mining must leave most of the time to learning, and dev decides too little to take more of it.
"""

import math
from bisect import bisect_right
from collections.abc import Callable

from nearer.core.results.training import Pace, Plan
from nearer.core.sections import TrainRecipe

_LEFT_OVER = 0.1
_MINING, _DEV = 0.5, 0.15


def make_plan(
    pace: Pace,
    *,
    recipe: TrainRecipe,
    num_pairs: int,
    num_batches: Callable[[int], int],
    time_s: float,
    first: int,
    mines_before: Callable[[int], bool],
    map_mines: Callable[[int], bool],
) -> Plan:
    """What fits into ``time_s``, when pass ``first`` is the first; ``num_pairs`` is 0 where nothing does.

    ``mines_before`` says which passes have mined negatives, ``map_mines`` which of them have these from a linear map.
    ``pace`` is that of this recipe; ``num_batches`` gives those of an epoch of so many pairs.
    """

    def mining_s(passes: int) -> float:
        mined = [number for number in range(first, first + passes) if mines_before(number)]
        return sum(pace.judging_s + (0 if map_mines(number) else pace.encoding_s) for number in mined)

    usable_s = (1 - _LEFT_OVER) * time_s - 2 * pace.dev_s
    passes, reasons = _passes(pace, recipe, mining_s, usable_s)
    evals = max(1, min(recipe.evals_per_pass, math.floor(_DEV * usable_s / (passes * max(pace.dev_s, 1e-9))) - 1))
    if evals < recipe.evals_per_pass:
        reasons.append(
            f"dev measurements a pass: {evals} instead of {recipe.evals_per_pass}, as each takes {pace.dev_s:.3g} s"
        )
    num_mined = sum(map(mines_before, range(first, first + passes)))
    fixed_s = mining_s(passes) + passes * ((evals + 1) * pace.dev_s)
    step_s = num_mined * pace.mined_step_s + (passes - num_mined) * pace.plain_step_s
    epoch_s = step_s * num_batches(num_pairs)
    left_s, least = max(0.0, usable_s - fixed_s), min(1.0, recipe.epochs)
    epochs = left_s / epoch_s
    if epochs >= least:
        chosen, pairs = min(recipe.epochs, max(least, math.floor(100 * epochs) / 100)), num_pairs
    else:
        fitting = math.floor(left_s / (step_s * least))
        chosen, pairs = least, max(0, bisect_right(range(num_pairs + 1), fitting, key=num_batches) - 1)
    reasons += _why(chosen, pairs, recipe=recipe, num_pairs=num_pairs, epoch_s=epoch_s)
    steps = num_batches(pairs) * chosen
    return Plan(
        epochs=chosen,
        passes=passes,
        num_pairs=pairs,
        evals_per_pass=evals,
        estimate_s=fixed_s + steps * step_s,
        reasons=tuple(reasons),
    )


def _passes(
    pace: Pace, recipe: TrainRecipe, mining_s: Callable[[int], float], usable_s: float
) -> tuple[int, list[str]]:
    passes = recipe.passes
    while passes > 1 and mining_s(passes) > _MINING * usable_s:
        passes -= 1
    if passes == recipe.passes:
        return passes, []
    return passes, [
        f"{_number(passes, 'pass')} instead of {recipe.passes}: mining takes {pace.mining_s:.3g} s each time"
    ]


def _why(epochs: float, pairs: int, *, recipe: TrainRecipe, num_pairs: int, epoch_s: float) -> list[str]:
    took = f"an epoch of all {num_pairs} pairs in all passes takes {epoch_s:.3g} s"
    if pairs < num_pairs:
        return [f"{pairs} of {num_pairs} pairs: {took}"]
    if epochs < recipe.epochs:
        return [f"{epochs:g} epochs a pass instead of {recipe.epochs:g}: {took}"]
    return [f"all that the recipe asks for: {took}"]


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}es"
