"""Make judgments of what users did, or say that nobody can."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.judging import blend
from nearer.core.near_duplicates import resembling
from nearer.core.records import TRUSTED, Judgment, JudgmentSource, Query
from nearer.core.results.signals import ClickJudgments, JudgeAgreement
from nearer.core.text import normalise
from nearer.evaluation.grades import scale_of
from nearer.evaluation.splits import CLICKED, ensure_splits
from nearer.flows.fit_clicks import HINT, named_model
from nearer.flows.retention import enforce_retention
from nearer.measure.agreement import agreement
from nearer.signals.choose import choose_model, fit_model, intervals, propensities
from nearer.signals.judge import Attraction, attraction, grades
from nearer.signals.log import read_log
from nearer.signals.propensities import find_links
from nearer.signals.shown import Shown, shown_lists
from nearer.store.changing import put_judgments, put_queries, put_split, remove_judgments, stamp_judgments
from nearer.store.collection import LEAKED, TRAIN, batches
from nearer.store.events.sharing import event_folder
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """Judgments, and the queries of the log that are new with them."""

    judgments: list[Judgment]
    new: list[Query]


def judge_clicks(
    workspace: Workspace, *, model: str = "auto", min_impressions: int = 10, min_users: int = 3, seed: int = 0
) -> ClickJudgments:
    """Judge the pairs that enough people were shown, by what they did; judgments of earlier events are replaced.

    The click model follows from how the log was made, as in ``fit_clicks``; a log that cannot tell position from
    document is "not identified", and then nothing is changed. Queries that nobody knew before become training queries,
    unless they nearly repeat one of dev or test. Raises InputError for an unknown model and a minimum below 1.
    """
    asked = named_model(model)
    if min(min_impressions, min_users) < 1:
        raise InputError("a minimum below 1", hint="--min-impressions 10 --min-users 3")
    enforce_retention(workspace)
    log = read_log(event_folder(workspace), doc_ids=workspace.collection.document_hashes())
    sifted = log.sifted
    shown = shown_lists(log.impressions, log.logged.events, sifted, gains=workspace.recipe.events.gains)
    if not shown.log.num_lists or not shown.log.clicked_LR.any():
        raise InputError("no clicks are recorded", hint="nearer add events FILE; or serve, and send events to it")
    cells = shown.log.cells()
    links = find_links(cells)
    chosen = choose_model(asked, cells, links)
    if chosen.model is None:
        return _record(shown, sifted.counts(), verdict="not identified", model=model, why=chosen.why, hint=HINT)
    fitted = fit_model(chosen.model, shown.log, cells)
    found = attraction(shown, chosen.model, fitted)
    enough_P = (found.num_impressions_P >= min_impressions) & (found.num_people_P >= min_users)
    judged = _judged(workspace, shown, found, enough_P, method=chosen.model)
    _store(workspace, judged)
    return _record(
        shown,
        sifted.counts(),
        verdict="judged",
        model=chosen.model,
        why=chosen.why,
        judged=judged,
        num_too_few=int((~enough_P).sum()),
        effective_size=found.effective_size,
        propensities=propensities(chosen.model, fitted, links),
        intervals=intervals(chosen.model, shown.log, fitted, links, seed=seed),
        agreement=_agreements(workspace),
    )


def _judged(workspace: Workspace, shown: Shown, found: Attraction, enough_P: Bools, *, method: str) -> _Judged:
    """The judgments on pairs of documents that are there, and the queries that are new."""
    grade_P: Ints = grades(found, enough_P, max_grade=scale_of(workspace).max_grade)
    known, there = _known_queries(workspace), workspace.collection.document_hashes()
    judgments, new, at = [], {}, utc_now()
    for row in np.flatnonzero(enough_P).tolist():
        name, doc_id = shown.log.pairs[row]
        if not name or doc_id not in there:
            continue
        query_id = known.get(name) or content_id(CLICKED, name)
        if name not in known:
            new[query_id] = Query(query_id=query_id, text=shown.queries[name])
        judgments.append(
            Judgment(
                query_id=query_id,
                doc_id=doc_id,
                grade=int(grade_P[row]),
                source="clicks",
                rater=method,
                weight=round(float(found.weight_P[row]), 6),
                at=at,
            )
        )
    return _Judged(judgments=judgments, new=list(new.values()))


def _known_queries(workspace: Workspace) -> dict[str, str]:
    """Query ids by their text, and by themselves, for logs that hold ids; those that people brought come first."""
    queries = sorted(workspace.collection.queries(), key=lambda each: not each.query_id.startswith(f"{CLICKED}-"))
    by_text = {normalise(each.text): each.query_id for each in queries}
    return by_text | {normalise(each.query_id): each.query_id for each in queries}


def _store(workspace: Workspace, judged: _Judged) -> None:
    """Put these judgments in place of the earlier ones, in one step, and give new queries their side."""
    ensure_splits(workspace)
    near = _near_held_out(workspace, judged.new)
    with workspace.write("clicks judge") as connection:
        remove_judgments(connection, source="clicks")
        for queries in batches(judged.new):
            put_queries(connection, queries)
        for query, is_near in zip(judged.new, near, strict=True):
            put_split(connection, LEAKED if is_near else TRAIN, [query.query_id])
        for judgments in batches(judged.judgments):
            put_judgments(connection, judgments)
        stamp_judgments(connection)
    failpoint("clicks.judged")


def _near_held_out(workspace: Workspace, new: list[Query]) -> list[bool]:
    """Which queries nearly repeat one of dev or test; all, where time parts the sides, for the log is of today."""
    if workspace.recipe.split.by == "time":
        return [True] * len(new)
    collection = workspace.collection
    held_out = [
        query.text
        for split in collection.splits()
        if split not in (TRAIN, LEAKED)
        for query in collection.queries(split)
    ]
    if not new or not held_out:
        return [False] * len(new)
    return [bool(each) for each in resembling([query.text for query in new], held_out)]


def _agreements(workspace: Workspace) -> tuple[JudgeAgreement, ...]:
    """How far each source that is no person agrees with people and files on what both judged."""
    said = workspace.collection.all_judgments()
    trusted = {(each.query_id, each.doc_id): each.grade for each in blend(said, TRUSTED)}
    others: tuple[JudgmentSource, ...] = ("llm", "clicks")
    rows = []
    for source in others:
        shared = [each for each in blend(said, [source]) if (each.query_id, each.doc_id) in trusted]
        if any(each.source == source for each in said):
            found = agreement([trusted[j.query_id, j.doc_id] for j in shared], [j.grade for j in shared])
            rows.append(
                JudgeAgreement(
                    source=source,
                    num_pairs=found.num_pairs,
                    kendall_tau=found.kendall_tau,
                    weighted_kappa=found.weighted_kappa,
                    mean_bias=found.mean_bias,
                )
            )
    return tuple(rows)


def _record(
    shown: Shown,
    apart: Mapping[str, int],
    *,
    verdict: str,
    model: str,
    why: str,
    judged: _Judged | None = None,
    **found: object,
) -> ClickJudgments:
    judgments = judged.judgments if judged else []
    content = {
        "hint": None,
        "num_too_few": 0,
        "effective_size": None,
        "propensities": (),
        "intervals": (),
        "agreement": (),
        **found,
    }
    return ClickJudgments.read(
        {
            **content,
            "verdict": verdict,
            "model": model,
            "why": why,
            "num_judgments": len(judgments),
            "num_queries": len({each.query_id for each in judgments}),
            "num_new_queries": len(judged.new) if judged else 0,
            "num_pairs": len(shown.log.pairs),
            "num_preferences": _num_preferences(judgments),
            "by_grade": {str(grade): number for grade, number in sorted(Counter(j.grade for j in judgments).items())},
            "num_impressions": shown.log.num_lists,
            "num_clicks": int(shown.log.clicked_LR.sum()),
            "num_users": len(set(shown.person_L.tolist())),
            "apart": dict(apart),
            "notes": _notes(shown),
        }
    )


def _num_preferences(judgments: list[Judgment]) -> int:
    """In how many pairs of documents of one query one is better than the other."""
    of_query: dict[str, Counter[int]] = {}
    for each in judgments:
        of_query.setdefault(each.query_id, Counter())[each.grade] += 1
    total = 0
    for numbers in of_query.values():
        size = numbers.total()
        total += (size * size - sum(number * number for number in numbers.values())) // 2
    return total


def _notes(shown: Shown) -> list[str]:
    if not shown.num_nobody:
        return []
    return [f"{shown.num_nobody:,} answers name neither user nor session: each counts as a person of its own"]
