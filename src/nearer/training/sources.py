"""Whose judgments a training learns from, and what an epoch draws of each source of pairs."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from nearer.core.errors import RecipeError
from nearer.core.ids import content_id
from nearer.core.judging import named_sources
from nearer.core.progress import Progress
from nearer.core.recipe import with_keys
from nearer.core.records import JUDGMENT_SOURCES, TRUSTED
from nearer.core.results.training import TrainingData
from nearer.learn.batch_sampler import Source, sources_of
from nearer.learn.examples import Example
from nearer.store.workspace import Workspace

_NUM_RECORDED, _NUM_SAID = 50, 8
"""Sources that are written down, and that are printed: a field may have a value for every query."""


def with_sources(workspace: Workspace, sources: str) -> Workspace:
    """The same workspace, in which training learns from judgments of these sources; as the recipe says without any.

    "human" takes what came from files too. Raises InputError for a source that is none.
    """
    if not sources:
        return workspace
    named = {*named_sources(sources, option="--sources")}
    wanted = [each for each in JUDGMENT_SOURCES if each in (named | {*TRUSTED} if "human" in named else named)]
    return workspace.with_recipe(with_keys(workspace.recipe, {"train.judged_by": wanted}))


def refuse_absent(workspace: Workspace) -> None:
    """Raises RecipeError where a source that is learned from judged nothing; of people and files one is enough."""
    wanted = workspace.recipe.train.judged_by
    if wanted == TRUSTED:
        return
    there = Counter(each.source for each in workspace.collection.all_judgments())
    people = [each for each in wanted if each in TRUSTED]
    absent = [each for each in wanted if each not in TRUSTED and not there[each]]
    if people and not any(there[each] for each in people):
        absent = [people[0], *absent]
    if absent:
        known = ", ".join(f"{name} ({number})" for name, number in sorted(there.items())) or "none"
        raise RecipeError(
            f"no judgments of {absent[0]}; there are: {known}",
            hint="name others: nearer train --sources human; or make them: nearer clicks judge, synthesize, judge",
        )


def capped(examples: Sequence[Example], caps: Mapping[str, int], *, seed: int, progress: Progress) -> list[Example]:
    """At most so many examples of a source, drawn at random, in their order.

    Raises RecipeError for a source of which there are none.
    """
    of_source: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        of_source.setdefault(example.source_name, []).append(row)
    if unknown := sorted(caps.keys() - of_source.keys()):
        raise RecipeError(
            f"train.source_caps names {', '.join(map(repr, unknown))}, of which there are no training pairs",
            hint=f"the sources are: {', '.join(sorted(of_source)) or 'none'}",
        )
    dropped: set[int] = set()
    for name, rows in of_source.items():
        if len(rows) > caps.get(name, len(rows)):
            kept = set(random.Random(seed).sample(rows, caps[name]))
            dropped |= set(rows) - kept
            progress.say(f"takes {caps[name]} of {len(rows)} pairs of the source {name}, its cap")
    return [example for row, example in enumerate(examples) if row not in dropped]


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
