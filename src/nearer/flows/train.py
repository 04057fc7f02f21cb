"""Train a candidate: pass 1 on positives and in-batch negatives, later passes on negatives the last model mined.

Arrays: Q queries, N documents, P passages, K candidates, D dimensions.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.errors import InputError, RecipeError
from nearer.core.ids import content_id
from nearer.core.progress import Progress, Silent
from nearer.core.records import Judgment, Query
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.encoder import Encoder
from nearer.flows.check import leaks_of
from nearer.flows.embedding import Corpus, Floats, Ints, embed_corpus, embed_queries, own_documents, read_corpus
from nearer.flows.evaluate import TestSet, read_test_set
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import BASE, System, open_system
from nearer.learn.examples import Example, from_judgments, from_pairs, limit
from nearer.learn.fit import FitReport, Prompts, fit
from nearer.learn.lint import lint
from nearer.learn.negatives import Candidates, MiningReport, mine
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.topk import top_k
from nearer.store.collection import Collection
from nearer.store.files import move_into_place
from nearer.store.registry import Model, Registry
from nearer.store.workspace import Workspace

DEV_MEASURE = Measure.parse("nDCG@10")
_OWN_MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSet:
    """Dev queries over a small fixed corpus: their relevant documents, and distractors that the base ranks high."""

    queries: tuple[Query, ...]
    passages: tuple[str, ...]
    starts_N: Ints
    qrels: Qrels
    excluded: tuple[Ints, Ints]

    def measure(self, encoder: Encoder) -> float:
        """The mean of nDCG@10 of the model as it is now, 0 if it has diverged; nothing is cached."""
        query_emb_QD = encoder.encode_queries([query.text for query in self.queries])
        passage_emb_PD = encoder.encode_documents(self.passages)
        if not (np.isfinite(query_emb_QD).all() and np.isfinite(passage_emb_PD).all()):
            return 0.0
        cutoff = DEV_MEASURE.cutoff
        assert cutoff is not None
        ranked = top_k(query_emb_QD, passage_emb_PD, k=cutoff, starts_N=self.starts_N, excluded=self.excluded)
        return float(score([DEV_MEASURE], ranked.rows_QK, self.qrels)[DEV_MEASURE].mean())


def train(
    workspace: Workspace,
    start: str = BASE,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train ``start`` further and register what was best on dev; ``start`` itself when nothing was better.

    The base begins with a pass on in-batch negatives; a model that was trained before goes on with mined ones, so
    that two calls of one pass give what one call of two gives. Raises RecipeError for settings that cannot work and
    InputError when splits leak or there is too little data.
    """
    progress = progress or Silent()
    ensure_splits(workspace)
    _refuse_leaks(workspace)
    began = clock()
    with workspace.writer("train"):
        base = open_system(workspace, BASE)
        corpus = read_corpus(workspace, base.encoder)
        passage_emb_PD, _ = embed_corpus(workspace, base.encoder, corpus, progress)
        dev = build_dev_set(workspace, base.encoder, corpus, passage_emb_PD, progress=progress)
        examples = read_examples(workspace, base.encoder, corpus, passage_emb_PD, progress=progress)
        _refuse_hopeless(workspace, examples, dev, base.encoder)
        parent = base if start == BASE else open_system(workspace, start)
        trained_before = parent.model.model_id != base.model.model_id
        passes = _run_passes(
            workspace, parent.encoder, corpus, examples, dev, first=2 if trained_before else 1, progress=progress
        )
        training = {
            "recipe": workspace.recipe.model_dump(mode="json"),
            "data": {
                "num_pairs": len(examples),
                "pairs_id": content_id("pairs", [(e.anchor, e.positive) for e in examples]),
            },
            "passes": passes,
            "duration_s": round(clock() - began, 1),
        }
        model = _register(workspace, parent, training=training)
    return {
        "model_id": model.model_id,
        "encoder_id": model.encoder_id,
        "improved": model.model_id != parent.model.model_id,
        "passes": passes,
        "dev": {
            "metric": str(DEV_MEASURE),
            "num_queries": len(dev.queries),
            "num_documents": len(dev.starts_N),
            "start": passes[0]["fit"]["dev"][0]["value"],
            "best": max(point["value"] for each in passes for point in each["fit"]["dev"]),
        },
        "num_pairs": len(examples),
        "duration_s": round(clock() - began, 1),
    }


