"""What stands for a part of the program does what a test may count on."""

import shutil

import numpy as np
import pytest

from nearer.core.errors import ModelRefused
from nearer.encode.encoder import Encoder
from nearer.flows.lineage import lineage
from nearer.flows.train import train
from nearer.store.workspace import Workspace


def test_a_stub_of_training_makes_a_model_with_its_lineage(base_live, stub_trainer):
    with Workspace.open(base_live) as workspace:
        base = workspace.registry.models()[-1]
        trained = train(workspace)
        assert trained.improved
        assert trained.encoder_id != base.encoder_id
        assert len(trained.passes) == 2, "what is around a pass is as it is: two of them, mined between"
        assert trained.passes[1].mining
        made = workspace.registry.models()[-1]
        assert (made.model_id, made.parent_model_id) == (trained.model_id, base.model_id)
        assert lineage(workspace, made.model_id)


def test_a_model_that_is_loaded_again_is_one_of_its_own(tiny_model_folder, tmp_path):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    one, other = Encoder.load(str(folder)), Encoder.load(str(folder))
    assert one.encoder_id == other.encoder_id
    next(other.model.parameters()).data.zero_()
    assert not np.array_equal(one.encode_queries(["music"]), other.encode_queries(["music"]))
    assert np.array_equal(one.encode_queries(["music"]), Encoder.load(str(folder)).encode_queries(["music"]))


def test_a_folder_that_was_touched_is_read_again(tiny_model_folder, tmp_path):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    Encoder.load(str(folder))
    (folder / "model.safetensors").write_bytes(b"\xff" * (folder / "model.safetensors").stat().st_size)
    with pytest.raises(ModelRefused):
        Encoder.load(str(folder))
