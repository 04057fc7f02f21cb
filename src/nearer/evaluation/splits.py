"""Which side each query is on, and which queries leak from one side to another."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.near_duplicates import Grouping, cluster_texts
from nearer.core.records import Judgment, Query
from nearer.core.sections import SplitRecipe
from nearer.core.text import normalise
from nearer.core.types import as_number, as_time, group_of
from nearer.evaluation.held_out import find_held_out, held_out_splits
from nearer.store.changing import end_waiting, leave_split, move_to_split, put_split
from nearer.store.collection import CLICKED, LEAKED, SYNTHETIC, SYNTHETIC_ID
from nearer.store.workspace import Workspace

_ORDER = {"train": 0, SYNTHETIC: 1, "dev": 2}
"""Test splits come last: of two queries that leak, the one on the earlier side is set aside."""


FEW_QUERIES = 100
"""Below so many judged queries, all of them are dev, and nothing is kept for training and test.

Of 100 the default split gives test 20 and dev 10. With fewer, two systems can seldom be told apart: Buckley and
Voorhees, Evaluating Evaluation Measure Stability (2000), section 5, ask for 25 queries at least, and better 50.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Two queries on two sides that know of each other; ``set_aside`` is the one to take out."""

    kind: str
    set_aside: str
    kept: str


def ensure_splits(workspace: Workspace) -> dict[str, int]:
    """Give every query that is in no split its side, and set aside what would leak; how many went where.

    Splits that were imported by name stay as they are (`nearer check` tells what leaks between them), but for the
    queries that the recipe holds out: those are taken from wherever they are. Where the recipe says nothing of splits
    and fewer than ``FEW_QUERIES`` queries are judged, all are dev; they are divided once there are enough, unless a
    model was trained meanwhile.
    """
    new, held_out = workspace.collection.unsplit_queries(), find_held_out(workspace)
    together = _together(workspace)
    if together is not None and _are_few(workspace, together):
        return _keep_together(workspace, new)
    if together:
        new = _divide(workspace, new, together)
    return _give_sides(workspace, new, held_out) if new or held_out else {}


def _give_sides(workspace: Workspace, new: Sequence[Query], held_out: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Give queries their sides, set aside what would leak, and hold out what the recipe holds out."""
    collection, recipe = workspace.collection, workspace.recipe.split
    side_of = assign([query for query in new if query.query_id not in held_out], recipe=recipe)
    side_of |= {query_id: splits[0] for query_id, splits in held_out.items()}
    known = {query_id: splits[0] for query_id, splits in collection.split_of().items()}
    leaks = find_leaks(
        collection.queries(),
        {query_id: (side,) for query_id, side in {**known, **side_of}.items()},
        recipe=recipe,
        judgments=collection.judgments(),
    )
    are_new = {query.query_id for query in new}
    for leak in leaks:
        if leak.set_aside in are_new:
            side_of[leak.set_aside] = LEAKED
        elif leak.kept in are_new:
            side_of[_yields(workspace, leak)] = LEAKED
    members: defaultdict[str, list[str]] = defaultdict(list)
    for query_id, side in side_of.items():
        members[side].append(query_id)
    with workspace.write("split") as connection:
        for side, query_ids in members.items():
            move_to_split(connection, side, query_ids)
        for query_id, splits in held_out.items():
            for split in splits[1:] if side_of[query_id] != LEAKED else ():
                put_split(connection, split, [query_id])
    failpoint("splits.commit")
    return {side: len(query_ids) for side, query_ids in sorted(members.items())}


def _yields(workspace: Workspace, leak: Leak) -> str:
    """The query to set aside: one of clicks or written here, as long as no model knows it, else the new one."""
    is_known = _is_trained(workspace) or not _is_made(leak.set_aside)
    return leak.kept if is_known else leak.set_aside


def _is_made(query_id: str) -> bool:
    """Whether a query is of the log of clicks alone, or was written here."""
    return query_id.startswith((f"{CLICKED}-", SYNTHETIC_ID))


def _is_trained(workspace: Workspace) -> bool:
    registry = workspace.registry
    return bool(registry.last_training(("train", "adapt")) or registry.rerankers())


def few_queries(workspace: Workspace) -> int | None:
    """How many judged queries there are, where they are so few that all of them are dev; else None."""
    return workspace.collection.num_judged_queries() if _together(workspace) else None


def _together(workspace: Workspace) -> set[str] | None:
    """The queries that are in dev for they are few; empty while no query has a side, None once they were divided."""
    waiting = workspace.collection.waiting_queries()
    is_divided = any(not _is_made(query_id) for query_id in workspace.collection.split_of())
    return None if is_divided and not waiting else waiting


