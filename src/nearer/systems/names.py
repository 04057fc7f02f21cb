"""What a system may be called: an encoder's name, and stages after plus signs."""

from collections.abc import Iterable
from difflib import get_close_matches
from os import PathLike, fspath

from nearer.core.errors import InputError, NotFound
from nearer.core.sections import SearchRecipe

BASE = "base"
LIVE = "live"
RUN = "run:"
"""What the name of a ranking from elsewhere begins with: ``run:FILE``."""

STAGES = {
    "filter": "only documents that pass search.filters",
    "bm25": "words instead of vectors",
    "rrf": "vectors and words, by reciprocal rank fusion",
    "hybrid": "vectors and words, by a weighted sum of their scores",
    "boost": "search.boosts added to the scores",
    "rerank": "the best read anew by the cross-encoder of search.rerank",
}
"""What may follow the name of an encoder after a plus sign, in the order in which it is done."""
_RANKINGS = ("bm25", "rrf", "hybrid")


def parse_name(name: str) -> tuple[str, tuple[str, ...]]:
    """The name of the encoder in a system's name, and the stages.

    >>> parse_name("live+rerank"), parse_name("hybrid")
    (('live', ('rerank',)), ('base', ('hybrid',)))
    """
    first, *rest = name.split("+")
    stages = (first, *rest) if first in STAGES else tuple(rest)
    unknown = [stage for stage in stages if stage not in STAGES]
    if stages and len(unknown) == len(stages) and first not in (BASE, LIVE):  # a folder with a plus sign in its name
        return name, ()
    if unknown:
        raise InputError(f"{name}: {unknown[0]!r} is no stage", hint=f"the stages are: {', '.join(STAGES)}")
    return (BASE if first in STAGES else first), in_order(stages)


def unknown_system(name: str, known: Iterable[str]) -> NotFound:
    """The fault of a name that no system has, with all that there are and the one that is nearly written so.

    >>> unknown_system("Bm25", ["base"]).hint.partition(";")[0]
    'perhaps bm25'
    """
    names = [*dict.fromkeys(known), *STAGES]
    near = get_close_matches(name.strip().lower(), names, n=1, cutoff=0.7)
    perhaps = f"perhaps {near[0]}; " if near else ""
    hint = f"{perhaps}a model comes of nearer train, from a folder, or from the Hub as OWNER/MODEL"
    return NotFound(f"no system {name!r}; there are: {', '.join(names)}", hint=hint)


def in_order(stages: Iterable[str]) -> tuple[str, ...]:
    """Stages in the order in which they are done, each once. Raises InputError for two that do not go together."""
    found = set(stages)
    if len(ranking := found.intersection(_RANKINGS)) > 1:
        raise InputError(f"{' and '.join(sorted(ranking))} do not go together", hint="name one of them")
    return tuple(stage for stage in STAGES if stage in found)


def refuse_stages(name: str) -> None:
    """Raise InputError for a name of more than a model, where only that can be trained."""
    encoder_name, stages = parse_name(name)
    if stages:
        raise InputError(f"{name} is more than a model", hint=f"train the model itself: --from {encoder_name}")


def refuse_run(name: str) -> None:
    """Raise InputError for a ranking from elsewhere, where a model is wanted."""
    if name.startswith(RUN):
        hint = f"it can only be measured: nearer evaluate base {name}"
        raise InputError(f"{name} is a ranking, not a model", hint=hint)


def refuse_undescribed(stages: Iterable[str], search: SearchRecipe) -> None:
    """Raise InputError for a stage that the recipe does not describe."""
    examples = {
        "filter": ("filters", search.filters, '["jurisdiction=query.jurisdiction"]'),
        "boost": ("boosts", search.boosts, "{ year = { weight = 0.1, low = 2000, high = 2026 } }"),
        "rerank": ("rerank.model", search.rerank.model, '"cross-encoder/ms-marco-MiniLM-L6-v2"'),
    }
    for stage in stages:
        key, value, example = examples.get(stage, ("", True, ""))
        if not value:
            hint = f"for example, in nearer.toml: search.{key} = {example}; nearer advise finds out what is worth it"
            raise InputError(f"+{stage} needs search.{key}, and the recipe has none", hint=hint)


def named_systems(systems: Iterable[str | PathLike[str]]) -> list[str]:
    """The names of systems, of which a model's folder may be a path.

    Raises InputError for one text or path where a list is wanted: Python would take each letter for a system.
    """
    if isinstance(systems, str | PathLike):
        name = fspath(systems)
        raise InputError(f"the systems are the text {name!r}, not a list", hint=f"write a list: [{name!r}]")
    return [fspath(each) for each in systems]