def read_examples(
    workspace: Workspace, encoder: Encoder, corpus: Corpus, passage_emb_PD: Floats, *, progress: Progress
) -> list[Example]:
    """The training pairs: each positive as its passage nearest to the query, then the pairs given as text."""
    collection, recipe = Collection(workspace.database), workspace.recipe.train
    queries, judgments = collection.queries("train"), collection.judgments("train")
    texts_of = _passages_by_nearness(workspace, encoder, corpus, passage_emb_PD, queries, judgments, progress=progress)
    judged = from_judgments(
        queries,
        judgments,
        scale=collection.scale(),
        texts_of=texts_of,
        max_positives=recipe.max_positives,
        seed=recipe.seed,
    )
    return limit(
        [*judged, *from_pairs(collection.pairs(), margin=_OWN_MARGIN)], max_pairs=recipe.max_pairs, seed=recipe.seed
    )


def build_dev_set(
    workspace: Workspace, encoder: Encoder, corpus: Corpus, passage_emb_PD: Floats, *, progress: Progress
) -> DevSet:
    """Dev queries with their relevant documents and fixed distractors: half the base's best wrong ones, half random."""
    recipe = workspace.recipe.train
    full = read_test_set(workspace, "dev")
    rng = random.Random(recipe.seed)
    chosen = sorted(rng.sample(range(len(full.queries)), min(recipe.max_dev_queries, len(full.queries))))
    queries = tuple(full.queries[row] for row in chosen)
    row_of = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
    wanted = {row_of[doc_id] for query in queries for doc_id in full.relevant[query.query_id]}
    query_emb_QD = embed_queries(workspace, encoder, queries, progress)
    hard = top_k(query_emb_QD, passage_emb_PD, k=10, starts_N=corpus.starts_N).rows_QK
    wanted.update(_distractors(hard, wanted, corpus, number=recipe.num_dev_distractors, rng=rng))
    rows = sorted(wanted)
    documents = [corpus.documents[row] for row in rows]
    passages = [[corpus.passages[passage] for passage in corpus.passages_of(row)] for row in rows]
    starts = np.cumsum([0, *(len(each) for each in passages)])[:-1]
    return DevSet(
        queries=queries,
        passages=tuple(text for each in passages for text in each),
        starts_N=np.asarray(starts, dtype=np.int64),
        qrels=_dev_qrels(workspace, queries, [document.doc_id for document in documents], full),
        excluded=own_documents(queries, documents),
    )


def _dev_qrels(workspace: Workspace, queries: Sequence[Query], doc_ids: list[str], full: TestSet) -> Qrels:
    collection = Collection(workspace.database)
    return Qrels.build(
        [query.query_id for query in queries],
        doc_ids,
        collection.judgments(full.split),
        relevant_from=collection.scale().relevant_from,
    )


