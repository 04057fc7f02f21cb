"""A cross-encoder's training: where it starts, what decides it, and its fit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from nearer.core.errors import InputError, RecipeError
from nearer.core.ids import content_id
from nearer.core.progress import Progress
from nearer.core.results.base import JSON
from nearer.core.results.training import DevPoint, DevValues, Fit, MiningReport, Pass, StartingPoint
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder, TextEncoder, local_reader
from nearer.learn.fit_reranker import fit_reranker
from nearer.learn.listwise import RankedList
from nearer.learn.precision import precisions_of
from nearer.learn.validate_settings import validate_reranker_settings
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, System, open_system
from nearer.systems.reranker import is_reranker_id, open_reranker
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.rerank_set import RerankDev
from nearer.training.run import TrainingRun, surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerStart:
    """What a training begins with, and the system that finds what is to be ranked.

    ``is_fresh`` when the head is random, so that the cross-encoder knows nothing yet.
    """

    name: str
    retriever: System
    reranker: CrossEncoder
    is_fresh: bool
    parent_id: str | None

    @property
    def described(self) -> StartingPoint:
        """What is written down of it."""
        cross_encoder_id = None if self.is_fresh else self.reranker.cross_encoder_id
        return StartingPoint(name=self.name, is_fresh=self.is_fresh, cross_encoder_id=cross_encoder_id)


def open_start(workspace: Workspace, name: str) -> RerankerStart:
    """A cross-encoder to go on with, or an encoder's transformer to begin with, and who retrieves."""
    recipe = workspace.recipe.reranker
    if name in {BASE, LIVE, *workspace.recipe.other_encoders} or workspace.registry.find_model(name):
        retriever = open_system(workspace, name)
        encoder = _with_weights(retriever.encoder, name=name)
        fresh = CrossEncoder.over(encoder, name=name, max_length=recipe.max_seq_length, seed=recipe.seed)
        parent = retriever.model.model_id
        return RerankerStart(name=name, retriever=retriever, reranker=fresh, is_fresh=True, parent_id=parent)
    return RerankerStart(
        name=name,
        retriever=open_system(workspace, BASE),
        reranker=open_reranker(workspace, name, max_length=recipe.max_seq_length),
        is_fresh=False,
        parent_id=name if is_reranker_id(name) else None,
    )


def _with_weights(encoder: TextEncoder, *, name: str) -> Encoder:
    """The encoder under what maps its vectors, or those of its queries. Raises InputError when behind an API."""
    reader = local_reader(encoder, "queries")
    if reader is None:
        raise InputError(
            f"{name} is behind an API or of int8: it has no transformer here to begin with",
            hint="begin with a cross-encoder: --from cross-encoder/ms-marco-MiniLM-L6-v2",
        )
    return reader


def fit_lists(
    workspace: Workspace,
    run: TrainingRun,
    begin: RerankerStart,
    lists: Sequence[RankedList],
    dev: RerankDev,
    *,
    mining: MiningReport,
    progress: Progress,
) -> Pass:
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
        kept = Pass(number=1, fit=report, mining=mining)
        run.keep_result(begin.reranker.model, kept)
    return kept


def dev_values_of(dev: RerankDev, fit: Fit) -> DevValues:
    """What dev said; ``start`` is what the training began with, which a fresh head makes worthless."""
    return DevValues(
        metric=str(DEV_MEASURE),
        num_queries=len(dev.queries),
        depth=dev.depth,
        retriever=dev.as_found(),
        start=fit.dev[0].value,
        best=max(point.value for point in fit.dev),
    )


def refuse_few_lists(workspace: Workspace, lists: Sequence[RankedList], mining: MiningReport) -> None:
    """Raise RecipeError, with every reason, when training with these settings and these lists cannot work."""
    import torch

    faults = validate_reranker_settings(
        workspace.recipe,
        num_lists=len(lists),
        precisions=precisions_of(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        has_negatives=any(len(each.texts) > 1 for each in lists),
        is_excluded=mining.is_excluded,
    )
    if faults:
        raise RecipeError("; ".join(faults), hint="correct nearer.toml, or for one run: --set KEY=VALUE")


def decides_reranker(workspace: Workspace, begin: RerankerStart, lists: Sequence[RankedList], dev: RerankDev) -> JSON:
    """Everything that decides which cross-encoder a run makes, under names that a message can use."""
    recipe = workspace.recipe.reranker.model_dump(mode="json")
    return {
        **{f"reranker.{key}": value for key, value in recipe.items()},
        "train.precision": workspace.recipe.train.precision,
        "start model": begin.reranker.cross_encoder_id,
        "training pairs": pairs_id_of(lists),
        "dev": dev.dev_id,
        **surroundings(begin.reranker.model.device),
    }


def pairs_id_of(lists: Sequence[RankedList]) -> str:
    """The id of what is trained on."""
    return content_id("pairs", [asdict(each) for each in lists])
