"""What is pruned, and what stays."""

from dataclasses import replace

import pytest

from nearer.core.errors import InputError
from nearer.flows.prune import prune
from nearer.flows.search import search
from nearer.flows.status import status
from nearer.store.registered import Model
from nearer.store.workspace import Workspace


@pytest.fixture
def workspace(base_live):
    """One with three models that were never released, the second an ancestor of the third, and three reports."""
    with Workspace.open(base_live) as workspace:
        live = workspace.registry.live()
        for number, parent in enumerate([live.model_id, live.model_id, "model-1"]):
            encoder_id = f"enc-{number}"
            folder = workspace.models / encoder_id
            folder.mkdir(parents=True)
            (folder / "weights").write_bytes(b"x" * 1000)
            workspace.registry.add_model(
                Model(
                    model_id=f"model-{number}",
                    encoder_id=encoder_id,
                    source=f"models/{encoder_id}",
                    encoder={},
                    parent_model_id=parent,
                )
            )
            (workspace.indexes / encoder_id).mkdir()
            (workspace.indexes / encoder_id / "manifest.json").write_text("{}")
            (workspace.embeddings / f"{encoder_id}.documents.sqlite").write_bytes(b"y" * 10)
            workspace.reports.mkdir(exist_ok=True)
            (workspace.reports / f"{number}.html").write_text("page")
        yield workspace


def test_what_nothing_needs_goes_with_its_bytes_and_live_stays(workspace):
    planned = prune(workspace, keep=1, dry_run=True)
    assert (workspace.models / "enc-0").exists()
    result = prune(workspace, keep=1)
    assert replace(result, dry_run=True) == planned
    kinds = {(each["kind"], each["name"]) for each in result["removed"]}
    assert {("models", "enc-0"), ("indexes", "enc-0"), ("embeddings", "enc-0.documents.sqlite")} <= kinds
    assert [kind for kind, _ in kinds].count("reports") == 2
    assert result["num_bytes"] == sum(each["num_bytes"] for each in result["removed"]) > 1000
    assert not (workspace.models / "enc-0").exists()
    assert (workspace.models / "enc-1").exists(), "the third came from it"
    assert [each["model_id"] for each in status(workspace)["models"]][1:] == ["model-1", "model-2"]
    assert search(workspace, "music")["results"]
    assert prune(workspace, keep=1)["removed"] == ()


def test_without_any_to_keep_only_what_was_released_stays(workspace):
    prune(workspace, keep=0)
    assert [each["model_id"] for each in status(workspace)["models"]] == [workspace.registry.live().model_id]
    assert search(workspace, "music")["results"]
    with pytest.raises(InputError, match="below 0"):
        prune(workspace, keep=-1)
