"""What only the exact index does: its files, their checksums."""

import json

import numpy as np
import pytest

from nearer.core.errors import WorkspaceError
from nearer.retrieval import exact, manifest
from nearer.retrieval.entries import joined, without
from nearer.retrieval.index import open_index
from retrieval.making import DIMENSION, FIELDS, POLICIES, SPACE, build, entries, numbered

FILES = {"manifest.json", "writer.holder", "writer.lock"}


def build_exact(folder, part, revision=1):
    return build(folder, POLICIES["exact"], part, revision=revision)


def same(left, right):
    return (
        (left.doc_ids, left.hashes, left.values) == (right.doc_ids, right.hashes, right.values)
        and np.array_equal(left.starts_N, right.starts_N)
        and np.array_equal(left.vectors_PD, right.vectors_PD)
    )


def content(folder):
    return open_index(folder, space_id=SPACE).content


def test_what_was_built_is_what_is_opened(tmp_path):
    part = entries(numbered(7))
    built = build_exact(tmp_path, part)
    assert same(built.content, part)
    assert same(content(tmp_path), part)
    opened = open_index(tmp_path, space_id=SPACE).manifest
    assert opened == built.manifest
    assert opened.spec.fields == FIELDS


def test_documents_are_kept_in_id_order_by_bytes(tmp_path):
    part = entries(["é", "z", "Z", "中", "a\0"])
    build_exact(tmp_path, part)
    assert content(tmp_path).doc_ids == ("Z", "a\0", "z", "é", "中")
    assert same(content(tmp_path), part.take([2, 4, 1, 0, 3]))


@pytest.mark.parametrize("pattern", ["vectors-*", "passages-*"])
@pytest.mark.parametrize("damage", ["missing", "short", "one bit"])
def test_damaged_files_are_refused(tmp_path, pattern, damage):
    build_exact(tmp_path, entries(numbered(5)))
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
        open_index(tmp_path, space_id=SPACE)
    assert "rebuild" in caught.value.hint


V1, LIST = '{"format_version": 1}', '{"format_version": 1, "spec": []}'


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\udcff", V1, LIST, V1.replace("1", "null")])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    build_exact(tmp_path, entries(numbered(5)))
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        open_index(tmp_path, space_id=SPACE)
    assert "rebuild" in caught.value.hint


def test_a_newer_format_is_refused(tmp_path):
    build_exact(tmp_path, entries(numbered(5)))
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 2}))
    with pytest.raises(WorkspaceError, match="format 2"):
        open_index(tmp_path, space_id=SPACE)


def test_a_build_that_dies_leaves_the_index_of_before(tmp_path, monkeypatch):
    before, after = entries(numbered(5), seed=1), entries(numbered(6), seed=2)
    build_exact(tmp_path, before)
    for module in (exact, manifest):

        def dies(path, data):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_atomic", dies)
            with pytest.raises(KeyboardInterrupt):
                build_exact(tmp_path, after)
        assert same(content(tmp_path), before)
    build_exact(tmp_path, after)
    assert same(content(tmp_path), after)


def test_files_that_are_no_longer_current_are_removed(tmp_path):
    build_exact(tmp_path, entries(numbered(5), seed=1))
    (tmp_path / ".tmp-left-by-a-crash").touch()
    build_exact(tmp_path, entries(numbered(5), seed=2))
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 5
    assert names > FILES


def test_entries_are_joined_with_the_last_of_each_document():
    first, second = entries(["b", "a"], seed=1), entries(["c", "a"], seed=2)
    both = joined([first, second])
    assert both.doc_ids == ("a", "b", "c")
    assert both.hashes == ("2-a", "1-b", "2-c")
    assert same(both, joined([second.take([1]), first.take([0]), second.take([0])]))
    assert same(without(both, ["b", "x"]), joined([second]))
    nothing = without(both, both.doc_ids)
    assert (nothing.doc_ids, nothing.vectors_PD.shape) == ((), (0, DIMENSION))
    assert same(joined([nothing, second]), joined([second]))
