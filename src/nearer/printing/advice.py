"""Advice and cost."""

from collections.abc import Mapping

from nearer.core.results.advice import Advice, NextSource, RemedyValues
from nearer.core.results.measuring import direction
from nearer.core.results.vectors import Cost, CostRow
from nearer.printing.parts import excluded, spent, table


def advised(result: Advice) -> str:
    """The result of `nearer advise`."""
    head = (
        f"{result.split}: {result.num_queries} judged queries in {result.num_folds} folds, "
        f"{result.num_documents} documents; {result.metric}"
    )
    rows = [["remedy", "value", "difference", "p", "ms a query", "index", "hours"]]
    rows += [_remedy_cells(each, result.metric) for each in result.remedies]
    causes = ", ".join(f"{each.num_queries} {each.cause}" for each in result.diagnosis.causes)
    failed = result.diagnosis.num_failed
    lines = [
        head,
        *table(rows),
        *(f"{each.name}: {each.notes[0]}" for each in result.remedies if each.curve and each.notes),
        *excluded(result.excluded),
        *(f"not measured: {each.name} ({each.reason})" for each in result.not_measured),
    ]
    lines.append(
        f"{failed} of {result.diagnosis.num_queries} dev queries fail: {causes}" if failed else "no query fails"
    )
    lines += [f"verdict: {result.verdict}", *(f"  {reason}" for reason in result.reasons)]
    if confirmed := result.confirmed:
        lines.append(
            f"on {confirmed.split} (use {confirmed.ledger.num_test_uses}): {confirmed.base:.3f} -> "
            f"{confirmed.value:.3f}, {confirmed.difference:+.3f} "
            f"[{confirmed.low:+.3f}, {confirmed.high:+.3f}] "
            f"{direction(confirmed.low, confirmed.high, confirmed.p_value)}, p = {confirmed.p_value:.4f}"
        )
    lines += [f"written: {line}" for line in result.written]
    return "\n".join([*lines, f"next: {'; '.join(result.next)}", *spent(result.api)])


def _remedy_cells(row: RemedyValues, metric: str) -> list[str]:
    value, changed = row.metrics[metric], row.difference
    difference = (
        ""
        if changed is None
        else f"{changed:+.3f} [{row.low:+.3f}, {row.high:+.3f}] {direction(row.low, row.high, row.p_value)}"
    )
    p_value = "" if row.p_value is None else f"{row.p_value:.4f}"
    hours = "" if row.reindex_hours is None else _significant(row.reindex_hours)
    name = f"{row.name} (forecast)" if row.origin == "forecast" else row.name
    latency = f"{row.latency_ms['p50']:+.1f}" if row.latency_ms["p50"] else "0"
    return [name, f"{value.value:.3f}", difference, p_value, latency, row.index_work, hours]


def costed(result: Cost) -> str:
    """The result of `nearer cost`."""
    rate, baseline = result.throughput, result.search_cost_baseline
    rates = ", ".join(f"{each:,.4g}" for each in rate.documents_per_second)
    origin = (
        f"measured with {rate.model} ({rate.dims} dimensions, {rate.device}) on {rate.texts}"
        if rate.origin == "measured"
        else "as given"
    )
    head = f"{result.num_documents:,} documents, {result.num_vectors:,} vectors; {rates} documents/s {origin}"
    priced = [name for name in ("reembedding", "storage_month") if result.rows[0].usd[name] is not None]
    titles = {"reembedding": "re-embedding USD", "storage_month": "HNSW USD/month"}
    rows = [["dims", "precision", "raw", "IVF index", "HNSW index", "re-embedding", "search cost"]]
    rows[0] += [titles[name] for name in priced]
    rows += [[*_cost_cells(row), *(_usd(row.usd[name]) for name in priced)] for row in result.rows]
    api = [f"an embedding API would charge {_usd(result.api_usd)} USD"] if result.api_usd is not None else []
    foot = f"search cost: bytes read a comparison, beside {baseline.dims} {baseline.precision}"
    return "\n".join([head, *table(rows), *api, foot, *(f"note: {note}" for note in result.notes)])


def _cost_cells(row: CostRow) -> list[str]:
    at_least = "at least " if row.hours_origin == "estimated" else ""
    sizes = [_bytes(each) for each in (row.raw_bytes, row.index_bytes["ivf"], row.index_bytes["hnsw"])]
    hours, times = _significant(row.reembedding_hours), _significant(row.relative_search_cost)
    return [str(row.dims), row.precision, *sizes, f"{at_least}{hours} h", f"{times}x"]


def _usd(price: float | Mapping[str, float]) -> str:
    return _significant(price if isinstance(price, int | float) else price["hnsw"])


def _bytes(number: float) -> str:
    """Decimal units, three digits: 1 GB is 10^9 bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} EB"


def _significant(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def next_source(result: NextSource) -> str:
    """The result of `nearer advise --next-source`."""
    lines = [f"what {result.dollars:g} USD of each source would bring to training, {result.metric} on dev:"]
    for each in result.values:
        found, price = each.gain, f"at {each.price_usd:g} USD" if each.price_usd else "for no money"
        gain = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else "not measured"
        why = f" ({each.why})" if each.why else ""
        lines.append(f"  {each.source}: {each.num_bought:,} more {price} beside {each.num_pairs:,}: {gain}{why}")
    lines += [f"note: {each}" for each in result.notes]
    return "\n".join([*lines, f"buy next: {result.best}" if result.best else "buy next: nothing is proven to help"])
