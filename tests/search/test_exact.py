import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import NotFound, SpaceMismatch, WorkspaceError
from nearer.search import exact
from nearer.search.exact import ExactIndex, IndexContent


def content(num_documents=5, *, space_id="enc-a", seed=0, chunking="whole documents"):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=num_documents)
    vectors = rng.normal(size=(int(sizes.sum()), 8)).astype(np.float32)
    return IndexContent(
        space_id=space_id,
        chunking=chunking,
        doc_ids=tuple(f"d{n}é" for n in range(num_documents)),
        text_hashes=tuple(f"hash-{seed}-{n}" for n in range(num_documents)),
        starts_N=np.asarray(np.cumsum([0, *sizes])[:-1], dtype=np.int64),
        vectors_PD=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )


def hashes(made):
    return dict(zip(made.doc_ids, made.text_hashes, strict=True))


def same(left, right):
    return (
        (left.space_id, left.chunking, left.doc_ids, left.text_hashes)
        == (right.space_id, right.chunking, right.doc_ids, right.text_hashes)
        and np.array_equal(left.starts_N, right.starts_N)
        and np.array_equal(left.vectors_PD, right.vectors_PD)
    )


def test_what_was_built_is_what_is_opened(tmp_path):
    made = content()
    built = ExactIndex.build(tmp_path / "index", made)
    opened = ExactIndex.open(tmp_path / "index", space_id="enc-a")
    assert same(opened.content, made)
    assert same(built.content, made)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000), st.integers(1, 15))
def test_search_is_brute_force(num_documents, seed, k):
    made = content(num_documents, seed=seed)
    queries = np.random.default_rng(seed + 1).normal(size=(3, 8)).astype(np.float32)
    found = ExactIndex(made).search(queries, space_id="enc-a", k=k)
    ends = [*made.starts_N[1:], len(made.vectors_PD)]
    scores = np.stack(
        [(queries @ made.vectors_PD[a:b].T).max(axis=1) for a, b in zip(made.starts_N, ends, strict=True)], axis=1
    )
    kept = min(k, num_documents)
    assert np.array_equal(found.rows_QK[:, :kept], np.argsort(-scores, axis=1)[:, :kept])
    assert found.scores_QK[:, :kept] == pytest.approx(-np.sort(-scores, axis=1)[:, :kept], abs=1e-5)


def test_spaces_never_meet(tmp_path):
    index = ExactIndex.build(tmp_path, content())
    with pytest.raises(SpaceMismatch, match="enc-b met an index of space enc-a"):
        index.search(content().vectors_PD[:1], space_id="enc-b", k=1)
    with pytest.raises(SpaceMismatch, match="holds space enc-a, not enc-b"):
        ExactIndex.open(tmp_path, space_id="enc-b")


def test_no_index_is_told_with_the_command_that_builds_it(tmp_path):
    with pytest.raises(NotFound, match="enc-a") as caught:
        ExactIndex.open(tmp_path / "absent", space_id="enc-a")
    assert "nearer index" in caught.value.hint


@pytest.mark.parametrize("pattern", ["vectors-*", "passages-*"])
@pytest.mark.parametrize("damage", ["missing", "short", "one bit"])
def test_damaged_files_are_refused(tmp_path, pattern, damage):
    ExactIndex.build(tmp_path, content())
    (path,) = tmp_path.glob(pattern)
    data = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "short":
            path.write_bytes(data[:-1])
        case "one bit":
            path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    with pytest.raises(WorkspaceError, match=path.name) as caught:
        ExactIndex.open(tmp_path, space_id="enc-a")
    assert "rebuild" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 1}', "\udcff"])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    ExactIndex.build(tmp_path, content())
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        ExactIndex.open(tmp_path, space_id="enc-a")
    assert "rebuild" in caught.value.hint


def test_another_format_is_refused(tmp_path):
    ExactIndex.build(tmp_path, content())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 2}))
    with pytest.raises(WorkspaceError, match="format 2"):
        ExactIndex.open(tmp_path, space_id="enc-a")


def test_a_vector_that_is_not_finite_is_never_written(tmp_path):
    made = content()
    made.vectors_PD[1, 1] = np.nan
    with pytest.raises(WorkspaceError, match="finite"):
        ExactIndex.build(tmp_path / "index", made)
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("kind", ["vectors", "passages", "manifest"])
def test_a_build_that_dies_leaves_the_index_of_before(tmp_path, monkeypatch, kind):
    before, after = content(seed=1), content(seed=2)
    ExactIndex.build(tmp_path, before)
    write = exact.write_atomic

    def dies(path, data):
        if path.name.startswith(kind):
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(exact, "write_atomic", dies)
        with pytest.raises(KeyboardInterrupt):
            ExactIndex.build(tmp_path, after)
    assert same(ExactIndex.open(tmp_path, space_id="enc-a").content, before)
    ExactIndex.build(tmp_path, after)
    assert same(ExactIndex.open(tmp_path, space_id="enc-a").content, after)


def test_files_that_are_no_longer_current_are_removed(tmp_path):
    ExactIndex.build(tmp_path, content(seed=1))
    opened = ExactIndex.open(tmp_path, space_id="enc-a")
    (tmp_path / ".tmp-left-by-a-crash").touch()
    ExactIndex.build(tmp_path, content(seed=2))
    assert len(list(tmp_path.iterdir())) == 3
    ExactIndex.build(tmp_path, content(seed=2))
    assert len(list(tmp_path.iterdir())) == 3
    assert same(opened.content, content(seed=1))  # who had opened the old one goes on with it


def test_differences_are_counted_by_kind():
    index = ExactIndex(content())
    following = hashes(index.content)
    assert index.differences(following, chunking="whole documents") == ()
    changed = {**following, "d0é": "edited", "new": "x"}
    del changed["d1é"], changed["d2é"]
    assert index.differences(changed, chunking="whole documents") == (
        "1 documents not in the index",
        "2 documents in the index but removed",
        "1 documents indexed with an older text",
    )
    (told,) = index.differences(following, chunking="100 tokens, 20 shared")
    assert "whole documents" in told
    assert "100 tokens" in told


def test_an_index_rebuilt_while_it_is_being_opened_is_read_again(tmp_path, monkeypatch):
    old, new = content(2), content(3, seed=1)
    ExactIndex.build(tmp_path, old)
    read = exact._read_content

    def rebuilt_just_before(folder, manifest):
        monkeypatch.setattr(exact, "_read_content", read)
        ExactIndex.build(tmp_path, new)
        return read(folder, manifest)

    monkeypatch.setattr(exact, "_read_content", rebuilt_just_before)
    assert same(ExactIndex.open(tmp_path, space_id=new.space_id).content, new)
