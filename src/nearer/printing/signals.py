"""Results of click logs as text."""

from collections.abc import Mapping

from nearer.core.results.signals import ClickFit, ClickJudgments, EventCounts, ForgottenUser, JudgeAgreement, Simulated


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


def counted_events(result: EventCounts) -> str:
    """The result of `nearer events`."""
    if not result.num_impressions + result.num_events + result.num_apart:
        return "no events yet: the service records what it shows, and takes what users do at POST /v1/events"
    lines = [
        f"{result.first_at} to {result.last_at}",
        f"{result.num_impressions:,} impressions of {result.num_queries:,} queries, {result.num_explored:,} of them "
        "with neighbours swapped",
        f"{result.num_events:,} events of {result.num_users:,} users in {result.num_sessions:,} sessions: "
        f"{_counts(result.by_action)}",
        f"kept apart: {_counts(result.apart)}",
        f"last hour: {_counts(result.last_hour)}",
        f"{result.num_files} files, {result.num_bytes:,} bytes",
    ]
    if result.num_repeated:
        lines.append(f"{result.num_repeated:,} events were sent again: each counts once")
    if result.num_damaged:
        lines.append(f"{result.num_damaged:,} lines are damaged and cannot be read")
    return "\n".join(lines)


def _counts(number_of: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in number_of.items()) or "none"


def judged_clicks(result: ClickJudgments) -> str:
    """The result of `nearer clicks judge`."""
    lines = [
        f"{result.num_impressions:,} answers to {result.num_users:,} users, {result.num_clicks:,} documents clicked; "
        f"kept apart: {_counts(result.apart)}"
    ]
    if result.verdict == "not identified":
        return "\n".join([*lines, f"not identified: {result.why}", f"  -> {result.hint}", *result.notes])
    lines += [
        f"{result.model}: {result.why}",
        f"the clicks, weighed by how seldom their rank is looked at, tell as much as {result.effective_size or 0:.0f}",
        f"{result.num_judgments:,} judgments on {result.num_queries:,} queries, {result.num_new_queries:,} of them "
        f"new; {result.num_too_few:,} of {result.num_pairs:,} pairs were shown too seldom or to too few people",
        f"grades: {', '.join(f'{number:,} of {grade}' for grade, number in result.by_grade.items()) or 'none'}; "
        f"{result.num_preferences:,} preferences",
    ]
    return "\n".join([*lines, *map(_agreement, result.agreement), *result.notes])


def _agreement(found: JudgeAgreement) -> str:
    if not found.num_pairs:
        return f"{found.source}: no pair that people or files judged too"
    numbers = {"Kendall tau": found.kendall_tau, "weighted kappa": found.weighted_kappa, "mean bias": found.mean_bias}
    said = ", ".join(f"{name} {'?' if value is None else f'{value:+.2f}'}" for name, value in numbers.items())
    return f"{found.source} beside people and files on {found.num_pairs:,} pairs: {said}"


def forgotten(result: ForgottenUser) -> str:
    """The result of `nearer forget`."""
    lines = [f"removed {result.num_impressions:,} impressions and {result.num_events:,} events"]
    lines += [f"{each.query_id} + {each.doc_id}: {each.before} -> {each.after}" for each in result.changed[:20]]
    lines.append(f"{result.num_changed:,} judgments of clicks changed")
    return "\n".join(lines)


def simulated(result: Simulated) -> str:
    """The result of `nearer simulate`."""
    return (
        f"{result.num_sessions:,} sessions of users of the model {result.users}: {result.num_impressions:,} documents "
        f"shown, {result.num_clicks:,} clicked -> {result.to}"
    )
