import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from forked import die_apart_at
from nearer.core.errors import InputError, ModelRefused, NotFound
from nearer.encode.adapter import Adapter, Map

DIMENSION = 6


def drawn_map(seed=0):
    rng = np.random.default_rng(seed)
    drawn_DD = rng.standard_normal((DIMENSION, DIMENSION)).astype(np.float32) / 4
    return Map(weights={"matrix": np.eye(DIMENSION, dtype=np.float32) + drawn_DD})


def unit(num_rows=5, seed=1, dimension=DIMENSION):
    vectors = np.random.default_rng(seed).standard_normal((num_rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def adapters():
    """One of every sort: on queries only, a shared map, and one of its own for documents."""
    shared = drawn_map(1)
    return [
        Adapter(space_id="enc-1", query=drawn_map()),
        Adapter(space_id="enc-1", query=shared, document=shared),
        Adapter(space_id="enc-1", query=drawn_map(), document=drawn_map(seed=2)),
    ]


SORTS = ["query", "shared", "separate"]


def test_at_first_a_map_changes_nothing():
    start = Map.identity(DIMENSION)
    adapter = Adapter(space_id="enc-1", query=start, document=start)
    np.testing.assert_allclose(adapter.apply_queries(unit()), unit(), atol=1e-6)
    np.testing.assert_allclose(adapter.apply_documents(unit()), unit(), atol=1e-6)


def test_a_map_is_a_product_with_its_matrix():
    drawn = drawn_map()
    expected = [drawn.weights["matrix"].astype(np.float64) @ vector for vector in unit().astype(np.float64)]
    found = Adapter(space_id="enc-1", query=drawn).apply_queries(unit())
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("adapter", adapters(), ids=SORTS)
def test_vectors_come_out_with_length_one(adapter):
    for apply in (adapter.apply_queries, adapter.apply_documents):
        np.testing.assert_allclose(
            np.linalg.norm(apply(unit() * 3 if adapter.document else unit()), axis=1), 1, rtol=1e-6
        )
        assert apply(unit(0)).shape == (0, DIMENSION)


@pytest.mark.parametrize("adapter", adapters()[:1], ids=SORTS[:1])
def test_a_query_adapter_leaves_documents_and_their_space_alone(adapter):
    np.testing.assert_array_equal(adapter.apply_documents(unit()), unit())
    assert adapter.target_space_id == "enc-1"


@pytest.mark.parametrize("adapter", adapters()[1:], ids=SORTS[1:])
def test_mapped_documents_are_another_space(adapter):
    assert adapter.target_space_id.startswith("space-")
    assert adapter.target_space_id.removeprefix("space-") == adapter.adapter_id.removeprefix("adapter-")


def test_the_id_is_that_of_weights_kinds_and_space():
    made = adapters()
    assert len({adapter.adapter_id for adapter in made}) == len(made)
    one = made[0]
    assert Adapter(space_id="enc-1", query=drawn_map()).adapter_id == one.adapter_id
    assert Adapter(space_id="enc-2", query=one.query).adapter_id != one.adapter_id
    assert Adapter(space_id="enc-1", query=one.query, document=one.query).adapter_id != one.adapter_id
    twin = Adapter(space_id="enc-1", query=one.query, document=drawn_map())
    assert twin.adapter_id != Adapter(space_id="enc-1", query=one.query, document=one.query).adapter_id
    changed = one.query.weights["matrix"].copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(2))
    assert Adapter(space_id="enc-1", query=Map(weights={"matrix": changed})).adapter_id != one.adapter_id


@pytest.mark.parametrize("adapter", adapters(), ids=SORTS)
def test_saved_and_loaded_to_the_bit(adapter, tmp_path):
    adapter.save(tmp_path / "adapter")
    adapter.save(tmp_path / "adapter")  # again is no harm
    loaded = Adapter.load(tmp_path / "adapter")
    assert (loaded.adapter_id, loaded.target_space_id) == (adapter.adapter_id, adapter.target_space_id)
    assert (loaded.document is loaded.query) == (adapter.document is adapter.query)
    np.testing.assert_array_equal(loaded.apply_queries(unit()), adapter.apply_queries(unit()))
    np.testing.assert_array_equal(loaded.apply_documents(unit()), adapter.apply_documents(unit()))
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == ["adapter.json", "adapter.safetensors"]


def test_a_folder_keeps_the_adapter_it_has(tmp_path):
    first, other = adapters()[:2]
    first.save(tmp_path)
    with pytest.raises(InputError, match="another adapter"):
        other.save(tmp_path)
    assert Adapter.load(tmp_path).adapter_id == first.adapter_id


def test_no_adapter_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no adapter"):
        Adapter.load(tmp_path)


def cut_weights(folder):
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def change_weights(folder):
    weights = load_file(folder / "adapter.safetensors")
    weights["query.matrix"][0, 0] += 1
    save_file(weights, folder / "adapter.safetensors")


def rename_weights(folder):
    weights = load_file(folder / "adapter.safetensors")
    save_file({"query.other": weights["query.matrix"]}, folder / "adapter.safetensors")


def edit_manifest(**changes):
    def edit(folder):
        manifest = json.loads((folder / "adapter.json").read_text())
        (folder / "adapter.json").write_text(json.dumps(manifest | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_weights, "damaged"),
        (change_weights, "its weights are those of adapter-"),
        (rename_weights, "damaged"),
        (lambda folder: (folder / "adapter.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "adapter.json").write_text("[]"), "damaged"),
        (edit_manifest(query="other"), "damaged"),
        (edit_manifest(space_id="enc-2"), "its weights are those of adapter-"),
        (edit_manifest(format_version=2), "another format"),
    ],
)
def test_a_damaged_adapter_is_refused(damage, message, tmp_path):
    adapters()[0].save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelRefused, match=message):
        Adapter.load(tmp_path)


def test_missing_weights_are_no_adapter(tmp_path):
    adapters()[0].save(tmp_path)
    (tmp_path / "adapter.safetensors").unlink()
    with pytest.raises(NotFound):
        Adapter.load(tmp_path)


@pytest.mark.parametrize(("failpoint", "is_there"), [("adapter.weights", False), ("adapter.manifest", True)])
def test_a_killed_save_leaves_all_or_nothing_and_can_be_repeated(failpoint, is_there, tmp_path):
    whole = adapters()[0]
    die_apart_at(failpoint, Adapter.save, whole, tmp_path)
    if is_there:
        assert Adapter.load(tmp_path).adapter_id == whole.adapter_id
    else:
        with pytest.raises(NotFound):
            Adapter.load(tmp_path)
    whole.save(tmp_path)
    assert Adapter.load(tmp_path).adapter_id == whole.adapter_id


@pytest.mark.parametrize("side", ["apply_queries", "apply_documents"])
@pytest.mark.parametrize("adapter", adapters(), ids=SORTS)
def test_refuses_vectors_of_another_dimension_and_not_finite_ones(adapter, side):
    apply = getattr(adapter, side)
    with pytest.raises(InputError, match="6 dimensions"):
        apply(unit(dimension=5))
    with pytest.raises(InputError, match="6 dimensions"):
        apply(unit()[0])
    with pytest.raises(InputError, match="not finite"):
        apply(np.full((1, DIMENSION), np.nan))


def test_refuses_a_vector_without_direction():
    with pytest.raises(InputError, match="no direction"):
        adapters()[0].apply_queries(np.zeros((1, DIMENSION)))
