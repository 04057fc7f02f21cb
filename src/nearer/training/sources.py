"""Whose judgments a training learns from."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from nearer.core.errors import RecipeError
from nearer.core.judging import named_sources
from nearer.core.progress import Progress
from nearer.core.recipe import with_keys
from nearer.core.records import JUDGMENT_SOURCES, TRUSTED
from nearer.learn.examples import Example
from nearer.store.workspace import Workspace


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
