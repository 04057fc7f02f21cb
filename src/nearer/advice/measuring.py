"""Every remedy measured, in the order of its cost."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.expense import Rate, measure_rate
from nearer.advice.learning_curve import curve_seconds
from nearer.advice.models import adapter_remedies, chunk_remedies, cuttings, encoder_remedies
from nearer.advice.remedies import (
    RERANK_QUERIES,
    Remedy,
    boost_remedy,
    filter_remedy,
    lexical_remedies,
    read_metadata_schema,
    rerank_remedy,
)
from nearer.advice.rows import MeasuredRemedy, fine_tuning, on_the_same_queries, row_of
from nearer.advice.timing import Step, encoding_s, tell
from nearer.advice.verdict import FINE_TUNE
from nearer.core.results.advice import SkippedRemedy
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import local_reader
from nearer.training.deadline import Deadline

_UNREAD = "the base cannot read the texts, and training does not mend that: another base, in advise.encoders"
_NO_RERANKER = 'no reranker is named: search.rerank.model = "cross-encoder/ms-marco-MiniLM-L6-v2"'

_NUM_READ = 8


def measure_remedies(
    data: AdviceData,
    reranker: CrossEncoder | None,
    *,
    full_curve: bool,
    deadline: Deadline,
    clock: Callable[[], float],
) -> tuple[list[MeasuredRemedy], list[SkippedRemedy]]:
    """Every remedy in the order of its cost, and those that could not be measured, or had no time."""
    rate = measure_rate(data.system.encoder, data.corpus)
    steps = _steps(data, reranker, rate, full_curve=full_curve, deadline=deadline, clock=clock)
    tell(steps, data.progress)
    rows: list[MeasuredRemedy] = []
    skipped: list[SkippedRemedy] = []
    for step in steps:
        for found in step.found(deadline):
            if isinstance(found, SkippedRemedy):
                skipped.append(found)
                continue
            row = row_of(data, found, rate) if isinstance(found, Remedy) else found
            if row.tried.word != FINE_TUNE:
                data.progress.say(f"{row.tried.name}: {MAIN} {row.tried.value:.3f} ({row.tried.difference:+.3f})")
            rows.append(row)
    rows.sort(key=lambda row: row.tried.word == "change_encoder")  # measured first, since a service may fail
    rows.sort(key=lambda row: row.tried.word == FINE_TUNE)
    return on_the_same_queries(rows), skipped


def _steps(
    data: AdviceData,
    reranker: CrossEncoder | None,
    rate: Rate,
    *,
    full_curve: bool,
    deadline: Deadline,
    clock: Callable[[], float],
) -> list[Step]:
    """What is measured, in its order, with what it is expected to take."""
    passage_s = 0.0 if rate.passages_per_s is None else 1 / rate.passages_per_s
    all_s = passage_s * len(data.corpus.passages)
    tried = cuttings(data)
    chunks_s = 0.0 if isinstance(tried, SkippedRemedy) else all_s * len(tried)
    others = [local_reader(each.encoder, "documents") for each in data.others.values()]
    others_s = sum(encoding_s(each, data.corpus, clock=clock) for each in others if each)
    reading_s = _reading_s(data, reranker, clock=clock) if reranker else 0.0
    curve_s = curve_seconds(data.workspace, data.system.encoder, data.corpus, full=full_curve, clock=clock)
    curve_s = 0.0 if data.unread else curve_s
    rest_s = deadline.left_s - others_s - reading_s if deadline.is_ever else None

    def unread(name: str) -> list[SkippedRemedy]:
        return [SkippedRemedy(name=name, reason=_UNREAD)] if data.unread else []

    return [
        Step(name="other encoders", seconds=others_s, make=lambda: _other_encoders(data)),
        Step(name="filter, boosts, words", seconds=0.0, make=lambda: _settings(data)),
        Step(name="base+rerank", seconds=reading_s, make=lambda: [_reranked(data, reranker)]),
        Step(name="adapter", seconds=0.0, make=lambda: unread("adapter") or adapter_remedies(data)),
        Step(name="chunk", seconds=chunks_s, make=lambda: chunk_remedies(data)),
        Step(
            name=FINE_TUNE,
            seconds=curve_s if rest_s is None else min(curve_s, max(0.0, 0.8 * rest_s)),
            make=lambda: (
                unread(FINE_TUNE) or [fine_tuning(data, rate, full_curve=full_curve, deadline=deadline, clock=clock)]
            ),
        ),
    ]


def _other_encoders(data: AdviceData) -> Iterator[MeasuredRemedy]:
    for remedy, rate in encoder_remedies(data):
        yield row_of(data, remedy, rate)


def _settings(data: AdviceData) -> Iterator[Remedy | SkippedRemedy]:
    """What changes no vector: filter, boosts, words, fusion."""
    schema = read_metadata_schema(data)
    alone, filtered = filter_remedy(data, schema)
    yield alone
    yield boost_remedy(data, schema)
    yield from lexical_remedies(data, data.dense, data.lexical)
    if filtered and isinstance(alone, Remedy):
        *_, both = lexical_remedies(data, filtered.dense, filtered.lexical, prefix="base+filter")
        yield replace(both, word="filter", changes={**alone.changes, **both.changes})


def _reranked(data: AdviceData, reranker: CrossEncoder | None) -> Remedy | SkippedRemedy:
    return rerank_remedy(data, reranker) if reranker else SkippedRemedy(name="base+rerank", reason=_NO_RERANKER)


def _reading_s(data: AdviceData, reranker: CrossEncoder, *, clock: Callable[[], float]) -> float:
    """What a cross-encoder takes for the queries that it is measured on, by a few pairs."""
    recipe = data.workspace.recipe
    pairs = [(query.text, text) for query, text in zip(data.queries, data.corpus.passages[:_NUM_READ], strict=False)]
    reranker.scores(pairs[:1])
    began = clock()
    reranker.scores(pairs)
    num_queries = min(RERANK_QUERIES, len(data.queries))
    return (clock() - began) / len(pairs) * num_queries * recipe.search.rerank.depth
