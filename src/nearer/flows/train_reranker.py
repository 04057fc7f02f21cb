"""Train a cross-encoder on what a retriever finds, to put the first of it into a better order.

Arrays: P passages, D dimensions.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nearer.core.errors import InputError, RecipeError
from nearer.core.ids import canonical_json, content_id
from nearer.core.progress import Progress, Silent
from nearer.core.steps import reached
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder, TextEncoder
from nearer.encode.paired import PairedEncoder
from nearer.flows.embedding import MAPPED, embed_corpus, read_corpus
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import BASE, LIVE, System, open_system, refuse_stages, spent
from nearer.flows.systems.reranker import is_reranker_id, open_reranker
from nearer.flows.training.dev_set import DEV_MEASURE
from nearer.flows.training.examples import find_left_out, read_examples
from nearer.flows.training.models import keep_model
from nearer.flows.training.rerank_set import RerankDev, build_rerank_dev, mine_lists
from nearer.flows.training.run import TrainingRun, surroundings
from nearer.learn.checkpoint import DevPoint
from nearer.learn.fit_reranker import fit_reranker
from nearer.learn.lint import lint_reranker
from nearer.learn.lists import RankedList
from nearer.learn.negatives import MiningReport
from nearer.learn.precision import precisions_of
from nearer.store.registry import Registry, Reranker
from nearer.store.workspace import Workspace

_RUNS = "reranker"
"""The folder of a cross-encoder's unfinished training, beside that of an encoder's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What a training begins with, and the system that finds what is to be ranked.

    ``is_fresh`` when the head is random, so that the cross-encoder knows nothing yet.
    """

    name: str
    retriever: System
    reranker: CrossEncoder
    is_fresh: bool
    parent_id: str | None

    @property
    def described(self) -> dict[str, Any]:
        """What is written down of it."""
        cross_encoder_id = None if self.is_fresh else self.reranker.cross_encoder_id
        return {"name": self.name, "is_fresh": self.is_fresh, "cross_encoder_id": cross_encoder_id}


def train_reranker(
    workspace: Workspace,
    start: str = BASE,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train a cross-encoder and register what was best on dev, if that is better than leaving it.

    ``start`` is ``base`` or a model's id, whose transformer gets a fresh head and which finds what is ranked; or a
    cross-encoder (the id of one trained here, a folder, a Hub name), which ranks what the base finds. It learns from
    the pairs of ``train``, each in a list with what the retriever wrongly finds. Better means than the retriever's own
    order of dev's queries, and than the cross-encoder that it began with. A run that was cut short goes on from what it
    kept.

    Raises RecipeError for settings or data that cannot work, NotFound or ModelRefused for a start that cannot be had,
    WorkspaceError when the disk refuses.
    """
    progress = progress or Silent()
    refuse_stages(start)
    ensure_splits(workspace)
    left_out = find_left_out(workspace)
    began = clock()
    with workspace.writer("train"):
        begin = _open_start(workspace, start)
        encoder = begin.retriever.encoder
        corpus = read_corpus(workspace, encoder)
        passage_emb_PD, _ = embed_corpus(workspace, encoder, corpus, progress)
        known = (workspace, encoder, corpus, passage_emb_PD)
        dev = build_rerank_dev(*known, left_out=left_out, progress=progress)
        examples = read_examples(*known, left_out=left_out, progress=progress)
        lists, mining = mine_lists(*known, examples, left_out=left_out, progress=progress)
        _refuse_hopeless(workspace, lists, mining)
        run = TrainingRun.open(
            workspace.training / _RUNS, _what_decides(workspace, begin, lists, dev), say=progress.say
        )
        fit = _fit(workspace, run, begin, lists, dev, progress=progress)
        values = _values(begin, dev, fit)
        improved = values["best"] > max(values["retriever"], values["start"])
        training = {
            "recipe": workspace.recipe.model_dump(mode="json"),
            "data": {"num_pairs": len(lists), "pairs_id": _pairs_id(lists)},
            "start": begin.described,
            "retriever": encoder.model_id,
            "passes": [{"pass": 1, "fit": fit, "mining": _plain(asdict(mining))}],
            "dev": values,
            "duration_s": None if run.is_resumed else round(clock() - began, 1),
        }
        kept = _register(workspace, begin, training=training) if improved else None
        _record(workspace, run, detail={"reranker_id": kept.reranker_id if kept else None, "improved": improved})
        run.remove()
    return {
        "reranker_id": kept.reranker_id if kept else None,
        "cross_encoder_id": kept.cross_encoder_id if kept else None,
        "improved": improved,
        "retriever": encoder.model_id,
        "start": training["start"],
        "passes": training["passes"],
        "fault": fit["fault"],
        "dev": values,
        "num_pairs": len(lists),
        "num_left_out": {"queries": len(left_out.query_ids), "pairs": len(left_out.pairs)},
        "duration_s": round(clock() - began, 1),
        **spent([begin.retriever]),
    }


