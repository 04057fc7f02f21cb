"""The remedies that change how a search ranks, and no vector: filter, boosts, words, fusion, a reranker.

Shapes: Q queries, S some of them, N documents, K ranked documents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nearer.advice.advice_data import AdviceData
from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.records import Metadata
from nearer.core.results.advice import SkippedRemedy
from nearer.encode.cross_encoder import CrossEncoder
from nearer.evaluation.corpus_ranker import pairs_of
from nearer.retrieval.boost import Boost, boosted, candidate_values, fit_boosts
from nearer.retrieval.fusion import reciprocal_rank_fusion, tune_weight, weighted_sum
from nearer.retrieval.metadata_schema import MOST_VALUES, MetadataSchema
from nearer.retrieval.rerank import rerank
from nearer.retrieval.rules import Rule, condition_of, passing
from nearer.retrieval.select_rules import select_rules
from nearer.systems.filtering import known_of
from nearer.systems.reranker import was_trained_here
from nearer.vectors.topk import NO_ROW, TopK

Work = Callable[[int], object]
"""What a remedy adds to answering the query of a row."""

_BLOCK = 256
"""Pairs read between two moves of the progress bar."""

RERANK_QUERIES = 100
"""Queries that a reranker is measured on: it reads 20 texts a query."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remedy:
    """A remedy and what it does: the values of the queries it was measured on, judged out of fold.

    ``word`` recommends it. ``changes`` are the recipe's keys, with dots, that make it so, fitted on all queries.
    ``index_work`` is "none", "transform" or "re-embed".
    """

    name: str
    word: str
    queries_S: Ints
    values: Mapping[str, Floats64]
    ranked: TopK
    changes: Mapping[str, Any] = field(default_factory=dict)
    index_work: str = "none"
    work: Work | None = None
    notes: tuple[str, ...] = ()


def whole(data: AdviceData, name: str, word: str, ranked: TopK, **more: Any) -> Remedy:
    """A remedy measured on all queries."""
    queries_Q = np.arange(len(data.queries))
    return Remedy(name=name, word=word, queries_S=queries_Q, values=data.values(ranked.rows_QK), ranked=ranked, **more)


def out_of_fold(data: AdviceData, rank: Callable[[int], TopK]) -> TopK:
    """Every query as it is ranked by ``rank(fold)``, for the queries that the fold judges."""
    rows_QK = np.full((len(data.queries), data.depth), NO_ROW, np.int64)
    scores_QK = np.full(rows_QK.shape, -np.inf, np.float32)
    for fold in range(data.num_folds):
        judged, found = data.judged_by(fold), rank(fold)
        rows_QK[judged], scores_QK[judged] = found.rows_QK, found.scores_QK
    return TopK(rows_QK=rows_QK, scores_QK=scores_QK)


def some(ranked: TopK, rows_S: Ints) -> TopK:
    """The rankings of some queries."""
    return TopK(rows_QK=ranked.rows_QK[rows_S], scores_QK=ranked.scores_QK[rows_S])


def lexical_remedies(data: AdviceData, dense: TopK, lexical: TopK, *, prefix: str = "") -> list[Remedy]:
    """Words alone, and both kinds of fusion, over rankings that are out of fold already."""
    tuned = tune_weight(dense, lexical, measure=data.main, folds_Q=data.folds_Q, k=data.depth)
    fused = reciprocal_rank_fusion([dense, lexical], k=data.depth)
    weights = f"weights of vectors by fold: {', '.join(f'{weight:g}' for weight in tuned.fold_weights)}"

    def words(row: int) -> TopK:
        found = data.bm25.index.search([data.queries[row].text], k=data.depth)
        return weighted_sum([some(dense, np.array([row])), found], [tuned.weight, 1 - tuned.weight], k=data.depth)

    def named(stage: str) -> str:
        return f"{prefix}+{stage}" if prefix else stage

    return [
        whole(data, named("bm25"), "hybrid", lexical, work=words),
        whole(data, named("rrf"), "hybrid", fused, work=words),
        whole(
            data,
            named("hybrid"),
            "hybrid",
            tuned.out_of_fold,
            changes={"search.dense_weight": tuned.weight},
            work=words,
            notes=(weights,),
        ),
    ]


def read_metadata_schema(data: AdviceData) -> MetadataSchema:
    """What the documents' metadata offers to the queries."""
    recipe = data.workspace.recipe
    return MetadataSchema.read(
        data.corpus.documents,
        [query.metadata for query in data.queries],
        query_time_fields=recipe.search.query_time_fields,
        texts=recipe.columns.documents.texts,
    )


