"""What every training of an adapter shares: its settings, its queries, its record."""

from collections.abc import Callable
from dataclasses import asdict
from typing import cast, get_args

from nearer.core.errors import InputError, RecipeError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress
from nearer.core.recipe import Recipe
from nearer.core.records import Query
from nearer.core.results.training import DevValues, ExcludedFromTraining, Pass, Trained, TrainingData, TrainingRecord
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ready import ready_to_train
from nearer.learn.fit_adapter import AdapterSettings, AdapterSides, fit_adapter
from nearer.store.registered import Model, Training
from nearer.store.workspace import Workspace
from nearer.systems import BASE, System, api_use, open_system, refuse_stages
from nearer.training.adapter_set import AdapterSet, read_adapter_set
from nearer.training.dev_set import DEV_MEASURE, DevVectors, read_dev_set
from nearer.training.examples import find_excluded
from nearer.training.models import keep_model


def train_adapter(
    workspace: Workspace,
    sides: str,
    start: str = BASE,
    *,
    progress: Progress,
    clock: Callable[[], float],
) -> Trained:
    """What ``nearer.adapt`` answers, once the adapter is registered. Raises what it raises."""
    refuse_stages(start)
    settings = settings_of(workspace.recipe, sides)
    ready_to_train(workspace)
    excluded = find_excluded(workspace).query_ids
    began = clock()
    workspace.begin_writing()
    learners = judged_learners(workspace, excluded)
    parent = open_system(workspace, start)
    base = open_system(workspace, BASE).encoder
    dev_set, _ = read_dev_set(workspace, base, excluded=excluded, progress=progress)
    dev = DevVectors.of(workspace, parent.encoder, dev_set, progress)
    known = read_adapter_set(workspace, parent, learners, progress=progress)
    refuse_or_tell(workspace, known, progress)
    adapter, report = fit_adapter(
        known.examples(range(len(learners))),
        settings=settings,
        space_id=known.space_id,
        measure_dev=dev.measure,
        progress=progress,
    )
    training = TrainingRecord(
        recipe=workspace.recipe.model_dump(mode="json"),
        data=TrainingData(num_pairs=report.num_examples, pairs_id=known.pairs.pairs_id),
        adapter=asdict(settings),
        passes=(Pass(number=1, fit=report, mining=known.pairs.mining),),
        duration_s=round(clock() - began, 1),
    )
    made = kept_adapter(workspace, parent, adapter, sides=sides) if report.best_step else None
    model = made or parent.model
    improved = model.model_id != parent.model.model_id
    entry = Training(verb="adapt", part_id=model.model_id, is_improved=improved, record=training)
    workspace.registry.add_training(entry, made=made, parent=parent.model)
    failpoint("adapt.registered")
    return Trained(
        model_id=model.model_id,
        encoder_id=model.encoder_id,
        space_id=model.space_id,
        improved=improved,
        adapter=training.adapter,
        passes=training.passes,
        dev=DevValues(
            metric=str(DEV_MEASURE),
            num_queries=len(dev_set.queries),
            num_documents=len(dev_set.starts_N),
            start=report.dev[0].value,
            best=max(point.value for point in report.dev),
        ),
        num_pairs=report.num_examples,
        num_excluded=ExcludedFromTraining(queries=len(excluded), pairs=0),
        duration_s=round(clock() - began, 1),
        api=api_use([parent]),
    )


def settings_of(recipe: Recipe, sides: str) -> AdapterSettings:
    """The recipe's settings for an adapter of these sides. Raises InputError for another word than there is."""
    if sides not in get_args(AdapterSides):
        words = ", ".join(get_args(AdapterSides))
        raise InputError(f"--adapter {sides}: no such adapter", hint=f"one of {words}: nearer train --adapter query")
    return AdapterSettings(
        sides=cast(AdapterSides, sides),
        learning_rate=recipe.adapter.learning_rate,
        scale=recipe.train.scale,
        max_epochs=recipe.adapter.max_epochs,
        seed=recipe.train.seed,
    )


def judged_learners(workspace: Workspace, excluded: frozenset[str]) -> list[Query]:
    """The judged queries of train that do not leak. Raises InputError when there is none."""
    queries = [query for query in read_judged_split(workspace, "train").queries if query.query_id not in excluded]
    if not queries:
        raise InputError("every judged query of train leaks into a later split", hint="see: nearer check")
    return queries


def refuse_or_tell(workspace: Workspace, known: AdapterSet, progress: Progress) -> None:
    """Raise RecipeError when there is nothing to learn from; say what is there and not used."""
    if not len(known.pairs.queries_E):
        raise RecipeError(
            "no judgment of the train split has the positive grade",
            hint="add such judgments: nearer add judgments FILE; or lower grades.positive_from",
        )
    if num_unused := workspace.collection.counts()["pairs"]:
        progress.say(f"{num_unused} pairs given as text are not used: an adapter learns from judgments on documents")


def kept_adapter(workspace: Workspace, parent: System, adapter: Adapter, *, sides: str) -> Model:
    """The model of an adapter, saved under the id of its computation."""
    encoder = AdaptedEncoder(parent.encoder, adapter)
    source = keep_model(workspace, encoder.encoder_id, adapter.save)
    failpoint("adapt.model")
    return Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=source,
        encoder={
            "adapter": {"sides": sides},
            "space_id": encoder.space_id,
        },
        parent_model_id=parent.model.model_id,
    )
