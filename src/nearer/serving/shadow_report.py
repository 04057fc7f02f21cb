"""What a shadow's answers say of the candidate beside live."""

from collections.abc import Sequence

import numpy as np

from nearer.core.results.measuring import Interval
from nearer.core.results.shadow import ShadowAgreement, ShadowHit, ShadowQuery, ShadowReport, ShadowSide, Spread
from nearer.measure.rank_overlap import overlap, rank_biased_overlap
from nearer.measure.significance import mean_intervals
from nearer.store.shadows import Ranked, ShadowAnswer, ShadowEntry, Shadows
from nearer.store.workspace import Workspace

COMPARED = 10
"""The best results that are compared."""
_NUM_SHOWN = 20


def report_shadow(workspace: Workspace, entry: ShadowEntry) -> ShadowReport:
    """The report of a shadow, by the answers that are kept of it."""
    answers = Shadows(workspace.database).answers(entry.shadow_id)
    live_id = answers[-1].live_release_id if answers else None
    beside = [each for each in answers if each.live_release_id == live_id]
    return ShadowReport(
        shadow_id=entry.shadow_id,
        system=entry.system,
        model_id=entry.model_id,
        space_id=entry.space_id,
        share=entry.share,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
        num_offered=entry.num_offered,
        num_dropped=entry.num_dropped,
        num_failed=entry.num_failed,
        live_release_id=live_id,
        num_of_others=len(answers) - len(beside),
        agreement=agreement_of(beside) if beside else None,
    )


def last_shadow(workspace: Workspace) -> ShadowReport | None:
    """The report of the shadow that is asked now, or was last; None where there was none."""
    entry = Shadows(workspace.database).last()
    return report_shadow(workspace, entry) if entry else None


def agreement_of(answers: Sequence[ShadowAnswer]) -> ShadowAgreement:
    """How alike the answers of live and of the candidate are; there must be some."""
    compared = [_compared(each) for each in answers]
    alike, ranked_alike = _means(compared)
    different = sorted(compared, key=lambda each: (each.rank_biased_overlap, each.query))
    shown = {each.query: each for each in reversed(different)}  # a query that was asked again and again: once
    return ShadowAgreement(
        num_queries=len(answers),
        overlap=alike,
        rank_biased_overlap=ranked_alike,
        sides={
            "live": _side([each.live for each in answers], [each.live_ms for each in answers]),
            "shadow": _side([each.shadow for each in answers], [each.shadow_ms for each in answers]),
        },
        most_different=tuple(list(reversed(shown.values()))[:_NUM_SHOWN]),
    )


def sentence_of(report: ShadowReport) -> str | None:
    """The report in a sentence, as the gate notes it; None where nothing was compared."""
    if (found := report.agreement) is None:
        return None
    live, shadow = found.sides["live"], found.sides["shadow"]
    return (
        f"in the shadow of {report.live_release_id} on {found.num_queries} queries: overlap@{COMPARED} "
        f"{found.overlap.value:.2f} [{found.overlap.low:.2f}, {found.overlap.high:.2f}], rank-biased overlap "
        f"{found.rank_biased_overlap.value:.2f}; p95 {shadow.latency_ms.p95:.0f} ms beside live's "
        f"{live.latency_ms.p95:.0f} ms; nothing found for {shadow.num_zero_results} queries beside live's "
        f"{live.num_zero_results}; {report.num_failed} failed"
    )


def _compared(answer: ShadowAnswer) -> ShadowQuery:
    live, shadow = _ids(answer.live), _ids(answer.shadow)
    return ShadowQuery(
        query=answer.query,
        overlap=overlap(live, shadow, k=COMPARED),
        rank_biased_overlap=rank_biased_overlap(live, shadow),
        live=tuple(ShadowHit(doc_id=doc_id, score=score) for doc_id, score in answer.live),
        shadow=tuple(ShadowHit(doc_id=doc_id, score=score) for doc_id, score in answer.shadow),
    )


def _ids(ranked: Ranked) -> list[str]:
    return [doc_id for doc_id, _ in ranked]


def _means(compared: Sequence[ShadowQuery]) -> tuple[Interval, Interval]:
    """The means of both measures; what was asked again and again is one unit, for it tells no more."""
    values_QM = [[each.overlap, each.rank_biased_overlap] for each in compared]
    first, second = mean_intervals(values_QM, groups_Q=[each.query for each in compared], num_resamples=2000)
    return first, second


def _side(rankings: Sequence[Ranked], took_ms: Sequence[float]) -> ShadowSide:
    return ShadowSide(
        latency_ms=_spread(took_ms),
        top_scores=_spread_or_none([ranked[0][1] for ranked in rankings if ranked]),
        scores=_spread_or_none([score for ranked in rankings for _, score in ranked]),
        num_zero_results=sum(not ranked for ranked in rankings),
    )


def _spread_or_none(values: Sequence[float]) -> Spread | None:
    return _spread(values) if values else None


def _spread(values: Sequence[float]) -> Spread:
    p5, p50, p95, p99 = np.quantile(np.asarray(values, np.float64), [0.05, 0.5, 0.95, 0.99]).tolist()
    return Spread(p5=p5, p50=p50, p95=p95, p99=p99)
