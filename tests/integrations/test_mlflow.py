"""A workspace shown in MLflow, run where mlflow-skinny is installed."""

import pytest

pytest.importorskip("mlflow", reason="mlflow-skinny is not installed: pip install mlflow-skinny")

from mlflow.tracking import MlflowClient

from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.flows.rollback import rollback
from nearer.integrations.mlflow import log_workspace
from nearer.store.workspace import Workspace


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["it's a shop", 'the "best" of it\'s kind'])
def test_runs_figures_versions_and_aliases_follow_the_workspace(trained, tmp_path, name):
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.sqlite")
    with Workspace.open(trained, overrides=[f"name={name}"]) as workspace:
        model = workspace.registry.models()[-1]
        first = log_workspace(workspace, client)
        assert (first.num_new_runs, first.num_new_versions, dict(first.aliases)) == (1, 1, {})
        experiment = client.get_experiment_by_name(name)
        [run] = client.search_runs([experiment.experiment_id])
        training = workspace.registry.training_of(model.model_id)
        assert run.data.tags["nearer.pairs_id"] == training.data.pairs_id
        assert run.data.params["train.batch_size"] == str(training.recipe["train"]["batch_size"])
        history = client.get_metric_history(run.info.run_id, "training_dev_pass_1")
        assert [(each.step, each.value) for each in history] == [
            (point.step, point.value) for point in training.passes[0].fit.dev
        ]

        measured = evaluate(workspace, ["base", model.model_id]).results[1].metrics["nDCG@10"]
        promote(workspace, model.model_id, force_reason="to see its alias")
        second = log_workspace(workspace, client)
        assert (second.num_new_runs, second.num_new_versions, dict(second.aliases)) == (0, 0, {"live": "1"})
        metrics = client.get_run(run.info.run_id).data.metrics
        assert metrics["dev_nDCG_at_10"] == pytest.approx(measured.value)
        assert metrics["dev_nDCG_at_10_low"] == pytest.approx(measured.low)
        version = client.get_model_version_by_alias(name, "live")
        assert version.tags["nearer.model_id"] == model.model_id
        assert version.source == (workspace.models / model.encoder_id).resolve().as_uri()

        rollback(workspace)
        assert dict(log_workspace(workspace, client).aliases) == {}
        assert client.get_registered_model(name).aliases == {}
