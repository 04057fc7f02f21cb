"""Results of click logs as text."""

from nearer.core.results.signals import ClickFit


def fitted_clicks(result: ClickFit) -> str:
    """The result of `nearer clicks fit`."""
    lines = [
        f"{result.num_lists:,} lists of {result.num_sessions:,} sessions, {result.num_impressions:,} impressions of "
        f"{result.num_pairs:,} pairs of query and document, {result.num_clicks:,} clicks"
    ]
    if result.verdict == "not identified":
        return "\n".join([*lines, f"not identified: {result.why}", f"  -> {result.hint}", *result.notes])
    lines.append(f"{result.model}: {result.why}")
    if result.perplexity is not None and result.log_likelihood is not None:
        lines.append(
            f"on {result.measured_on}: perplexity {result.perplexity:.4f} (1 is perfect, 2 a coin), log-likelihood "
            f"{result.log_likelihood:.4f}"
        )
    for rank, value in enumerate(result.propensities, start=1):
        interval = result.intervals[rank - 1] if result.intervals else None
        between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        lines.append(
            f"  rank {rank}: looked at {'?' if value is None else f'{value:.3f}'}{between} as often as the first"
        )
    return "\n".join([*lines, *result.notes])
