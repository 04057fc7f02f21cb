"""Indexes, releases, searches, and where things stand; the records are loaded by the flows that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearer.printing.parts import comparison, excluded, one_line, passed, spent, usage

if TYPE_CHECKING:
    from nearer.core.results.data import IndexStatus, Pruned
    from nearer.core.results.releases import ArmStatus, Demo, History, Promotion, Rollback, WrittenReport
    from nearer.core.results.serving import Indexed, IndexSummary, Lineage, Link, SearchAnswer, ServedAnswer
    from nearer.core.results.status import Discarded, ReleaseStatus, Status, UnfinishedRun


def indexed(result: Indexed) -> str:
    """The result of `nearer index`."""
    lines = [
        f"{each.system}: {each.num_documents} documents, {each.num_passages} passages, "
        f"{each.num_encoded} newly encoded; {_index(each.index)}"
        for each in result.indexes
    ]
    return "\n".join([*lines, *spent(result.api)])


def verified(result: IndexStatus) -> str:
    """The result of `nearer index --verify`."""
    lines = [f"{name}: {'; '.join(faults) or 'follows the documents'}" for name, faults in result.faults.items()]
    return "\n".join([*lines, f"verdict: {result.verdict}"])


def promoted(result: Promotion) -> str:
    """The result of `nearer promote`."""
    share = f", for {result.share:.3g} of the users" if result.share else ""
    lines = [f"{result.verdict}: {result.release_id or 'live is as it was'}{share}"]
    if result.evaluation:
        evaluation = result.evaluation
        uses = evaluation.ledger.num_test_uses
        judged = f"  judged on {evaluation.num_queries} queries of {evaluation.split}"
        lines.append(judged + (f", use {uses} of this test set" if uses else ""))
        lines += [f"  {line}" for line in excluded(evaluation.excluded)]
    if result.suite:
        suite = result.suite
        lines.append(f"  {passed(suite.num_cases, suite.results[-1].num_failed)} cases of {suite.file} pass")
    lines += [f"  because {reason}" for reason in result.reasons]
    lines += [f"  note: {note}" for note in result.notes]
    return "\n".join([*lines, *spent(result.api)])


def arm(result: ArmStatus) -> str:
    """The result of `nearer arm`."""
    when = f"from {result.started_at} to {result.ended_at}" if result.ended_at else f"since {result.started_at}"
    share = f"{result.share:.3g} of the users, beside {result.live_release_id}"
    return f"{result.arm_id}: {result.release_id} for {share}, {when}"


def rolled_back(result: Rollback) -> str:
    """The result of `nearer rollback`."""
    return f"live: {result.release_id} ({result.model_id}); forward again: nearer promote {result.previous}"


def status(result: Status) -> str:
    """The result of `nearer status`."""
    lines = [f"{name}: {_release(release)}" for name, release in (("live", result.live), ("previous", result.previous))]
    lines += [_unfinished(each) for each in result.unfinished]
    sizes = [f"{kind} {num_bytes / 1e6:.1f} MB" for kind, num_bytes in result.bytes.items() if num_bytes]
    lines.append(f"on disk: {', '.join(sizes)}")
    return "\n".join([*lines, *(f"{each.model} at {each.endpoint}: {usage(each)}" for each in result.api)])


def _unfinished(run: UnfinishedRun) -> str:
    """An unfinished training, and what may be done with it."""
    summary = f"{run.run_id}: {run.verb or 'a training whose record is damaged'}, begun at {run.started_at}"
    size = f"{run.num_passes_done} passes done, {run.num_bytes / 1e6:.1f} MB"
    then = "runs now" if run.is_running else f"unfinished: nearer {run.verb} --resume {run.run_id}, or --discard"
    return f"{summary}; {size}; {then}"


def pruned(result: Pruned) -> str:
    """The result of `nearer prune`."""
    lines = [f"{each.kind}: {each.name}, {each.num_bytes / 1e6:.1f} MB" for each in result.removed]
    would = "would be given back" if result.dry_run else "given back"
    return "\n".join([*lines, f"{result.num_bytes / 1e6:.1f} MB {would}"])


def discarded(result: Discarded) -> str:
    """The result of `nearer train --discard`."""
    run = result.discarded
    return f"{run.run_id} is given up: {run.num_bytes / 1e6:.1f} MB"


def history(result: History) -> str:
    """The result of `nearer history`."""
    lines = []
    for event in result.events:
        why = "; ".join(event.reasons)
        forced = f" [forced: {event.forced}]" if event.forced else ""
        lines.append(f"{event.at} {event.action} {event.release_id or ''}{forced} {why}".rstrip())
    return "\n".join(lines) or "nothing has been live yet"


def lineage(result: Lineage) -> str:
    """The result of `nearer lineage`."""
    lines = _answer(result.answer) if result.answer else []
    for each in (*result.lineage, *result.reranker):
        data, shorter, mixed, taught = each.data, (each.encoder or {}).get("compressed"), each.merged, each.distilled
        made = (
            f"the first {shorter['dimension']} dimensions"
            if shorter
            else "weights of int8"
            if (each.encoder or {}).get("int8")
            else f"merged, {mixed.weight:g} of its parent, the rest of {mixed.model_id}"
            if mixed
            else f"{len(taught.layers)} layers of its parent, taught by {taught.model_id}"
            if taught
            else f"trained on {data.num_pairs} pairs ({data.pairs_id}), seed {each.seed}"
            if data
            else "off the shelf"
        )
        lines.append(f"{each.model_id or each.reranker_id}  {each.created_at}  {_kind(each)}{made}")
        computed = each.encoder_id or each.cross_encoder_id
        lines.append(f"  {computed}  releases: {', '.join(each.releases) or 'none'}")
    return "\n".join(lines)


def _answer(answer: ServedAnswer) -> list[str]:
    done = ", ".join(f"{action} {number}" for action, number in answer.events.items()) or "nothing"
    return [
        f"{answer.query_id}  {answer.at}  {one_line(answer.query)}",
        f"  answered by {answer.release_id}, arm {answer.arm}: {len(answer.doc_ids)} documents; users did: {done}",
    ]


def _kind(each: Link) -> str:
    """What a link of a lineage is, where it is no plain model."""
    if each.start:
        return f"reranker from {each.start.name}, "
    encoder = each.encoder or {}
    adapter = encoder.get("adapter")
    return f"{adapter['sides']} adapter, " if adapter else "queries alone, " if "queries" in encoder else ""


def found(result: SearchAnswer) -> str:
    """The result of `nearer search`."""
    lines = [f"warning: the index is stale ({fault}): nearer index" for fault in result.stale]
    lines += ["note: what is live is unmeasured: nearer status"] if result.is_unmeasured else []
    lines += [f"not filtered by {rule}: say what is known, with --known" for rule in result.unused_rules]
    for rank, each in enumerate(result.results, start=1):
        said = each.passage.text if each.passage else each.text
        title = f"{one_line(each.title)}: " if each.title and not said.startswith(each.title) else ""
        others = f" (also {', '.join(each.identical_ids)})" if each.identical_ids else ""
        lines.append(f"{rank:3} {each.score:.3f} {each.doc_id}{others}  {title}{one_line(said)}")
    return "\n".join([*lines, *spent(result.api)])


def reported(result: WrittenReport) -> str:
    """The result of `nearer report`."""
    return f"report: {result.report}"


def demonstrated(result: Demo) -> str:
    """The result of `nearer demo`."""
    compared = result.comparison
    return "\n".join(
        [
            "",
            comparison(compared) if compared else "nothing was better on training dev than the base",
            f"use {result.num_test_uses} of the test set",
            f"verdict: {result.verdict}, in {result.duration_s:.0f} s",
            f"report:  {result.report}",
            f"serve:   nearer serve --dir {result.report.partition('/.nearer/')[0]}",
        ]
    )


def _index(index: IndexSummary) -> str:
    if (recall := index.recall) is None:
        return f"{index.kind}, every passage compared"
    return (
        f"{index.kind}, recall@{recall.k} {recall.value:.3f} against exact search "
        f"on {recall.num_queries} {recall.measured_on}"
    )


def _release(release: ReleaseStatus | None) -> str:
    if release is None:
        return "none"
    answers = "+".join([release.model_id, *release.stages])
    unmeasured = ", unmeasured" if release.is_unmeasured else ""
    return f"{release.release_id} ({answers}, {release.num_documents} documents{unmeasured})"