def _open_start(workspace: Workspace, name: str) -> _Start:
    """A cross-encoder to go on with, or an encoder's transformer to begin with, and who retrieves."""
    recipe, registered = workspace.recipe.reranker, Registry(workspace.database).models()
    if name in {BASE, LIVE, *workspace.recipe.other_encoders, *(model.model_id for model in registered)}:
        retriever = open_system(workspace, name)
        encoder = _with_weights(retriever.encoder, name=name)
        fresh = CrossEncoder.over(encoder, name=name, max_length=recipe.max_seq_length, seed=recipe.seed)
        parent = retriever.model.model_id
        return _Start(name=name, retriever=retriever, reranker=fresh, is_fresh=True, parent_id=parent)
    return _Start(
        name=name,
        retriever=open_system(workspace, BASE),
        reranker=open_reranker(workspace, name, max_length=recipe.max_seq_length),
        is_fresh=False,
        parent_id=name if is_reranker_id(name) else None,
    )


def _with_weights(encoder: TextEncoder, *, name: str) -> Encoder:
    """The encoder under what maps or shortens its vectors, or of its queries. Raises InputError when behind an API."""
    while not isinstance(encoder, Encoder):
        if isinstance(encoder, PairedEncoder):
            encoder = encoder.queries
        elif isinstance(encoder, MAPPED):
            encoder = encoder.base
        else:
            raise InputError(
                f"{name} is behind an API: it has no transformer here to begin with",
                hint="begin with a cross-encoder: --from cross-encoder/ms-marco-MiniLM-L6-v2",
            )
    return encoder


def _fit(
    workspace: Workspace,
    run: TrainingRun,
    begin: _Start,
    lists: Sequence[RankedList],
    dev: RerankDev,
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Train in place, or take what the run has kept of that; how it went."""
    kept = run.result(1, begin.reranker.model)
    if kept is None:
        recipe = workspace.recipe
        report = fit_reranker(
            begin.reranker.model,
            lists,
            recipe=recipe.reranker,
            precision=recipe.train.precision,
            checkpoint_steps=recipe.train.checkpoint_steps,
            measure=lambda step: DevPoint(step=step, value=dev.reranked(begin.reranker)),
            checkpoints=run.checkpoints(1),
            progress=progress,
        )
        if report.fault and not report.best_step:
            run.remove()
            raise RecipeError(
                f"training broke down before dev saw anything better: {report.fault}",
                hint=f"lower reranker.learning_rate (it is {recipe.reranker.learning_rate:g}), then train again",
            )
        kept = _plain(asdict(report))
        run.keep_result(1, begin.reranker.model, kept)
    return kept


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """The same as it will be read again."""
    return dict(json.loads(canonical_json(content)))


def _values(begin: _Start, dev: RerankDev, fit: dict[str, Any]) -> dict[str, Any]:
    """What dev said; ``start`` is what the training began with, which a fresh head makes worthless."""
    return {
        "metric": str(DEV_MEASURE),
        "num_queries": len(dev.queries),
        "depth": dev.depth,
        "retriever": dev.as_found(),
        "start": fit["dev"][0]["value"],
        "best": max(point["value"] for point in fit["dev"]),
    }


def _register(workspace: Workspace, begin: _Start, *, training: dict[str, Any]) -> Reranker:
    """Save the trained cross-encoder under its id, then enter it."""
    trained = CrossEncoder(begin.reranker.model, max_length=begin.reranker.max_length)
    source = keep_model(workspace, trained.cross_encoder_id, trained.save)
    reached("reranker.model")
    return Registry(workspace.database).add_reranker(
        Reranker(
            reranker_id=trained.reranker_id,
            cross_encoder_id=trained.cross_encoder_id,
            source=source,
            training=training,
            parent_id=begin.parent_id,
        )
    )


def _record(workspace: Workspace, run: TrainingRun, *, detail: dict[str, Any]) -> None:
    """Write the run into the history, once however often it was cut short."""
    registry = Registry(workspace.database)
    if not any(event.detail.get("started_at") == run.started_at for event in registry.history()):
        registry.record("train_reranker", detail={**detail, "started_at": run.started_at})
    reached("reranker.registered")


def _refuse_hopeless(workspace: Workspace, lists: Sequence[RankedList], mining: MiningReport) -> None:
    """Raise RecipeError, with every reason, when training with these settings and these lists cannot work."""
    import torch

    faults = lint_reranker(
        workspace.recipe,
        num_lists=len(lists),
        precisions=precisions_of(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        has_negatives=any(len(each.texts) > 1 for each in lists),
        is_left_out=mining.is_left_out,
    )
    if faults:
        raise RecipeError("; ".join(faults), hint="correct nearer.toml, or for one run: --set KEY=VALUE")


def _what_decides(workspace: Workspace, begin: _Start, lists: Sequence[RankedList], dev: RerankDev) -> dict[str, Any]:
    """Everything that decides which cross-encoder a run makes, under names that a message can use."""
    recipe = workspace.recipe.reranker.model_dump(mode="json")
    return {
        **{f"reranker.{key}": value for key, value in recipe.items()},
        "train.precision": workspace.recipe.train.precision,
        "start model": begin.reranker.cross_encoder_id,
        "training pairs": _pairs_id(lists),
        "dev": dev.dev_id,
        **surroundings(begin.reranker.model.device),
    }


def _pairs_id(lists: Sequence[RankedList]) -> str:
    return content_id("pairs", [asdict(each) for each in lists])
