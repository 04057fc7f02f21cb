"""A candidate in the shadow of live, as text."""

from nearer.core.results.shadow import ShadowAgreement, ShadowHit, ShadowQuery, ShadowReport, ShadowSide, Spread
from nearer.printing.parts import interval, one_line, spent

_NUM_SHOWN = 5
_NUM_RESULTS = 3


def shadowed(result: ShadowReport) -> str:
    """The result of `nearer shadow start`, `report` and `stop`."""
    ended = f", ended {result.ended_at}" if result.ended_at else ", asked now"
    lines = [f"{result.shadow_id}: {result.system} ({result.model_id}), {result.share:.0%} of the queries{ended}"]
    lines.append(f"{result.num_offered} drawn, {result.num_dropped} dropped, {result.num_failed} failed")
    if result.agreement is None:
        lines.append("nothing is compared yet: the service asks it, nearer serve")
        return "\n".join([*lines, *spent(result.api)])
    lines.append(f"beside {result.live_release_id}: {result.agreement.num_queries} queries")
    if result.num_of_others:
        lines.append(f"{result.num_of_others} more were beside another release, and are left out")
    return "\n".join([*lines, *_agreement(result.agreement), *spent(result.api)])


def _agreement(found: ShadowAgreement) -> list[str]:
    lines = [
        f"overlap@10           {interval(found.overlap)}",
        f"rank-biased overlap  {interval(found.rank_biased_overlap)}",
        f"{'':8} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}  {'best score, median':>18}  nothing found",
    ]
    lines += [_side(name, side) for name, side in found.sides.items()]
    different = [each for each in found.most_different if each.rank_biased_overlap < 1][:_NUM_SHOWN]
    if different:
        lines.append("the queries that differ most:")
    for each in different:
        lines += _query(each)
    return lines


def _side(name: str, side: ShadowSide) -> str:
    took: Spread = side.latency_ms
    score = f"{side.top_scores.p50:.3f}" if side.top_scores else "none"
    return f"{name:8} {took.p50:8.1f} {took.p95:8.1f} {took.p99:8.1f}  {score:>18}  {side.num_zero_results}"


def _query(query: ShadowQuery) -> list[str]:
    return [
        f"  {one_line(query.query)} (overlap {query.overlap:.2f})",
        f"    live    {_best(query.live)}",
        f"    shadow  {_best(query.shadow)}",
    ]


def _best(hits: tuple[ShadowHit, ...]) -> str:
    return ", ".join(f"{hit.doc_id} {hit.score:.3f}" for hit in hits[:_NUM_RESULTS]) or "nothing"
