"""Trainings, figures, models and what is live, shown in MLflow (``pip install mlflow-skinny``)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from nearer.core.results.training import TrainingRecord
from nearer.store.registered import Model
from nearer.store.workspace import Workspace
from nearer.training.published_card import measured_on

_MODEL = "nearer.model_id"
_VERSION = "nearer.written"
_MOST_PARAMS = 100
_MOST_VERSIONS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """How many runs and versions are new, and which version has each alias."""

    num_new_runs: int
    num_new_versions: int
    aliases: Mapping[str, str]


def log_workspace(workspace: Workspace, client: MlflowClient | None = None) -> Logged:
    """Bring MLflow up to a workspace: a run and a version for each model made here, its figures, and aliases.

    The experiment and the registered model have the workspace's name. What is there already is not made twice; a run
    gains the figures of evaluations that came since. ``live`` and ``previous`` are the aliases of the releases that
    answer, and would after a rollback; an alias goes where its model is none that was made here.
    """
    client, name = client or MlflowClient(), workspace.recipe.name
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    runs = {run.data.tags.get(_MODEL): run.info.run_id for run in client.search_runs([experiment_id], max_results=5000)}
    _ensure_registered(client, name)
    found = client.search_model_versions(_named(name), max_results=_MOST_VERSIONS)
    versions = {each.tags.get(_MODEL): each.version for each in found if each.name == name}
    num_new_runs = num_new_versions = 0
    for model in (each for each in workspace.registry.models() if each.parent_model_id):
        if model.model_id not in runs:
            runs[model.model_id] = _new_run(workspace, client, experiment_id, model)
            num_new_runs += 1
        _log_figures(workspace, client, runs[model.model_id], model)
        if model.model_id not in versions:
            source = (workspace.models / model.encoder_id).resolve().as_uri()
            made = client.create_model_version(name, source, runs[model.model_id], tags={_MODEL: model.model_id})
            versions[model.model_id] = made.version
            num_new_versions += 1
    return Logged(
        num_new_runs=num_new_runs,
        num_new_versions=num_new_versions,
        aliases=_set_aliases(workspace, client, name, versions),
    )


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description="Models of a Nearer workspace.")


def _named(name: str) -> str | None:
    """MLflow's filter for a model's name: it knows two quotes, and no way to write one within itself."""
    quote = next((each for each in "'\"" if each not in name), None)
    return f"name = {quote}{name}{quote}" if quote else None


def _new_run(workspace: Workspace, client: MlflowClient, experiment_id: str, model: Model) -> str:
    training = workspace.registry.training_of(model.model_id)
    tags = {_MODEL: model.model_id, "nearer.encoder_id": model.encoder_id, "nearer.space_id": model.space_id}
    tags["nearer.parent_model_id"] = model.parent_model_id or ""
    if training and training.data:
        tags |= {"nearer.pairs_id": training.data.pairs_id, "nearer.num_pairs": str(training.data.num_pairs)}
    run = client.create_run(experiment_id, tags=tags, run_name=model.model_id)
    params = list(_params(training.recipe)) if training else []
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run.info.run_id, params=params[start : start + _MOST_PARAMS])
    if training:
        client.log_batch(run.info.run_id, metrics=list(_of_training(training)))
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _params(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[Param]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _params(value, f"{prefix}{key}.")
        else:
            yield Param(f"{prefix}{key}", str(value)[:6000])


def _of_training(training: TrainingRecord) -> Iterator[Metric]:
    """What training dev said, by step, and the losses."""
    for each in training.passes:
        for point in each.fit.dev:
            yield Metric(f"training_dev_pass_{each.number}", point.value, 0, point.step)
        for step, loss in enumerate(each.fit.losses):
            yield Metric(f"loss_pass_{each.number}", loss, 0, step)


def _log_figures(workspace: Workspace, client: MlflowClient, run_id: str, model: Model) -> None:
    """The newest figures on each split with the ends of their intervals; those that are there are not written again."""
    written = client.get_run(run_id).data.tags.get(_VERSION, "")
    measured = measured_on(workspace, model.model_id)
    newest = max((each.at for each in measured), default="")
    if not measured or newest <= written:
        return
    metrics = [
        Metric(f"{each.evaluation.split}_{name.replace('@', '_at_')}{end}", value, 0, 0)
        for each in measured
        for name, interval in each.values.metrics.items()
        for end, value in (("", interval.value), ("_low", interval.low), ("_high", interval.high))
    ]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag(_VERSION, newest)])


def _set_aliases(
    workspace: Workspace, client: MlflowClient, name: str, versions: Mapping[str | None, str]
) -> dict[str, str]:
    registry = workspace.registry
    releases = {"live": registry.live(), "previous": registry.previous()}
    known = client.get_registered_model(name).aliases
    found: dict[str, str] = {}
    for alias, release in releases.items():
        if release and release.model_id in versions:
            found[alias] = str(versions[release.model_id])
            client.set_registered_model_alias(name, alias, found[alias])
        elif alias in known:
            client.delete_registered_model_alias(name, alias)
    return found
