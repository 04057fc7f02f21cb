"""Files as earlier versions wrote them, stored in ``fixtures``: they still open, and hold what was written.

The database's are in ``store/test_database.py``.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from encode.test_adapted import Lengths
from nearer.core.progress import Silent
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.cache import EmbeddingCache
from nearer.store.registry import Model
from nearer.store.sealed import fault_in

STORED = Path(__file__).parent / "fixtures"


@pytest.fixture
def stored(tmp_path):
    """``stored("name")``: a copy of a fixture, to do with as one likes."""
    return lambda name: Path(shutil.copytree(STORED / name, tmp_path / name))


def test_cached_embeddings_of_version_1_are_found(stored):
    with EmbeddingCache(stored("embeddings-1"), encoder_id="enc-a", kind="documents", dimension=4) as cache:
        found, num_encoded = cache.vectors(["two ü", "one"], encode=None, progress=Silent(), label="")
    assert num_encoded == 0
    assert np.array_equal(found, np.asarray([[0, 0.6, 0.8, 0], [1, 0, 0, 0]], np.float32))


def test_a_folder_sealed_in_format_1_is_whole(stored):
    folder = stored("sealed-format-1")
    assert fault_in(folder) == ""
    (folder / "b" / "c.txt").write_text("d\n")
    assert "c.txt" in fault_in(folder)


def test_an_adapter_of_format_1_maps_as_it_did(stored):
    adapter = Adapter.load(stored("adapter-format-1"))
    assert adapter.target_space_id == "enc-a"
    assert np.allclose(adapter.apply_queries([[3.0, 4.0]]), [[0.8, 0.6]])


def test_an_adapted_model_keeps_its_ids_and_its_space(stored):
    folder = stored("adapted-1")
    adapter, record = Adapter.load(folder), Model(**json.loads((folder / "model.json").read_text()))
    encoder = AdaptedEncoder(Lengths("enc-a"), adapter)
    made = encoder.model_id, encoder.encoder_id, encoder.space_id
    assert made == (record.model_id, record.encoder_id, record.space_id)
    assert record.space_id == "space-209571c753f00e52"
    assert np.allclose(adapter.apply_queries([[0.6, 0.8]]), np.array([[1.4, 0.15]]) / np.hypot(1.4, 0.15))
    assert np.allclose(adapter.apply_documents([[0.6, 0.8]]), [[0.8, 0.6]])
