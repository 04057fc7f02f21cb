"""What fine-tuning would bring, forecast from short trainings on few pairs; nothing of them is kept."""

import time
from collections.abc import Callable, Sequence

from nearer.advice.learning_curve import SHARES, measure_curve
from nearer.core.progress import Progress, Silent
from nearer.core.results.advice import LearningCurve
from nearer.store.workspace import Workspace


def learning_curve(
    workspace: Workspace,
    *,
    shares: Sequence[float] = SHARES,
    max_pairs: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LearningCurve:
    """Train the base on ``shares`` of some pairs, measure each on dev, and forecast nDCG@10 with all pairs there are.

    The largest training has ``max_pairs`` pairs (the recipe's ``advise.curve_pairs`` by default), or all. Nothing
    stops early, so that no dev query has chosen what it measures, and a curve that falls is seen to fall. Queries
    that leak are left out as in training. No trained model is registered and no file stays, but for cached vectors of
    the base.

    Raises InputError for shares or numbers that cannot be and for data that cannot be measured, RecipeError for
    settings or data that cannot be trained with.
    """
    return measure_curve(workspace, shares=shares, max_pairs=max_pairs, progress=progress or Silent(), clock=clock)
