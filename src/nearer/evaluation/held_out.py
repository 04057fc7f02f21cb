"""Slices that are held out of training whole: queries that meet a condition go into a test split of their own."""

from collections.abc import Collection, Mapping, Sequence

from nearer.core.errors import InputError
from nearer.core.filters import Filter, fields_in, matches, parse_where
from nearer.core.records import Query
from nearer.core.sections import SplitRecipe
from nearer.core.types import FieldType
from nearer.retrieval.fields import FieldTypes
from nearer.store.collection import LEAKED
from nearer.store.workspace import Workspace

_PREFIX = "test_"


def held_out_splits(recipe: SplitRecipe) -> list[str]:
    """The names of the splits that the recipe holds out.

    >>> held_out_splits(SplitRecipe(held_out={"unseen_period": "year>=2024"}))
    ['test_unseen_period']
    """
    return [f"{_PREFIX}{name}" for name in recipe.held_out]


def find_held_out(workspace: Workspace) -> dict[str, list[str]]:
    """The splits held out that each query belongs to, by its id, for the queries that are not there or elsewhere too.

    Queries that were set aside stay so. Raises InputError for a condition that no query meets or that does not fit the
    queries' fields, for a split that others than those who meet it are in, and where a model was trained already while
    the queries were in train or dev.
    """
    collection, recipe = workspace.collection, workspace.recipe.split
    queries = collection.queries() if recipe.held_out else []
    if not queries:
        return {}
    splits_of = collection.split_of()
    wanted: dict[str, list[str]] = {}
    for split, name in zip(held_out_splits(recipe), recipe.held_out, strict=True):
        members = _meeting(name, recipe.held_out[name], queries, workspace.recipe.columns.queries.texts)
        _refuse_others(split, members, splits_of)
        for query_id in members:
            wanted.setdefault(query_id, []).append(split)
    misplaced = {
        query_id: splits
        for query_id, splits in wanted.items()
        if LEAKED not in splits_of.get(query_id, ()) and sorted(splits) != sorted(splits_of.get(query_id, ()))
    }
    _refuse_trained_on(workspace, misplaced, splits_of)
    return misplaced


def _meeting(
    name: str, conditions: str | Sequence[str], queries: Sequence[Query], texts: Collection[str]
) -> dict[str, None]:
    """The ids of the queries that meet all conditions."""
    written = [conditions] if isinstance(conditions, str) else list(conditions)
    try:
        condition = _parse(written, queries, texts)
    except InputError as error:
        raise InputError(f"split.held_out.{name}: {error.message}", hint=error.hint) from error
    found = dict.fromkeys(query.query_id for query in queries if matches(condition, query.metadata))
    if not found:
        raise InputError(
            f"split.held_out.{name}: no query meets {' and '.join(written)}",
            hint="correct the condition, or take it out of nearer.toml until there are such queries",
        )
    return found


def _parse(written: Sequence[str], queries: Sequence[Query], texts: Collection[str]) -> Filter:
    condition = parse_where(written, {field: _type_of(field, queries, texts) for field in fields_in(written)})
    assert condition is not None, "the recipe has a condition for every name"
    return condition


def _type_of(field: str, queries: Sequence[Query], texts: Collection[str]) -> FieldType:
    """The type of a field's values. Raises InputError for an unknown field, mixed types, and objects."""
    types = FieldTypes([field], texts=texts, noun="query")
    for query in queries:
        types.see(query.query_id, query.metadata)
    if field not in (found := types.found()):
        known = ", ".join(sorted({name for query in queries for name in query.metadata})) or "none"
        raise InputError(f"no query has the field {field!r}", hint=f"the fields are: {known}")
    return found[field]


def _refuse_others(split: str, members: Mapping[str, None], splits_of: Mapping[str, Sequence[str]]) -> None:
    others = [query_id for query_id, splits in splits_of.items() if split in splits and query_id not in members]
    if others:
        raise InputError(
            f"there is a split {split!r} already, with {len(others)} queries that do not meet the condition of "
            f"split.held_out.{split.removeprefix(_PREFIX)}, such as {others[0]!r}",
            hint="hold the slice out under another name",
        )


def _refuse_trained_on(
    workspace: Workspace, misplaced: Mapping[str, Sequence[str]], splits_of: Mapping[str, Sequence[str]]
) -> None:
    """A slice that a model has learnt from, or was chosen by, is not held out of it."""
    known = [
        query_id
        for query_id, splits in misplaced.items()
        if not {"train", "dev"}.isdisjoint(splits_of.get(query_id, ()))
        and not set(splits) <= set(splits_of[query_id])  # else only an import put it there once more
    ]
    trained = workspace.registry.trained_parts()
    if known and trained:
        raise InputError(
            f"split.held_out: {len(known)} queries, such as {known[0]!r}, are in train or dev, and {trained[-1]} was "
            "trained since: it may know them",
            hint="hold slices out before the first training: import into a new workspace, nearer init DIR",
        )


def judging_split(workspace: Workspace) -> str:
    """The split that judges a release: ``test``, else the first whose name begins so, held out ones last.

    Dev, where judged queries are so few that all of them are there.

    Raises InputError where there is none.
    """
    held_out = held_out_splits(workspace.recipe.split)
    names = [name for name in workspace.collection.splits() if name.startswith("test")]
    names.sort(key=held_out.__contains__)
    if not names and workspace.collection.waiting_queries():
        return "dev"  # all judged queries are there
    if not names:
        raise InputError("there is no test split to judge by", hint="see: nearer check")
    return "test" if "test" in names else names[0]
