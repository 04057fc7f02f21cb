"""Sets of pairs that people judge: planned with their price, and started."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.core.progress import Progress, Silent
from nearer.core.records import Query
from nearer.core.results.people import LabelPlan
from nearer.evaluation.grades import max_grade_of
from nearer.evaluation.pooling import Pooled, choose, pool, rank_all
from nearer.evaluation.ready import refuse_without
from nearer.flows.judge_sheet import read_asked
from nearer.store.changing import put_queries
from nearer.store.collection import batches
from nearer.store.formats.guideline import read_guideline
from nearer.store.label_records import LabelSet, PairToLabel
from nearer.store.labels import Labels
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE

PRICES_USD = (0.50, 2.00)
"""What a judgment costs: the least and the most that teams pay, in US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """How a set is made.

    ``count`` pairs of the pool, or all. ``cap`` ratings a pair at most, one more on the share ``overlap``; ``gold``
    pairs whose grade is known check the raters. ``strategy``: see ``evaluation/pooling.py``.
    """

    split: str = "dev"
    systems: tuple[str, ...] = ()
    depth: int = 10
    count: int | None = None
    strategy: str = "random"
    cap: int = 1
    overlap: float = 0.15
    gold: int = 0
    guideline: Path | None = None
    name: str = "labels"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.depth < 1 or self.cap < 1 or self.gold < 0 or not 0 <= self.overlap <= 1 or not self.name.strip():
            hint = "--depth 10 --cap 1 --overlap 0.15 --gold 5 --name labels"
            raise InputError(
                "depth and cap are at least 1, gold 0, overlap a share from 0 to 1; a set has a name", hint=hint
            )


def start_labels(
    workspace: Workspace,
    queries: Path | str | None = None,
    *,
    options: LabelOptions | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> LabelPlan:
    """Pool what systems find for the queries of a file, or of a split, and choose what people judge.

    With ``dry_run`` nothing is kept: it says how many ratings that would be and what they cost. Raises InputError
    without documents or queries, and for options that cannot work; Conflict for a name that is taken.
    """
    options = options or LabelOptions()
    refuse_without(workspace, "documents", outcome="nothing can be found")
    max_grade = max_grade_of(workspace)
    guideline = read_guideline(options.guideline, max_grade=max_grade)
    asked = read_asked(workspace, Path(queries)) if queries else workspace.collection.queries(options.split)
    if not asked:
        raise InputError(f"split {options.split!r} has no query", hint="name a file: nearer label start QUERIES")
    systems = options.systems or (LIVE if workspace.registry.live() else BASE, "bm25")
    rankings = rank_all(workspace, systems, asked, depth=options.depth, progress=progress or Silent())
    pooled, ids = pool(rankings), {query.query_id for query in asked}
    known = {(j.query_id, j.doc_id): j.grade for j in workspace.collection.judgments() if j.query_id in ids}
    chosen = choose(pooled, count=options.count, strategy=options.strategy, judged=known, seed=options.seed)
    if not chosen:
        raise InputError("all that is found is judged already", hint="more queries, systems or --depth")
    label_set = LabelSet(
        set_id=content_id("labels", [options.name, utc_now()], num_hex=12),
        name=options.name.strip(),
        created_at=utc_now(),
        max_grade=max_grade,
        guideline=guideline,
        strategy=options.strategy,
        rankings=rankings,
    )
    pairs = _pairs(label_set.set_id, chosen, _gold(pooled, known, options), options)
    if not dry_run:
        _put_new_queries(workspace, asked)
        Labels(workspace.database).add(label_set, pairs)
    return _plan(
        label_set, pairs, options, pooled=pooled, known=known, asked=asked, notes=_notes(workspace), dry=dry_run
    )


def _notes(workspace: Workspace) -> list[str]:
    if workspace.recipe.grades.max_grade is not None or workspace.collection.largest_grade():
        return []
    return ["what a grade means follows the largest one, until the recipe says: max_grade = 4 under [grades]"]


def _gold(pooled: Sequence[Pooled], known: Mapping[tuple[str, str], int], options: LabelOptions) -> dict[Pooled, int]:
    """Pairs of the pool whose grade is known, as many as are asked for. Raises InputError where there are fewer."""
    found = [each for each in pooled if (each.query_id, each.doc_id) in known]
    if len(found) < options.gold:
        raise InputError(
            f"--gold {options.gold}: {len(found)} pairs of the pool are judged",
            hint="gold checks are pairs that are judged already: judge some first, or ask for fewer",
        )
    drawn = random.Random(options.seed).sample(found, options.gold)
    return {each: known[each.query_id, each.doc_id] for each in drawn}


def _pairs(
    set_id: str, chosen: Sequence[Pooled], gold: Mapping[Pooled, int], options: LabelOptions
) -> list[PairToLabel]:
    rng = random.Random(f"{options.seed} {set_id}")
    twice = set(rng.sample(range(len(chosen)), round(options.overlap * len(chosen))))
    return [
        PairToLabel(
            pair_id=content_id("pair", [set_id, each.query_id, each.doc_id], num_hex=20),
            query_id=each.query_id,
            doc_id=each.doc_id,
            wanted=EVERYBODY if each in gold else options.cap + (row in twice),
            shuffle=rng.randrange(2**31 - 1),
            gold_grade=gold.get(each),
        )
        for row, each in enumerate([*chosen, *gold])
    ]


EVERYBODY = 10**6
"""Ratings that a gold check may have: every rater meets it."""


def _put_new_queries(workspace: Workspace, asked: Sequence[Query]) -> None:
    known = {query.query_id for query in workspace.collection.queries()}
    with workspace.write("label") as connection:
        for batch in batches([query for query in asked if query.query_id not in known]):
            put_queries(connection, batch)


def _plan(
    label_set: LabelSet,
    pairs: Sequence[PairToLabel],
    options: LabelOptions,
    *,
    pooled: Sequence[Pooled],
    known: Mapping[tuple[str, str], int],
    asked: Sequence[Query],
    notes: Sequence[str],
    dry: bool,
) -> LabelPlan:
    own = [each for each in pairs if each.gold_grade is None]
    num_ratings = sum(each.wanted for each in own)
    return LabelPlan(
        name=label_set.name,
        set_id=None if dry else label_set.set_id,
        systems=tuple(label_set.rankings),
        strategy=label_set.strategy,
        max_grade=label_set.max_grade,
        num_queries=len(asked),
        num_pooled=len(pooled),
        num_judged=sum((each.query_id, each.doc_id) in known for each in pooled),
        num_pairs=len(own),
        num_overlapping=sum(each.wanted > options.cap for each in own),
        num_gold=len(pairs) - len(own),
        num_ratings=num_ratings,
        cost_low_usd=PRICES_USD[0] * num_ratings,
        cost_high_usd=PRICES_USD[1] * num_ratings,
        is_started=not dry,
        notes=tuple(notes),
    )