def _are_few(workspace: Workspace, together: set[str]) -> bool:
    """Whether nobody divided the queries, in the recipe or by names in an import, and few are judged."""
    collection, recipe = workspace.collection, workspace.recipe.split
    if recipe.model_fields_set - {"seed"} or collection.num_judged_queries() >= FEW_QUERIES:
        return False
    return all(query_id in together or _is_made(query_id) for query_id in collection.split_of())


def _keep_together(workspace: Workspace, new: Sequence[Query]) -> dict[str, int]:
    if not new:
        return {}
    ids = [query.query_id for query in new]
    with workspace.write("split") as connection:
        put_split(connection, "dev", ids, is_waiting=True)
    return {"dev": len(ids)}


def _divide(workspace: Workspace, new: Sequence[Query], together: set[str]) -> list[Query]:
    """The queries to give a side: the new ones, and those that were dev while few, unless a model knows them."""
    if _is_trained(workspace):
        with workspace.write("split") as connection:
            end_waiting(connection)
        return list(new)
    waiting = [query for query in workspace.collection.queries("dev") if query.query_id in together]
    with workspace.write("split") as connection:
        leave_split(connection, "dev", [query.query_id for query in waiting])
    return [*new, *waiting]


def assign(queries: Sequence[Query], *, recipe: SplitRecipe) -> dict[str, str]:
    """The side of each query. A side depends on the query (its near-duplicates, its group) alone, so it stays.

    Raises InputError when a query lacks the field that the recipe splits by.
    """
    match recipe.by:
        case "query":
            first = cluster_texts([query.text for query in queries])
            return {
                query.query_id: _by_fraction(normalise(queries[first[row]].text), recipe)
                for row, query in enumerate(queries)
            }
        case "group":
            return {query.query_id: _side_of_group(group_of(_field(query, recipe)), recipe) for query in queries}
        case "time":
            return {query.query_id: _side_of_time(query, recipe) for query in queries}


def find_leaks(
    queries: Iterable[Query],
    splits_of: Mapping[str, Sequence[str]],
    *,
    recipe: SplitRecipe,
    judgments: Sequence[Judgment] = (),
) -> list[Leak]:
    """Queries on two sides that are the same, or nearly the same text.

    With a split by group, also those of the same group or with the same document judged relevant (grade above 0), but
    for queries that are held out by another rule. Two test splits are one side.
    """
    members = [query for query in queries if _sides(splits_of.get(query.query_id, ()))]
    sides = {query.query_id: _sides(splits_of[query.query_id]) for query in members}
    side = {query_id: its_sides[-1] for query_id, its_sides in sides.items()}
    found = {(query_id, query_id): "same query" for query_id, its_sides in sides.items() if len(its_sides) > 1}

    def meet(kind: str, left: str, right: str) -> None:
        if side[left] != side[right]:
            found.setdefault((min(left, right), max(left, right)), kind)

    for query_ids in _by_near_text(members, side):
        for left, right in _across(query_ids, side):
            meet("near-duplicate query", left, right)
    if recipe.by == "group":
        apart = {LEAKED, *held_out_splits(recipe)}
        drawn = {query_id: its_side for query_id, its_side in side.items() if not apart.issuperset(splits_of[query_id])}
        for kind, sharing in (("same group", _by_group(members, recipe)), ("same document", _by_document(judgments))):
            for query_ids in sharing:
                for left, right in _across(query_ids, drawn):
                    meet(kind, left, right)
    return [_leak(kind, pair, side) for pair, kind in found.items()]


def leaks_of(workspace: Workspace) -> list[Leak]:
    """Every leak between the workspace's splits as they are."""
    collection = workspace.collection
    return find_leaks(
        collection.queries(),
        collection.split_of(),
        recipe=workspace.recipe.split,
        judgments=collection.judgments(),
    )


def drop_leaks(workspace: Workspace, leaks: Sequence[Leak]) -> int:
    """Set aside the queries that leak, so that they are neither trained nor tested on; how many.

    A query that is itself in splits of several sides stays in those of the latest side.
    """
    splits_of = workspace.collection.split_of()
    on_two_sides = {leak.kept for leak in leaks if leak.kept == leak.set_aside}
    set_aside = {leak.set_aside for leak in leaks} - on_two_sides
    with workspace.write("check") as connection:
        move_to_split(connection, LEAKED, sorted(set_aside))
        for query_id in sorted(on_two_sides):
            latest = _sides(splits_of[query_id])[-1]
            for split in splits_of[query_id]:
                if latest not in _sides([split]):
                    leave_split(connection, split, [query_id])
    return len(set_aside) + len(on_two_sides)


