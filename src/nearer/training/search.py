"""Which settings a search tries next: Optuna's tree-structured Parzen estimator over what was tried before."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearer.core.recipe import Recipe
from nearer.core.results.training_plan import Settings, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_MARGIN, _MARGINS = "mining.margin", "mining.margins"
_RANDOM = 4
"""Trials before the estimator is asked. Our rule: it needs some to tell good from bad, and searches are small."""


def suggest(recipe: Recipe, finished: Sequence[Trial], *, longest: float, num_examples: int, mines: bool) -> Settings:
    """The settings of the next trial; the first is the recipe as it is. ``longest`` are the most epochs.

    Each is drawn with a seed of its own from what is finished, so that a search that was killed goes on as it would
    have. Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization (2011), section 4.
    """
    import optuna

    ranges = space(recipe, longest=longest, num_examples=num_examples, mines=mines)
    if not finished:
        return _settings({name: _own(recipe, name) for name in ranges}, recipe)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=recipe.train.seed + len(finished), n_startup_trials=_RANDOM)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.add_trials([_trial(each, ranges) for each in finished])
    return _settings(study.ask(ranges).params, recipe)


def space(recipe: Recipe, *, longest: float, num_examples: int, mines: bool) -> "dict[str, BaseDistribution]":
    """What is searched, around the recipe's values; of mining only where a pass mines."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    train, mining = recipe.train, recipe.mining
    sizes = {size for size in (train.batch_size // 2, 2 * train.batch_size) if 2 <= size <= num_examples}
    ranges: dict[str, BaseDistribution] = {
        "train.learning_rate": FloatDistribution(train.learning_rate / 5, train.learning_rate * 5, log=True),
        "train.epochs": FloatDistribution(min(train.epochs, longest / 4), longest),
        "train.scale": FloatDistribution(train.scale / 2, train.scale * 2, log=True),
        "train.batch_size": CategoricalDistribution(sorted({train.batch_size, *sizes})),
    }
    if mines:
        fewest = max(mining.num_drawn, mining.top_k // 2)
        ranges["mining.top_k"] = IntDistribution(fewest, 5 * max(fewest, mining.top_k), log=True)
    if mines and mining.margins:
        ranges[_MARGIN] = CategoricalDistribution(sorted(mining.margins))
    return ranges


def _own(recipe: Recipe, name: str) -> Any:
    if name == _MARGIN:
        return max(recipe.mining.margins)
    section, _, key = name.partition(".")
    return getattr(getattr(recipe, section), key)


def _settings(params: Settings, recipe: Recipe) -> Settings:
    """Values of the recipe: a margin stands for the list from it on."""
    settings = dict(params)
    if isinstance(margin := settings.pop(_MARGIN, None), int | float):
        settings[_MARGINS] = tuple(each for each in recipe.mining.margins if each <= margin)
    return settings


def _trial(finished: Trial, ranges: "Mapping[str, BaseDistribution]") -> "FrozenTrial":
    import optuna

    params = dict(finished.settings)
    if isinstance(margins := params.pop(_MARGINS, None), tuple):
        params[_MARGIN] = max(margins)
    if finished.value is None:
        state, value = optuna.trial.TrialState.FAIL, None
    else:
        state, value = optuna.trial.TrialState.COMPLETE, finished.value
    return optuna.trial.create_trial(state=state, value=value, params=params, distributions=dict(ranges))
