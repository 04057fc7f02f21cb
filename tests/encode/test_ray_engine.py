"""Vectors that a Ray cluster makes are the local ones, whatever becomes of its workers."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.core.progress import Silent
from nearer.encode import cache as cache_module
from nearer.encode import ray_engine
from nearer.encode.cache import Batching, EmbeddingCache
from nearer.encode.engine import current_engine, encoding_by
from on_cluster import TEXTS, Dies, clusters, kill_a_worker


@pytest.fixture(scope="module")
def one():
    """One machine of two processors."""
    with clusters(1) as cluster:
        yield cluster


@pytest.fixture
def connected(one):
    with encoding_by("ray", Silent()):
        yield


def blocks_of(texts, size=5):
    return [texts[first : first + size] for first in range(0, len(texts), size)]


@pytest.mark.exhaustive
def test_vectors_are_those_of_this_process(connected, tiny_encoder):
    """Of both sides, with prompts and cut texts, each block once."""
    for side, encode in (("documents", tiny_encoder.encode_documents), ("queries", tiny_encoder.encode_queries)):
        found = dict(current_engine()(tiny_encoder, side, blocks_of(TEXTS)))
        assert sorted(found) == list(range(len(blocks_of(TEXTS))))
        for number, block in enumerate(blocks_of(TEXTS)):
            assert found[number].dtype == np.float32
            np.testing.assert_allclose(found[number], encode(block), atol=1e-5)


@pytest.mark.exhaustive
def test_what_is_done_is_in_the_cache_and_the_rest_is_gone_on_with(connected, tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "WORTH_SENDING", 1)
    given = []

    def cut_short(blocks, after):
        given.append(sum(map(len, blocks)))
        for done, each in enumerate(ray_engine.encode_blocks(tiny_encoder, "documents", blocks)):
            if done == after:
                raise KeyboardInterrupt
            yield each

    def vectors(after):
        with EmbeddingCache(tmp_path, encoder_id="enc-1", kind="documents", dimension=32) as cache:
            batching = Batching(block_texts=5, elsewhere=lambda blocks: cut_short(blocks, after))
            return cache.vectors(TEXTS, encode=None, progress=Silent(), label="", batching=batching)

    with pytest.raises(KeyboardInterrupt):
        vectors(2)
    found, number = vectors(99)
    distinct = len(set(TEXTS))
    assert given == [distinct, distinct - 10]
    assert number == distinct - 10
    np.testing.assert_allclose(found, tiny_encoder.encode_documents(TEXTS), atol=1e-5)


def test_few_texts_are_encoded_here(tiny_encoder, tmp_path):
    with EmbeddingCache(tmp_path, encoder_id="enc-1", kind="documents", dimension=32) as cache:
        batching = Batching(elsewhere=lambda blocks: pytest.fail("sent"))
        found, _ = cache.vectors(
            TEXTS, encode=tiny_encoder.encode_documents, progress=Silent(), label="", batching=batching
        )
    np.testing.assert_allclose(found, tiny_encoder.encode_documents(TEXTS), atol=1e-5)


@pytest.mark.exhaustive
def test_machines_with_other_packages_are_refused_by_name(one, monkeypatch):
    monkeypatch.setattr(ray_engine, "version", lambda package: "9.9" if package == "torch" else "2.0")
    with pytest.raises(InputError, match=r"has torch 2\..*, here it is 9\.9") as caught, encoding_by("ray", Silent()):
        pass
    assert "install the versions of this machine" in caught.value.hint


@pytest.mark.exhaustive
def test_what_a_worker_refuses_is_reported_as_it_is(connected, tiny_encoder, monkeypatch):
    other = replace(ray_engine._declared(tiny_encoder), encoder_id="enc-other")
    monkeypatch.setattr(ray_engine, "_declared", lambda _: other)
    with pytest.raises(ModelRefused, match="of the files of enc-other") as caught:
        list(current_engine()(tiny_encoder, "documents", blocks_of(TEXTS)))
    assert "without --engine ray" in caught.value.hint


@pytest.mark.exhaustive
def test_a_killed_worker_costs_its_block(one, connected, tiny_encoder):
    """The block is done again by a worker that begins anew, the others are not."""
    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    made, killed = {}, False
    for number, vectors_BD in current_engine()(tiny_encoder, "documents", blocks_of(texts, 10)):
        assert number not in made
        made[number] = vectors_BD
        if not killed:
            kill_a_worker(one)
            killed = True
    assert sorted(made) == list(range(len(blocks_of(texts, 10))))
    for number in (0, len(made) // 2, len(made) - 1):
        np.testing.assert_allclose(made[number], tiny_encoder.encode_documents(blocks_of(texts, 10)[number]), atol=1e-5)


@pytest.mark.exhaustive
def test_workers_that_die_again_and_again_are_reported(connected, tiny_encoder, monkeypatch):
    monkeypatch.setattr(ray_engine, "_MOST_DEATHS", 0)
    monkeypatch.setattr(ray_engine, "_Worker", Dies)
    with pytest.raises(ServiceError, match="Ray gave up") as caught:
        list(current_engine()(tiny_encoder, "documents", blocks_of(TEXTS)))
    assert "memory" in caught.value.hint


@pytest.mark.exhaustive
def test_a_model_that_no_machine_has_room_for_is_refused(connected, tiny_encoder, monkeypatch):
    monkeypatch.setattr(ray_engine, "_OVERHEAD_BYTES", 2**60)
    with pytest.raises(InputError, match="no machine of the Ray cluster has more than"):
        list(current_engine()(tiny_encoder, "documents", blocks_of(TEXTS)))


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    lacking = "--engine ray needs ray, which is not installed"
    with pytest.raises(InputError, match=lacking) as caught, encoding_by("ray", Silent()):
        pass
    assert caught.value.hint == "install it: pip install 'nearer[ray]'"


def test_an_engine_that_is_none_is_refused():
    with pytest.raises(InputError, match="no engine 'spark'"), encoding_by("spark", Silent()):
        pass


@pytest.mark.exhaustive
def test_a_cluster_that_is_not_there_is_reported(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ServiceError, match="Ray cluster cannot be used") as caught, encoding_by("ray", Silent()):
        pass
    assert "RAY_ADDRESS" in caught.value.hint
