"""What training, merging and compression made."""

from collections.abc import Sequence

from nearer.core.results.training import Alarm, DevValues, ExcludedFromTraining, Pass, Trained, TrainedReranker
from nearer.core.results.vectors import (
    Compressed,
    CompressionCurve,
    Distilled,
    Int8,
    Merged,
    QualityBeside,
    SizeValues,
    SpeedBeside,
)
from nearer.printing.parts import interval, listed, passed, spent, table


def trained(result: Trained) -> str:
    """The result of `nearer train`."""
    dev = result.dev
    head = f"{result.model_id}: {dev.metric} on training dev {dev.start:.3f} -> {dev.best:.3f}"
    how = f"{result.adapter['sides']} adapter" if result.adapter else _passes(result.passes)
    what = f"{result.num_pairs} pairs, {how}, {result.duration_s:.0f} s"
    what += _excluded(result.num_excluded)
    alarms = [f"alarm {_alarm(alarm)}" for alarm in result.alarms if alarm.raised]
    alarms = [*_chosen(result), *alarms]
    if not result.improved:
        lines = [f"nothing was better on training dev than where it began ({what}); leave it as it is", *alarms]
    else:
        measures = "nearer compress" if result.dimensions else "nearer evaluate base"
        follows = f"next: {measures} {result.model_id}, or nearer promote"
        where = [] if result.adapter else [f"the model is in .nearer/models/{result.encoder_id} of the workspace"]
        lines = [f"{head} ({what})", _training_dev(dev), *where, *alarms, follows]
    return "\n".join([*lines, *spent(result.api)])


def _training_dev(dev: DevValues) -> str:
    """What training measures on: less than what `nearer evaluate` does, so with other values."""
    over = f" over {dev.num_documents:,} documents" if dev.num_documents is not None else ""
    return f"training dev: {dev.num_queries:,} queries{over}; it chooses; nearer evaluate has other values"


def _excluded(number: ExcludedFromTraining) -> str:
    if not (number.queries or number.pairs):
        return ""
    return f"; {number.queries} queries and {number.pairs} pairs that dev or test knows were left out"


def trained_reranker(result: TrainedReranker) -> str:
    """The result of `nearer train --reranker`."""
    dev, name = result.dev, result.reranker_id
    what = f"{result.num_pairs} pairs, {result.duration_s:.0f} s{_excluded(result.num_excluded)}"
    measured = f"{dev.metric} on training dev ({dev.num_queries} queries, the first {dev.depth} of {result.retriever})"
    began = "" if result.start.is_fresh else f", {dev.start:.3f} as it began"
    values = f"{dev.retriever:.3f} as found{began}, {dev.best:.3f} reranked at its best"
    lines = [f"{name or 'no reranker'}: {measured}: {values} ({what})"]
    if result.fault:
        lines.append(f"training ended early: {result.fault}")
    if name is None:
        lines.append("nothing that was trained is better on training dev than what there was; leave it as it is")
    else:
        lines.append(f'next: search.rerank.model = "{name}" in nearer.toml, then nearer evaluate base base+rerank')
    return "\n".join([*lines, *spent(result.api)])


def _passes(passes: Sequence[Pass]) -> str:
    """How many passes there were, and whether a linear map, pass 0, was kept before them."""
    began = any(each.number == 0 and each.fit.best_step for each in passes)
    number = sum(each.number > 0 for each in passes)
    return f"{number} pass{'' if number == 1 else 'es'}{' after a linear map' if began else ''}"


def _chosen(result: Trained) -> list[str]:
    """What a time, a search or several seeds decided."""
    lines = [f"the time decided: {reason}" for reason in (result.budget.plan.reasons if result.budget else ())]
    if trials := result.trials:
        values = [each.value for each in trials if each.value is not None]
        span = f"from {min(values):.3f} to {max(values):.3f}"
        lines.append(f"{len(trials)} settings tried, training dev {span}; it chose, so its best is optimistic")
    if seeds := result.seeds:
        values = [each.value for each in seeds.trainings if each.value is not None]
        deviation = seeds.standard_deviation
        spread = "" if deviation is None else f", standard deviation {deviation:.3f}"
        shown = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"{len(values)} seeds, training dev {shown}: mean {seeds.mean:.3f}{spread}; the best is kept")
    return lines


def _alarm(alarm: Alarm) -> str:
    return f"{alarm.name} {alarm.value:.3f}, above {alarm.threshold:.3f}: {alarm.sentence}"