def _sides(splits: Sequence[str]) -> list[str]:
    """The sides (train, dev, test) of a query that is in these splits, the latest last; none when it was set aside."""
    return sorted({"test" if split.startswith("test") else split for split in splits if split != LEAKED}, key=_rank)


def _rank(side: str) -> int:
    return _ORDER.get(side, 3)


def _leak(kind: str, pair: tuple[str, str], side: Mapping[str, str]) -> Leak:
    earlier, later = sorted(pair, key=lambda query_id: (_rank(side[query_id]), query_id))
    return Leak(kind=kind, set_aside=earlier, kept=later)


def _across(query_ids: Sequence[str], side: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Pairs that bring every query not on the latest side together with one that is."""
    present = sorted((query_id for query_id in query_ids if query_id in side), key=lambda q: _rank(side[q]))
    return [(query_id, present[-1]) for query_id in present[:-1]]


def _by_near_text(queries: Sequence[Query], side: Mapping[str, str]) -> Iterator[list[str]]:
    """The queries of one text, and those of every two texts that nearly repeat each other, if on several sides."""
    grouping = Grouping(query.text for query in queries)
    members = grouping.members()
    ranks = np.array([_rank(side[query.query_id]) for query in queries], np.int64)
    first_G = np.array([ranks[rows].min() for rows in members], np.int64)
    last_G = np.array([ranks[rows].max() for rows in members], np.int64)

    def apart(group: int, others: Ints) -> Bools:
        first_O, last_O = np.minimum(first_G[others], first_G[group]), np.maximum(last_G[others], last_G[group])
        return np.asarray(first_O != last_O)

    for group in np.flatnonzero(first_G != last_G).tolist():
        yield [queries[row].query_id for row in members[group]]
    for left, right in grouping.pairs(wanted=apart):
        yield [queries[row].query_id for row in (*members[left], *members[right])]


def _by_group(queries: Sequence[Query], recipe: SplitRecipe) -> list[list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for query in queries:
        if query.metadata.get(recipe.field or "") is not None:
            groups[group_of(_field(query, recipe))].append(query.query_id)
    return list(groups.values())


def _by_document(judgments: Sequence[Judgment]) -> list[list[str]]:
    judged: defaultdict[str, list[str]] = defaultdict(list)
    for judgment in judgments:
        if judgment.grade > 0:
            judged[judgment.doc_id].append(judgment.query_id)
    return list(judged.values())


def _field(query: Query, recipe: SplitRecipe) -> object:
    assert recipe.field is not None, "the recipe was validated"
    if query.metadata.get(recipe.field) is None:
        raise InputError(
            f"query {query.query_id!r} has no metadata field {recipe.field!r}, which split.by = {recipe.by!r} needs",
            hint="add the field to every query, or change split.field",
        )
    return query.metadata[recipe.field]


def _side_of_group(group: str, recipe: SplitRecipe) -> str:
    if recipe.test_groups or recipe.dev_groups:
        test_groups, dev_groups = map(group_of, recipe.test_groups), map(group_of, recipe.dev_groups)
        return "test" if group in test_groups else "dev" if group in dev_groups else "train"
    return _by_fraction(group, recipe)


def _side_of_time(query: Query, recipe: SplitRecipe) -> str:
    """Numbers compare by size, years and ISO 8601 dates by time; text from CSV as what it says.

    Raises InputError where the field and the bounds do not compare.
    """
    value, dev_from, test_from = _field(query, recipe), recipe.dev_from, recipe.test_from
    for read in (_as_number, as_time):
        time, dev, test = read(value), read(dev_from), read(test_from)
        if time is not None and dev is not None and test is not None:
            return "test" if time >= test else "dev" if time >= dev else "train"
    raise InputError(
        f"query {query.query_id!r} has the time {value!r}, which does not compare with {dev_from!r} and {test_from!r}",
        hint="write the field, split.dev_from and split.test_from alike: as numbers, or as years or dates such as "
        "2024-05-31",
    )


def _as_number(value: object) -> float | None:
    value = as_number(value.strip()) if isinstance(value, str) else value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _by_fraction(key: str, recipe: SplitRecipe) -> str:
    """A side drawn by a hash of the key, so that a query added later never moves another."""
    digest = hashlib.sha256(f"{recipe.seed}:{key}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") / 2**64
    if draw < recipe.test_fraction:
        return "test"
    return "dev" if draw < recipe.test_fraction + recipe.dev_fraction else "train"
