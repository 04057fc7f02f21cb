"""Grades of pairs as judgments of clicks, with the queries that only the log knows; and a summary of them.

Arrays: P pairs of a query and a document.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools
from nearer.core.ids import content_id
from nearer.core.records import Judgment, Query
from nearer.core.results.signals import ClickJudgments
from nearer.core.text import normalise
from nearer.signals.judge import Attraction, grades
from nearer.signals.shown import Shown
from nearer.store.collection import CLICKED
from nearer.store.registry import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedByClicks:
    """Judgments, and the queries of the log that are new with them."""

    judgments: list[Judgment]
    new: list[Query]

    @property
    def num_preferences(self) -> int:
        """In how many pairs of documents of one query one is better than the other."""
        of_query: dict[str, Counter[int]] = {}
        for each in self.judgments:
            of_query.setdefault(each.query_id, Counter())[each.grade] += 1
        total = 0
        for numbers in of_query.values():
            size = numbers.total()
            total += (size * size - sum(number * number for number in numbers.values())) // 2
        return total


def judged_by_clicks(
    shown: Shown,
    found: Attraction,
    enough_P: Bools,
    *,
    queries: Sequence[Query],
    doc_ids: Collection[str],
    max_grade: int,
    method: str,
) -> JudgedByClicks:
    """Judgments on the pairs that enough people were shown, of documents that are there.

    ``queries`` are all that the workspace has.
    """
    grade_P, known = grades(found, enough_P, max_grade=max_grade), _known(queries)
    judgments, new, at = [], dict[str, Query](), utc_now()
    for row in np.flatnonzero(enough_P).tolist():
        name, doc_id = shown.log.pairs[row]
        if not name or doc_id not in doc_ids:
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
    return JudgedByClicks(judgments=judgments, new=list(new.values()))


def _known(queries: Sequence[Query]) -> dict[str, str]:
    """Query ids by their text, and by themselves, for logs that hold ids; those that people brought come first."""
    ordered = sorted(queries, key=lambda each: not each.query_id.startswith(f"{CLICKED}-"))
    by_text = {normalise(each.text): each.query_id for each in ordered}
    return by_text | {normalise(each.query_id): each.query_id for each in ordered}


def summarise_clicks(
    shown: Shown,
    apart: Mapping[str, int],
    *,
    verdict: str,
    model: str,
    why: str,
    judged: JudgedByClicks | None = None,
    **found: object,
) -> ClickJudgments:
    """The result of judging: ``judged`` where it was done, and what ``found`` says beside it."""
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
            "num_preferences": judged.num_preferences if judged else 0,
            "by_grade": {str(grade): number for grade, number in sorted(Counter(j.grade for j in judgments).items())},
            "num_impressions": shown.log.num_lists,
            "num_clicks": int(shown.log.clicked_LR.sum()),
            "num_users": len(set(shown.person_L.tolist())),
            "apart": dict(apart),
            "notes": _notes(shown),
        }
    )


def _notes(shown: Shown) -> list[str]:
    if not shown.num_nobody:
        return []
    return [f"{shown.num_nobody:,} answers name neither user nor session: each counts as a person of its own"]