def compression(result: CompressionCurve) -> str:
    """The result of `nearer compress SYSTEM`."""
    uses = result.ledger.num_test_uses
    head = f"{result.system}, {result.split}: {result.num_queries} queries, {result.num_passages} passages"
    head += f", use {uses} of this test set" if uses else ""
    titles = ["dimensions", "precision", "bytes a document", result.metric, "difference", "p", "of full", "time"]
    rows = [titles, *(_size_cells(row) for row in result.rows)]
    best, allowed = result.proposal, result.settings["max_loss"]
    proven = "" if best.is_proven else "; these queries do not prove it"
    lines = [
        f"proposed: {best.dimension} dimensions, {best.precision} ({best.stored}), "
        f"{best.share_of_full:.1%} of the full quality, at most {allowed:.1%} lost{proven}",
        "time: of one search beside the full float32 vectors, in this run; p is after Holm",
    ]
    lines += [f"next: {'; '.join(result.next)}"] if result.next else []
    return "\n".join([head, *table(rows), *lines, *spent(result.api)])


def _size_cells(row: SizeValues) -> list[str]:
    found = row.difference
    difference = f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else ""
    p_value = f"{found.p_adjusted:.4f}" if found else ""
    size = [
        str(row.dimension),
        row.precision,
        f"{row.bytes_per_document:,.0f}",
        interval(row),
    ]
    return [*size, difference, p_value, f"{row.share_of_full:.1%}", f"{row.search_time_ratio:.2f}x"]


def compressed(result: Compressed) -> str:
    """The result of `nearer compress SYSTEM --dimension D`."""
    of = f"the first {result.dimension} of {result.full_dimension} dimensions of {result.parent_model_id}"
    return "\n".join([f"{result.model_id}: {of}", f"next: nearer promote {result.model_id}", *spent(result.api)])


def int8(result: Int8) -> str:
    """The result of `nearer compress SYSTEM --int8`."""
    lines = [f"{result.verdict}{' on this machine' if not result.model_id else f': {result.model_id}'}"]
    lines += [f"  because {reason}" for reason in result.reasons]
    lines += _beside(result.speed, result.quality, result.parent_model_id)
    lines.append(f"  {result.num_bytes / 1e6:.1f} MB")
    if result.model_id:
        allowed = "--set gate.min_gain=-0.005"
        lines.append(f"next: nearer promote {result.model_id} {allowed}")
    return "\n".join(lines)


def distilled(result: Distilled) -> str:
    """The result of `nearer compress SYSTEM --layers N`."""
    places = ", ".join(str(each + 1) for each in result.layers)
    lines = [
        f"{result.model_id}: layers {places} of the {result.num_layers} of {result.parent_model_id}, taught by "
        f"{result.teacher}",
        f"  {result.num_steps} steps on {result.num_queries} queries and {result.num_passages} passages, "
        f"{result.duration_s:.0f} s",
        *_beside(result.speed, result.quality, result.parent_model_id),
    ]
    lines += [f"  not worth a second index yet: {reason}" for reason in result.reasons]
    promote = f"nearer promote {result.model_id} --set gate.min_gain=-0.01"
    lines.append(f"next: {promote if result.is_within else f'nearer train --from {result.model_id}'}")
    return "\n".join([*lines, *spent(result.api)])


def _beside(speed: SpeedBeside, quality: QualityBeside | None, full: str) -> list[str]:
    """A smaller model beside the full one, in speed and in quality where that was measured."""
    threads = f"{speed.num_threads} thread" + ("s" if speed.num_threads != 1 else "")
    lines = [
        f"  {speed.num_passages} passages, {threads}: {speed.passages_per_second:.1f} a second, "
        f"{speed.full_passages_per_second:.1f} of {full} ({speed.ratio:.2f} times)",
        f"  one query: {speed.query_ms:.1f} ms, {speed.full_query_ms:.1f} ms; mean cosine {speed.mean_cosine:.4f}",
    ]
    if quality:
        found = quality.difference
        lines.append(
            f"  {quality.metric} on {quality.num_queries} queries of {quality.split}: {quality.value:.3f}, "
            f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] beside {quality.full_value:.3f}"
        )
    return lines


def merged(result: Merged) -> str:
    """The result of `nearer merge`."""
    rows = [["weight", result.metric, "cases that pass", "newly failing"]]
    for each in result.points:
        cases = ["", ""]
        if each.num_cases is not None and each.num_failed is not None:
            cases = [passed(each.num_cases, each.num_failed), listed(each.newly_failing)]
        rows.append([f"{each.weight:g}", f"{each.value:.3f}", *cases])
    head = f"{result.model_id}: {result.weight:g} of {result.system}, the rest of {result.other}"
    if not result.is_new:
        head += "; that is a model which was there already"
    elif result.broken:
        head += f"; it newly fails {listed(result.broken)}"
    foot = f"training dev: {result.num_queries} queries"
    return "\n".join([head, *table(rows), foot, f"next: nearer promote {result.model_id}"])
