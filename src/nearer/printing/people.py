"""Results of judging by people as text."""

from nearer.core.results.measuring import Interval
from nearer.core.results.people import ExchangedLabels, LabelPlan, LabelProgress, LabelStatus, Narrowing, RaterAgreement
from nearer.printing.parts import interval, listed, table


def agreed(result: RaterAgreement) -> str:
    """The result of `nearer agreement`."""
    lines = [
        f"{result.num_raters} raters ({result.source}), {result.num_ratings:,} ratings of {result.num_pairs:,} pairs; "
        f"{result.num_shared:,} pairs have several",
        f"Krippendorff's alpha (ordinal): {_signed(result.alpha)}; 1 is agreement, 0 is chance",
    ]
    rows = [["rater", "ratings", "shared", "weighted kappa", "mean bias", "reliability", "weight", ""]]
    rows += [
        [
            each.rater,
            str(each.num_ratings),
            str(each.num_shared),
            _signed(each.kappa),
            _signed(each.bias),
            f"{each.reliability:.2f}",
            f"{each.weight:.2f}",
            "far from the rest" if each.is_far else "",
        ]
        for each in result.raters
    ]
    lines += table(rows)
    lines += [f"grade {grade}: the others say so too in {interval(each)}" for grade, each in result.by_grade.items()]
    if result.far:
        lines.append(f"far from the rest: {', '.join(result.far)}; look at what they rated, and at the guideline")
    if result.is_written:
        lines.append("the weights are written: they count in evaluation's judgments and in training")
    return "\n".join([*lines, *result.notes])


def _signed(found: Interval | None) -> str:
    return "?" if found is None else f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def label_plan(result: LabelPlan) -> str:
    """The result of `nearer label start`."""
    lines = [
        f"{result.num_pooled:,} pairs of {result.num_queries:,} queries are found by {listed(result.systems)}; "
        f"{result.num_judged:,} of them are judged",
        f"{result.num_pairs:,} pairs to judge ({result.strategy}), {result.num_overlapping:,} of them once more, "
        f"{result.num_gold:,} gold checks: {result.num_ratings:,} ratings, {_price(result)}",
        *(f"note: {each}" for each in result.notes),
    ]
    if result.is_started:
        lines.append(f"judge them: nearer label, or: nearer label --terminal --rater NAME --name {result.name}")
    else:
        lines.append("nothing was kept: leave --dry-run out to begin")
    return "\n".join(lines)


def label_progress(result: LabelStatus) -> str:
    """The result of `nearer label status`."""
    if not result.sets:
        return "no label set yet: nearer label start QUERIES"
    return "\n".join(line for each in result.sets for line in _set(each))


def labels_exchanged(result: ExchangedLabels) -> str:
    """The result of `nearer label export` and `nearer label import`."""
    return (
        f"{result.file} ({result.format}): {result.num_pairs:,} pairs of {result.name}, {result.num_rated:,} rated by "
        f"{result.num_ratings:,} ratings, {result.num_unrated:,} unrated"
    )


def _set(found: LabelProgress) -> list[str]:
    lines = [
        f"{found.name}: {found.num_ratings:,} of {found.num_wanted:,} ratings on {found.num_pairs:,} pairs "
        f"({found.strategy}), {_price(found)}"
    ]
    if found.num_to_settle or found.num_settled:
        lines.append(f"  disagreements: {found.num_to_settle:,} to settle, {found.num_settled:,} settled")
    for each in found.raters:
        bias = "" if each.gold_bias is None else f", {each.gold_bias:+.2f} on average"
        gold = f"; gold {each.num_gold_right} of {each.num_gold} right{bias}" if each.num_gold else ""
        lines.append(f"  {each.rater}: {each.num_rated:,} rated, {each.num_skipped:,} skipped{gold}")
    return lines + [f"  {_narrowed(each)}" for each in found.narrowing]


def _narrowed(found: Narrowing) -> str:
    before = "nothing known" if found.before is None else f"{interval(found.before)} on {found.num_queries_before:,}"
    now = "nothing known" if found.now is None else f"{interval(found.now)} on {found.num_queries:,} queries"
    return f"{found.system}: nDCG@10 {before} -> {now}"


def _price(found: LabelPlan | LabelProgress) -> str:
    return f"{found.cost_low_usd:,.0f} to {found.cost_high_usd:,.0f} USD at 0.50 to 2.00 each"
