"""How far the sets of pairs are that people judge."""

from collections.abc import Mapping, Sequence

import numpy as np

from nearer.core.judging import blend
from nearer.core.records import Judgment
from nearer.core.results.measuring import Interval
from nearer.core.results.people import LabelProgress, LabelStatus, Narrowing, RaterProgress
from nearer.flows.label import PRICES_USD
from nearer.measure.metrics import Measure, evaluate_run
from nearer.measure.significance import mean_intervals
from nearer.store.label_records import RATED, SKIPPED, LabelSet, PairToLabel, Rating
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace

_NDCG = Measure.parse("nDCG@10")


def label_status(workspace: Workspace, name: str | None = None) -> LabelStatus:
    """How far label sets are, who rated, and how far intervals narrowed. Raises NotFound for an unknown name."""
    labels = Labels(workspace.database)
    sets = labels.all() if name is None else [labels.get(name)]
    said = workspace.collection.all_judgments()
    return LabelStatus(sets=tuple(_progress(workspace, labels, each, said) for each in sets))


def _progress(workspace: Workspace, labels: Labels, label_set: LabelSet, said: Sequence[Judgment]) -> LabelProgress:
    pairs = {each.pair_id: each for each in labels.pairs(label_set.set_id)}
    ratings = labels.ratings(label_set.set_id)
    own = [each for each in ratings if each.state == RATED and pairs[each.pair_id].gold_grade is None]
    return LabelProgress(
        name=label_set.name,
        set_id=label_set.set_id,
        created_at=label_set.created_at,
        strategy=label_set.strategy,
        num_pairs=sum(each.gold_grade is None for each in pairs.values()),
        num_wanted=sum(each.wanted for each in pairs.values() if each.gold_grade is None),
        num_ratings=len(own),
        num_to_settle=len(labels.to_settle(label_set.set_id)),
        num_settled=sum(each.settled_by is not None for each in pairs.values()),
        cost_low_usd=PRICES_USD[0] * len(own),
        cost_high_usd=PRICES_USD[1] * len(own),
        raters=tuple(_rater(name, ratings, pairs) for name in sorted({each.rater for each in ratings})),
        narrowing=tuple(_narrowing(workspace, label_set, said)),
    )


def _rater(name: str, ratings: Sequence[Rating], pairs: Mapping[str, PairToLabel]) -> RaterProgress:
    mine = [each for each in ratings if each.rater == name]
    rated = [each for each in mine if each.state == RATED and each.grade is not None]
    off = [(each.grade or 0) - gold for each in rated if (gold := pairs[each.pair_id].gold_grade) is not None]
    return RaterProgress(
        rater=name,
        num_rated=len(rated) - len(off),
        num_skipped=sum(each.state == SKIPPED for each in mine),
        num_gold=len(off),
        num_gold_right=sum(each == 0 for each in off),
        gold_bias=float(np.mean(off)) if off else None,
    )


def _narrowing(workspace: Workspace, label_set: LabelSet, said: Sequence[Judgment]) -> list[Narrowing]:
    """Each pooled system's nDCG@10 by the judgments from before the set, and by all."""
    sources, found = workspace.collection.measured_by, []
    earlier = blend([each for each in said if each.at < label_set.created_at], sources)
    counted = blend(said, sources)
    for system, rankings in label_set.rankings.items():
        (num_before, before), (number, now) = (_measured(rankings, each) for each in (earlier, counted))
        found.append(
            Narrowing(system=system, num_queries_before=num_before, before=before, num_queries=number, now=now)
        )
    return found


def _measured(rankings: Mapping[str, Sequence[str]], counted: Sequence[Judgment]) -> tuple[int, Interval | None]:
    qrels: dict[str, dict[str, int]] = {}
    for each in counted:
        if each.query_id in rankings:
            qrels.setdefault(each.query_id, {})[each.doc_id] = each.grade
    qrels = {query_id: grades for query_id, grades in qrels.items() if max(grades.values()) > 0}
    if not qrels:
        return 0, None
    run = {q: {doc_id: 1.0 / rank for rank, doc_id in enumerate(rankings[q], start=1)} for q in qrels}
    values = evaluate_run(run, qrels, [_NDCG])[_NDCG]
    [interval] = mean_intervals([[value] for value in values.values()], num_resamples=2000)
    return len(qrels), interval