def _without(schema: MetadataSchema, name: str, reason: str) -> SkippedRemedy:
    """A remedy that the fields do not give, reported with those that were excluded."""
    return SkippedRemedy(name=name, reason="; ".join([reason, *schema.excluded.values()]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filtered:
    """Rankings over what rules let through: rules fitted without the query's fold, and those fitted on all."""

    dense: TopK
    lexical: TopK
    rules: tuple[Rule, ...]


def filter_remedy(data: AdviceData, schema: MetadataSchema) -> tuple[Remedy | SkippedRemedy, Filtered | None]:
    """The rules between query and document that are worth it, fitted without each fold."""
    recipe = data.workspace.recipe.search
    if not schema.rules:
        reason = (
            f"no document field tells documents apart by at most {MOST_VALUES} values, and search.query_time_fields "
            "names none that documents share with queries"
        )
        return _without(schema, "base+filter", reason), None
    metadata = [known_of(query.metadata, recipe) for query in data.queries]
    tuned_on = map(data.tuned_on, range(data.num_folds))
    fitted = [_fit(data, schema, metadata, rows_S) for rows_S in tuned_on]
    everything = _fit(data, schema, metadata, np.arange(len(data.queries)))
    if not everything and not any(fitted):
        reason = f"of {len(schema.rules)} rules none gained enough without losing relevant documents"
        return _without(schema, "base+filter", reason), None
    conditions = [
        condition_of(fitted[fold], each) if fitted[fold] else None
        for fold, each in zip(data.folds_Q, metadata, strict=True)
    ]
    ranker = replace(data.ranker, conditions=conditions)
    dense = ranker.by_vectors(data.query_emb_QD, data.passage_emb_PD)
    lexical = ranker.by_bm25(data.bm25)

    def work(row: int) -> object:
        condition = condition_of(everything, metadata[row])
        return condition and passing(condition, schema.documents)

    filter_fields = sorted({*data.workspace.recipe.index.filter_fields, *(rule.key for rule in everything)})
    changes = {"search.filters": [str(rule) for rule in everything], "index.filter_fields": filter_fields}
    remedy = whole(
        data,
        "base+filter",
        "filter",
        dense,
        changes=changes,
        work=work,
        notes=(f"rules: {', '.join(map(str, everything)) or 'none on all queries'}", *schema.excluded.values()),
    )
    return remedy, Filtered(dense=dense, lexical=lexical, rules=everything)


def boost_remedy(data: AdviceData, schema: MetadataSchema) -> Remedy | SkippedRemedy:
    """The fields that are worth adding to the scores: recency, authority, popularity."""
    comparable = [name for name, kind in schema.fields.items() if kind in ("integer", "number", "date")]
    values = candidate_values(comparable, doc_ids=schema.doc_ids, documents=schema.documents)
    if not values:
        return _without(schema, "base+boost", "no document field holds several numbers or dates")

    def fitted(rows_S: Ints) -> tuple[Boost, ...]:
        found = fit_boosts(
            some(data.dense, rows_S),
            values=values,
            measure=lambda rows_SK: data.main_of(rows_SK, rows_S),
            depth=data.depth,
        )
        return found.boosts

    def ranked(fold: int) -> TopK:
        return with_boosts(data.judged_by(fold), fitted(data.tuned_on(fold)))

    def with_boosts(rows_S: Ints, boosts: Sequence[Boost]) -> TopK:
        return boosted(some(data.dense, rows_S), boosts, values, depth=data.depth)

    by_fold, everything = out_of_fold(data, ranked), fitted(np.arange(len(data.queries)))
    if not everything and np.array_equal(by_fold.rows_QK, data.dense.rows_QK):
        return _without(schema, "base+boost", f"of {len(values)} fields none gained enough")
    changes = {
        "search.boosts": {
            each.field: {"weight": each.weight, "low": each.low, "high": each.high} for each in everything
        }
    }
    shown = ", ".join(f"{each.field} {each.weight:g}" for each in everything) or "none on all queries"
    return whole(
        data,
        "base+boost",
        "filter",
        by_fold,
        changes=changes,
        work=lambda row: with_boosts(np.array([row]), everything),
        notes=(f"weights: {shown}",),
    )


def rerank_remedy(data: AdviceData, reranker: CrossEncoder) -> Remedy | SkippedRemedy:
    """The best documents read anew by a cross-encoder, on a sample: it reads many texts a query.

    One that was trained here is measured on queries of dev alone.
    """
    recipe = data.workspace.recipe
    is_own = was_trained_here(data.workspace, recipe.search.rerank, reranker)
    queries_S = data.sample(RERANK_QUERIES, seed=recipe.evaluate.seed, without_train=is_own)
    if len(queries_S) < 2:
        return SkippedRemedy(name="base+rerank", reason="it was trained on the judged queries that there are")

    def text_of(query: int, row: int) -> str:
        return data.embedded.passages_by_nearness(row, data.query_emb_QD[query])[0]

    def score(queries: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Floats32:
        texts = [(data.queries[queries[place]].text, text_of(queries[place], row)) for place, row in pairs]
        blocks = [texts[first : first + _BLOCK] for first in range(0, len(texts), _BLOCK)]
        tracked = data.progress.track(blocks, label="rerank passages", total=len(texts), size=len)
        return np.concatenate([reranker.scores(block) for block in (tracked if len(blocks) > 1 else blocks)])

    depth = recipe.search.rerank.depth
    ranked = rerank(some(data.dense, queries_S), lambda pairs: score(queries_S.tolist(), pairs), depth=depth)
    rows_QK = np.full_like(data.dense.rows_QK, NO_ROW)
    rows_QK[queries_S] = ranked.rows_QK
    values = {name: each[queries_S] for name, each in data.values(rows_QK).items()}
    return Remedy(
        name="base+rerank",
        word="rerank",
        queries_S=queries_S,
        values=values,
        ranked=ranked,
        changes={"search.rerank.model": recipe.search.rerank.model},
        notes=(f"on {len(queries_S)} queries of dev, for it learned from those of train",) if is_own else (),
        work=lambda row: rerank(some(data.dense, np.array([row])), lambda pairs: score([row], pairs), depth=depth),
    )


def _fit(data: AdviceData, schema: MetadataSchema, metadata: Sequence[Metadata], rows_S: Ints) -> tuple[Rule, ...]:
    """The rules that are worth it on some queries."""
    relevant = pairs_of(data.relevant, rows_S, num_queries=len(data.queries))
    found = select_rules(
        some(data.dense, rows_S),
        candidates=schema.rules,
        queries=[metadata[row] for row in rows_S],
        documents=schema.documents,
        relevant=relevant,
        measure=lambda rows_SK: data.main_of(rows_SK, rows_S),
    )
    return found.rules
