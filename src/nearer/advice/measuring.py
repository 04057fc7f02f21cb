"""Every remedy measured, in the order of its cost."""

from dataclasses import replace

from nearer.advice.expense import Rate, measure_rate
from nearer.advice.ground import MAIN, Ground
from nearer.advice.models import adapter_remedies, chunk_remedies, encoder_remedies
from nearer.advice.remedies import (
    Remedy,
    Skipped,
    boost_remedy,
    filter_remedy,
    lexical_remedies,
    read_metadata_schema,
    rerank_remedy,
)
from nearer.advice.rows import Row, fine_tuning, row_of
from nearer.encode.cross_encoder import CrossEncoder

_NO_RERANKER = 'no reranker is named: search.rerank.model = "cross-encoder/ms-marco-MiniLM-L6-v2"'


def measure_remedies(
    ground: Ground, reranker: CrossEncoder | None, *, full_curve: bool
) -> tuple[list[Row], list[Skipped]]:
    """Every remedy in the order of its cost, and those that could not be measured."""
    rate = measure_rate(ground.system.encoder, ground.corpus)
    rows: list[Row] = []
    skipped: list[Skipped] = []

    def measured(remedy: Remedy, rate: Rate) -> Row:
        row = row_of(ground, remedy, rate)
        ground.progress.say(f"{remedy.name}: {MAIN} {row.tried.value:.3f} ({row.tried.difference:+.3f})")
        return row

    def take(found: Remedy | Skipped) -> None:
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            rows.append(measured(found, rate))

    others = [measured(*each) for each in encoder_remedies(ground)]  # first, since a service may fail

    schema = read_metadata_schema(ground)
    alone, filtered = filter_remedy(ground, schema)
    take(alone)
    take(boost_remedy(ground, schema))
    for each in lexical_remedies(ground, ground.dense, ground.lexical):
        take(each)
    if filtered and isinstance(alone, Remedy):
        *_, both = lexical_remedies(ground, filtered.dense, filtered.lexical, prefix="base+filter")
        take(replace(both, word="filter", changes={**alone.changes, **both.changes}))
    take(rerank_remedy(ground, reranker) if reranker else Skipped(name="base+rerank", reason=_NO_RERANKER))
    for other in (*adapter_remedies(ground), *chunk_remedies(ground)):
        take(other)
    rows += others
    tuned = fine_tuning(ground, rate, full_curve=full_curve)
    if isinstance(tuned, Skipped):
        skipped.append(tuned)
    else:
        rows.append(tuned)
    return rows, skipped
