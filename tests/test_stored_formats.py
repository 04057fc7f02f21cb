"""Files as earlier versions wrote them, stored in ``fixtures``: they still open, and hold what was written.

The database's are in ``store/test_database.py``, the exact index of format 1 in ``retrieval/test_exact.py``.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from encode.test_adapted import Lengths
from nearer.core.filters import parse_filter
from nearer.core.progress import Silent
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.cache import EmbeddingCache
from nearer.retrieval.index import open_index, update_index
from nearer.store.registry import Model
from nearer.store.sealed import fault_in
from retrieval.making import FIELDS, POLICIES, SPACE, brute_force, entries, numbered, queries, same_ranking

STORED = Path(__file__).parent / "fixtures"


@pytest.fixture
def stored(tmp_path):
    """``stored("name")``: a copy of a fixture, to do with as one likes."""
    return lambda name: Path(shutil.copytree(STORED / name, tmp_path / name))


@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_an_index_of_format_2_answers_and_can_be_updated(stored, kind):
    folder = stored(f"index-format-2-{kind}")
    part = entries(numbered(6), year=[2000 + n for n in range(6)])
    index = open_index(folder, space_id=SPACE)
    assert index.damage() == ()
    [query_D] = queries(1)
    where = parse_filter({"type": "gte", "key": "year", "value": 2003}, FIELDS)
    [found] = index.search(query_D[None], space_id=SPACE, k=9, where=where)
    assert same_ranking(found, brute_force([part], query_D, k=9, passes=lambda values: values["year"] >= 2003))
    more = entries(["new"], seed=5)
    updated = update_index(folder, index, removed=["d000é"], changed=[more], policy=POLICIES[kind], revision=4)
    assert updated.hashes().keys() == {*numbered(6)[1:], "new"}


def test_an_index_of_format_3_in_bits_answers(stored):
    index = open_index(stored("index-format-3-binary"), space_id=SPACE)
    assert (index.manifest.spec.precision, index.manifest.rescore, index.manifest.recall.k) == ("binary", 4, 10)
    part = entries(numbered(6))
    rankings = index.search(queries(3), space_id=SPACE, k=6)
    for query_D, found in zip(queries(3), rankings, strict=True):
        exact = dict(brute_force([part], query_D, k=6))
        assert dict(found) == pytest.approx(exact, abs=0.02)


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
