"""Results of judging by people as text."""

from nearer.core.results.measuring import Interval
from nearer.core.results.people import RaterAgreement
from nearer.printing.parts import table


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
    lines += [f"grade {grade}: the others say so too in {_signed(each)}" for grade, each in result.by_grade.items()]
    if result.far:
        lines.append(f"far from the rest: {', '.join(result.far)}; look at what they rated, and at the guideline")
    if result.is_written:
        lines.append("the weights are written: they count in evaluation's judgments and in training")
    return "\n".join([*lines, *result.notes])


def _signed(found: Interval | None) -> str:
    return "?" if found is None else f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