def _distractors(hard_QK: Ints, taken: set[int], corpus: Corpus, *, number: int, rng: random.Random) -> list[int]:
    """Documents the base puts first for some dev query, by rank, then random ones."""
    by_rank = [int(row) for row in hard_QK.T.ravel() if row >= 0]
    chosen = [row for row in dict.fromkeys(by_rank) if row not in taken][: (number + 1) // 2]
    others = [row for row in range(len(corpus.documents)) if row not in taken and row not in set(chosen)]
    return chosen + rng.sample(others, min(number - len(chosen), len(others)))


def _passages_by_nearness(
    workspace: Workspace,
    encoder: Encoder,
    corpus: Corpus,
    passage_emb_PD: Floats,
    queries: Sequence[Query],
    judgments: Sequence[Judgment],
    *,
    progress: Progress,
) -> dict[tuple[str, str], list[str]]:
    """For each judged (query, document) the document's passages, the one that the encoder finds nearest first."""
    row_of = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
    query_emb_QD = embed_queries(workspace, encoder, queries, progress)
    vector_of = {query.query_id: vector_D for query, vector_D in zip(queries, query_emb_QD, strict=True)}
    found = {}
    for judgment in judgments:
        rows = np.asarray(corpus.passages_of(row_of[judgment.doc_id]))
        scores = passage_emb_PD[rows] @ vector_of[judgment.query_id]
        found[judgment.query_id, judgment.doc_id] = [corpus.passages[row] for row in rows[np.argsort(-scores)]]
    return found


def _run_passes(
    workspace: Workspace,
    encoder: Encoder,
    corpus: Corpus,
    examples: list[Example],
    dev: DevSet,
    *,
    first: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Train ``encoder`` in place; every pass but number 1 mines anew before it."""
    recipe = workspace.recipe.train
    prompts = Prompts(query=encoder.settings.query_prompt, document=encoder.settings.document_prompt)
    passes: list[dict[str, Any]] = []
    for number in range(first, first + recipe.passes):
        mined, mining = examples, None
        if number > 1:
            mined, mining = mine_negatives(workspace, encoder, corpus, examples, progress=progress)
        with tempfile.TemporaryDirectory(dir=workspace.state, prefix="train-") as scratch:
            report = fit(
                encoder.model,
                mined,
                recipe=recipe.model_copy(update={"seed": recipe.seed + number}),
                prompts=prompts,
                near_duplicate=NEAR_DUPLICATE,
                measure_dev=lambda: dev.measure(encoder),
                scratch=Path(scratch),
                progress=progress,
            )
        passes.append(_describe(number, report, mining))
        progress.say(_line(number, report, mining))
    return passes


def mine_negatives(
    workspace: Workspace, encoder: Encoder, corpus: Corpus, examples: Sequence[Example], *, progress: Progress
) -> tuple[list[Example], MiningReport]:
    """Propose with the model as it is now, uncached, then score, filter and sample."""
    recipe = workspace.recipe.mining
    blocks = [corpus.passages[start : start + 256] for start in range(0, len(corpus.passages), 256)]
    encoded = [
        encoder.encode_documents(block)
        for block in progress.track(blocks, label="encode for mining", total=len(blocks))
    ]
    passage_emb_PD = np.concatenate(encoded)
    anchor_emb_QD = encoder.encode_queries([example.anchor for example in examples])
    positive_emb_QD = encoder.encode_documents([example.positive for example in examples])
    most_spared = max((len(example.spared) for example in examples), default=0)
    ranked = top_k(anchor_emb_QD, passage_emb_PD, k=min(recipe.top_k + most_spared, 10 * recipe.top_k))
    candidates = Candidates(
        texts=corpus.passages,
        rows_QK=ranked.rows_QK,
        scores_QK=ranked.scores_QK,
        positive_scores_Q=np.einsum("qd,qd->q", anchor_emb_QD, positive_emb_QD),
    )
    return mine(
        examples,
        candidates,
        top_k=recipe.top_k,
        num_negatives=recipe.num_negatives,
        margins=recipe.margins,
        min_share=recipe.min_share,
        near_duplicate=NEAR_DUPLICATE,
        seed=workspace.recipe.train.seed,
    )


def _register(workspace: Workspace, parent: System, *, training: dict[str, Any]) -> Model:
    """Save the trained encoder under its id, then enter it; the parent's own record if nothing changed."""
    encoder = Encoder(parent.encoder.model, settings=parent.encoder.settings, batch_size=parent.encoder.batch_size)
    if encoder.encoder_id == parent.model.encoder_id:
        return parent.model
    workspace.models.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=workspace.models, prefix=".tmp-"))
    try:
        encoder.save(scratch)
        move_into_place(scratch, workspace.models / encoder.encoder_id)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    record = Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=str(Path("models") / encoder.encoder_id),
        encoder=asdict(encoder.settings),
        parent_model_id=parent.model.model_id,
        training=training,
    )
    return Registry(workspace.database).add_model(record)


def _refuse_leaks(workspace: Workspace) -> None:
    leaks = leaks_of(workspace)
    if leaks:
        first = leaks[0]
        raise InputError(
            f"{len(leaks)} leaks between splits, the first: {first.set_aside!r} and {first.kept!r} ({first.kind})",
            hint="set the earlier side's queries aside: nearer check --drop-leaks",
        )


def _refuse_hopeless(workspace: Workspace, examples: list[Example], dev: DevSet, encoder: Encoder) -> None:
    import torch

    faults = lint(
        workspace.recipe,
        num_examples=len(examples),
        num_dev_queries=len(dev.queries),
        has_gpu=torch.cuda.is_available(),
        prompts=(encoder.settings.query_prompt, encoder.settings.document_prompt),
    )
    if faults:
        raise RecipeError("; ".join(faults), hint="correct nearer.toml, or for one run: --set KEY=VALUE")


def _describe(number: int, report: FitReport, mining: MiningReport | None) -> dict[str, Any]:
    return {"pass": number, "fit": asdict(report), "mining": asdict(mining) if mining else None}


def _line(number: int, report: FitReport, mining: MiningReport | None) -> str:
    first, best = report.dev[0].value, max(point.value for point in report.dev)
    text = (
        f"pass {number}: {DEV_MEASURE} on dev {first:.3f} -> {best:.3f} (step {report.best_step} of {report.num_steps})"
    )
    if mining:
        margin = "no margin" if mining.margin < 0 else f"margin {mining.margin:g}"
        text += f"; negatives: {margin}, {mining.share_with_enough:.0%} of pairs have enough"
    return text
