"""How far the raters of a source agree, who is far from the rest, and what their judgments weigh by it."""

from collections.abc import Sequence

import numpy as np

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError
from nearer.core.judging import named_sources
from nearer.core.records import Judgment
from nearer.core.results.people import RaterAgreement, RaterEntry
from nearer.measure.raters import (
    against_others,
    agreement_by_grade,
    alpha_interval,
    dawid_skene,
    far_raters,
)
from nearer.store.changing import weigh_rater
from nearer.store.workspace import Workspace

LEAST_WEIGHT = 0.05
"""What the judgments of a rater who guesses weigh: they are counted and seen, and decide nothing beside another's."""
FEW_SHARED = 30
"""Below so many pairs that several rated, no weight is written: a reliability would be chance."""
UNNAMED = "(unnamed)"


def agreement(workspace: Workspace, *, source: str = "human", write: bool = False, seed: int = 0) -> RaterAgreement:
    """Compare the raters of a source on the pairs that several rated; with ``write`` their reliabilities are weights.

    Raises InputError for what is no source, where fewer than two raters judged, and, to write, where too few pairs
    have several ratings.
    """
    [name, *others] = named_sources(source, option="--source")
    if others:
        raise InputError(f"--source {source}: raters of one source are compared", hint="--source human")
    judgments = [each for each in workspace.collection.all_judgments() if each.source == name]
    raters = sorted({each.rater for each in judgments})
    if len(raters) < 2:
        hint = "nearer label start, or: nearer add judgments FILE --by human:NAME"
        raise InputError(f"{len(raters)} raters of the source {name} have judged; to compare takes two", hint=hint)
    ratings_RU = _ratings(judgments, raters)
    num_shared = int(((~np.isnan(ratings_RU)).sum(axis=0) > 1).sum())
    if write and num_shared < FEW_SHARED:
        raise InputError(
            f"{num_shared} pairs have several ratings, and weights need {FEW_SHARED}",
            hint="have more pairs rated twice: nearer label start --overlap 0.2",
        )
    found = against_others(ratings_RU, seed=seed)
    grade_RU = np.where(np.isnan(ratings_RU), -1, ratings_RU).astype(np.int64)
    truth = dawid_skene(grade_RU, num_grades=int(grade_RU.max()) + 1)
    reliability_of = dict(zip(raters, truth.reliability_R.tolist(), strict=True))
    if write:
        with workspace.write("agreement") as connection:
            for rater in raters:
                weigh_rater(connection, source=name, rater=rater, weight=_weight(reliability_of[rater]))
        judgments = [each for each in workspace.collection.all_judgments() if each.source == name]
    far = far_raters(found)
    entries = tuple(
        RaterEntry(
            rater=rater or UNNAMED,
            num_ratings=int((~np.isnan(ratings_RU[row])).sum()),
            num_shared=each.num_units,
            kappa=each.kappa,
            bias=each.bias,
            reliability=reliability_of[rater],
            weight=_mean_weight(judgments, rater),
            is_far=is_far,
        )
        for row, (rater, each, is_far) in enumerate(zip(raters, found, far, strict=True))
    )
    return RaterAgreement(
        source=name,
        num_raters=len(raters),
        num_pairs=ratings_RU.shape[1],
        num_ratings=len(judgments),
        num_shared=num_shared,
        alpha=alpha_interval(ratings_RU, seed=seed),
        alpha_interval_scale=alpha_interval(ratings_RU, level="interval", seed=seed),
        alpha_nominal=alpha_interval(ratings_RU, level="nominal", seed=seed),
        by_grade={str(grade): each for grade, each in agreement_by_grade(ratings_RU, seed=seed).items()},
        raters=entries,
        far=tuple(each.rater for each in entries if each.is_far),
        is_written=write,
        notes=tuple(_notes(num_shared, len(raters))),
    )


def _ratings(judgments: Sequence[Judgment], raters: Sequence[str]) -> Floats64:
    row_of = {rater: row for row, rater in enumerate(raters)}
    pairs = {pair: column for column, pair in enumerate(sorted({(j.query_id, j.doc_id) for j in judgments}))}
    ratings_RU = np.full((len(raters), len(pairs)), np.nan)
    for each in judgments:
        ratings_RU[row_of[each.rater], pairs[each.query_id, each.doc_id]] = each.grade
    return ratings_RU


def _weight(reliability: float) -> float:
    return round(max(LEAST_WEIGHT, reliability), 4)


def _mean_weight(judgments: Sequence[Judgment], rater: str) -> float:
    return float(np.mean([each.weight for each in judgments if each.rater == rater]))


def _notes(num_shared: int, num_raters: int) -> list[str]:
    notes = []
    if num_shared < FEW_SHARED:
        notes.append(f"only {num_shared} pairs have several ratings: intervals are wide, reliabilities are chance")
    if num_raters == 2:
        notes.append("of two raters nobody can say which one is far from the truth")
    return notes
