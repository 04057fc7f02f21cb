"""What a training learns from, as it is written down and said: its pairs, and what an epoch draws of each source."""

from collections.abc import Mapping, Sequence

from nearer.core.ids import content_id
from nearer.core.progress import Progress
from nearer.core.results.training import TrainingData
from nearer.learn.batch_sampler import Source, sources_of
from nearer.learn.examples import Example
from nearer.store.workspace import Workspace

_NUM_RECORDED, _NUM_SAID = 50, 8
"""Sources that are written down, and that are printed: a field may have a value for every query."""


def data_of(examples: Sequence[Example], workspace: Workspace, revision: int, *, at_end: int) -> TrainingData:
    """What was learned from, read at ``revision``, and what an epoch draws of each source, most first."""
    sources = sources_of(examples, workspace.recipe.train.source_weights)
    return TrainingData(
        num_pairs=len(examples),
        pairs_id=content_id("pairs", [(e.anchor, e.positive) for e in examples]),
        num_sources=len(sources),
        sources=tuple(source.described for source in _largest(sources)[:_NUM_RECORDED]),
        revision=revision,
        revision_at_end=at_end,
    )


def say_sources(examples: Sequence[Example], weights: Mapping[str, float], progress: Progress) -> None:
    """Say what an epoch draws of each source, most first, where there are several."""
    sources = sources_of(examples, weights)
    if len(sources) < 2:
        return
    largest = _largest(sources)[:_NUM_SAID]
    summary = [f"{each.num_drawn} of {each.name} ({len(each.rows_S)} pairs x {each.weight:g})" for each in largest]
    more = [f"and {len(sources) - len(summary)} more sources"] if len(sources) > len(summary) else []
    progress.say(f"an epoch draws {', '.join([*summary, *more])}")


def _largest(sources: Sequence[Source]) -> list[Source]:
    return sorted(sources, key=lambda source: -source.num_drawn)
