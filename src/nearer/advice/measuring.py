"""Every remedy measured, in the order of its cost."""

from dataclasses import replace

from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.expense import Rate, measure_rate
from nearer.advice.models import adapter_remedies, chunk_remedies, encoder_remedies
from nearer.advice.remedies import (
    Remedy,
    boost_remedy,
    filter_remedy,
    lexical_remedies,
    read_metadata_schema,
    rerank_remedy,
)
from nearer.advice.rows import MeasuredRemedy, fine_tuning, row_of
from nearer.core.results.advice import SkippedRemedy
from nearer.encode.cross_encoder import CrossEncoder

_UNREAD = "the base cannot read the texts, and training does not mend that: another base, in advise.encoders"
_NO_RERANKER = 'no reranker is named: search.rerank.model = "cross-encoder/ms-marco-MiniLM-L6-v2"'


def measure_remedies(
    data: AdviceData, reranker: CrossEncoder | None, *, full_curve: bool
) -> tuple[list[MeasuredRemedy], list[SkippedRemedy]]:
    """Every remedy in the order of its cost, and those that could not be measured."""
    rate = measure_rate(data.system.encoder, data.corpus)
    rows: list[MeasuredRemedy] = []
    skipped: list[SkippedRemedy] = []

    def measured(remedy: Remedy, rate: Rate) -> MeasuredRemedy:
        row = row_of(data, remedy, rate)
        data.progress.say(f"{remedy.name}: {MAIN} {row.tried.value:.3f} ({row.tried.difference:+.3f})")
        return row

    def take(found: Remedy | SkippedRemedy) -> None:
        if isinstance(found, SkippedRemedy):
            skipped.append(found)
        else:
            rows.append(measured(found, rate))

    others = [measured(*each) for each in encoder_remedies(data)]  # first, since a service may fail

    schema = read_metadata_schema(data)
    alone, filtered = filter_remedy(data, schema)
    take(alone)
    take(boost_remedy(data, schema))
    for each in lexical_remedies(data, data.dense, data.lexical):
        take(each)
    if filtered and isinstance(alone, Remedy):
        *_, both = lexical_remedies(data, filtered.dense, filtered.lexical, prefix="base+filter")
        take(replace(both, word="filter", changes={**alone.changes, **both.changes}))
    take(rerank_remedy(data, reranker) if reranker else SkippedRemedy(name="base+rerank", reason=_NO_RERANKER))
    if data.unread:
        skipped.append(SkippedRemedy(name="adapter", reason=_UNREAD))
    for other in (*(() if data.unread else adapter_remedies(data)), *chunk_remedies(data)):
        take(other)
    rows += others
    unread = SkippedRemedy(name="fine_tune", reason=_UNREAD)
    tuned = unread if data.unread else fine_tuning(data, rate, full_curve=full_curve)
    if isinstance(tuned, SkippedRemedy):
        skipped.append(tuned)
    else:
        rows.append(tuned)
    return rows, skipped
