"""What language models wrote and judged, as text."""

from collections.abc import Mapping

from nearer.core.results.llm import Calibration, CorrectedMetric, LlmUse, ModelJudged, Shape, Synthesized
from nearer.core.results.measuring import Interval
from nearer.printing.parts import interval, one_line, table


def synthesized(result: Synthesized) -> str:
    """The result of `nearer synthesize`."""
    if result.is_dry_run and result.use:
        notes = [f"note: {each}" for each in result.notes]
        return "\n".join([f"{result.num_documents:,} documents, an estimate:", *_use(result.use), *notes])
    lines = [
        f"{result.num_written:,} queries written for {result.num_documents:,} documents by {result.method}; "
        f"{result.num_kept:,} stay, {result.num_choosing:,} of them to choose a checkpoint by",
        *_gone(result),
        f"synthetic: {_shape(result.synthetic)}",
        f"real:      {_shape(result.real)}",
    ]
    lines += [
        f"  {one_line(each.query)} ({each.style}) -> {one_line(each.title or each.doc_id)}" for each in result.samples
    ]
    lines += _use(result.use) if result.use else []
    if result.num_suspicious:
        lines.append(
            f"{result.num_suspicious:,} documents look as if they instruct a model: they are data, look at them"
        )
    lines += [f"note: {each}" for each in result.notes]
    if result.is_dry_run:
        return "\n".join([*lines, "nothing was kept: leave --dry-run out"])
    return "\n".join([*lines, "train on them: nearer train --sources synthetic, or human,synthetic"])


def model_judged(result: ModelJudged) -> str:
    """The result of `nearer judge`."""
    lines = [
        f"{result.num_pairs:,} pairs of {result.num_queries:,} queries, {2 * result.num_votes} answers each"
        + ("" if result.is_dry_run else f"; {result.num_judged:,} have a grade: {_counts(result.by_grade)}")
    ]
    if result.is_dry_run:
        notes = [f"note: {each}" for each in result.notes]
        return "\n".join([*lines, "an estimate:", *(_use(result.use) if result.use else []), *notes])
    lines += _calibrated(result.calibration)
    lines += [_corrected(each) for each in result.corrected]
    lines += _use(result.use) if result.use else []
    if result.num_suspicious:
        lines.append(f"{result.num_suspicious:,} documents look as if they instruct a model: look at their grades")
    lines += [f"note: {each}" for each in result.notes]
    return "\n".join([*lines, f"verdict: {result.verdict}"])


def _gone(result: Synthesized) -> list[str]:
    lines = []
    for reason, number in result.num_gone.items():
        samples = "; ".join(one_line(each) for each in result.samples_gone.get(reason, ())[:2])
        lines.append(f"  {number:,} went: {reason}, such as: {samples}")
    return lines


def _shape(found: Shape) -> str:
    if not found.num_queries or found.mean_words is None:
        return "none"
    styles = ", ".join(f"{100 * share:.0f}% {style}" for style, share in found.styles.items())
    return f"{found.num_queries:,} queries of {found.mean_words:.1f} words on average; {styles}"


def _use(found: LlmUse) -> list[str]:
    cost = "price unknown: --price READ,WRITTEN" if found.cost_usd is None else f"{found.cost_usd:.4f} USD"
    lines = [
        f"{found.model}: {found.num_asked:,} questions, {found.num_read_tokens:,} tokens read, "
        f"{found.num_written_tokens:,} written, {cost}; {found.num_kept:,} answers were there already"
    ]
    lines += [f"  {number:,} without a usable answer: {fault}" for fault, number in found.faults.items()]
    if found.num_left_out:
        lines.append(
            f"  {found.num_left_out:,} left out: they might have cost more than {found.max_cost_usd:g} USD; go on with "
            "a larger --max-cost: what was answered is not paid again"
        )
    return lines


def _calibrated(found: Calibration) -> list[str]:
    if not found.num_pairs:
        return []
    lines = [
        f"beside people on {found.num_pairs:,} pairs: weighted kappa {_signed(found.kappa)}, mean bias "
        f"{_signed(found.bias)}"
    ]
    if found.order_agreement is not None:
        lines.append(f"{100 * found.order_agreement:.0f}% of pairs have one grade in both orders")
    header = ["people \\ model", *(str(grade) for grade in range(len(found.confusion)))]
    rows = [[str(grade), *map(str, row)] for grade, row in enumerate(found.confusion)]
    return lines + table([header, *rows])


def _corrected(found: CorrectedMetric) -> str:
    said = {"people": found.human, "the model": found.model, "both, corrected": found.corrected}
    parts = [f"{name} {interval(value)}" for name, value in said.items() if value]
    known = f"{found.num_human:,} of {found.num_queries:,} queries by people"
    return f"{found.system}: nDCG@10 by {'; '.join(parts)} ({known})"


def _signed(found: Interval | None) -> str:
    return "?" if found is None else f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _counts(by_grade: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} of {grade}" for grade, number in by_grade.items()) or "none"
