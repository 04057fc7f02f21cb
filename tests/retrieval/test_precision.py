"""The exact index below float32: what it keeps, what it finds, and the recall that is measured beside float32."""

from dataclasses import replace

import numpy as np
import pytest

from nearer.core.errors import InputError, SpaceMismatch, WorkspaceError
from nearer.core.filters import parse_filter
from nearer.retrieval.exact import RESCORE
from nearer.retrieval.index import build_index, open_index, update_index
from nearer.retrieval.manifest import FORMAT_VERSION, read_manifest
from nearer.retrieval.policy import Policy
from nearer.vectors.quantise import quantise, search
from nearer.vectors.topk import top_k
from retrieval.making import DIMENSION, FIELDS, POLICIES, SPACE, SPEC, build, entries, numbered, queries

BELOW = ["float16", "int8", "binary"]


def built(folder, precision, part, policy=POLICIES["exact"]):
    return build(folder, policy, part, spec=replace(SPEC, precision=precision))


def policy_of(vectors_QD, **options):
    return Policy(kind="exact", queries=lambda: vectors_QD, **options)


@pytest.mark.parametrize("precision", BELOW)
def test_what_was_built_is_opened_and_found(tmp_path, precision):
    part = entries(numbered(60))
    made = built(tmp_path, precision, part)
    opened = open_index(tmp_path, space_id=SPACE)
    assert opened.manifest == made.manifest
    assert (opened.hashes(), opened.damage()) == (dict(zip(part.doc_ids, part.hashes, strict=True)), ())
    rescore = opened.manifest.rescore or 1
    expected = search(queries(), quantise(part.vectors_PD, precision), k=10, starts_N=part.starts_N, rescore=rescore)
    for index in (made, opened):
        for ranking, rows_K, scores_K in zip(
            index.search(queries(), space_id=SPACE, k=10), expected.rows_QK, expected.scores_QK, strict=True
        ):
            assert [doc_id for doc_id, _ in ranking] == [part.doc_ids[row] for row in rows_K]
            assert [score for _, score in ranking] == pytest.approx(scores_K.tolist())


@pytest.mark.parametrize("precision", BELOW)
def test_filters_are_obeyed(tmp_path, precision):
    part = entries(numbered(60))
    built(tmp_path, precision, part)
    where = parse_filter({"type": "gte", "key": "year", "value": 2010}, FIELDS)
    index = open_index(tmp_path, space_id=SPACE)
    passing = [row for row, year in enumerate(part.values["year"]) if year is not None and year >= 2010]
    some = part.take(passing)
    kept = quantise(part.vectors_PD, precision).take(part.passages_of(passing))
    exact = search(queries(1), kept, k=60, starts_N=some.starts_N, rescore=4)
    [found] = index.search(queries(1), space_id=SPACE, k=60, where=where)
    assert [doc_id for doc_id, _ in found] == [some.doc_ids[row] for row in exact.rows_QK[0] if row >= 0]
    assert len(found) == len(passing)


@pytest.mark.parametrize("precision", BELOW)
def test_recall_is_counted_beside_float32(tmp_path, precision):
    part, asked = entries(numbered(200)), queries(40)
    manifest = built(tmp_path, precision, part, policy_of(asked, min_recall=0.0)).manifest
    kept = quantise(part.vectors_PD, precision)
    found = search(asked, kept, k=10, starts_N=part.starts_N, rescore=RESCORE[0])
    exact = top_k(asked, part.vectors_PD, k=10, starts_N=part.starts_N)
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(found.rows_QK.tolist(), exact.rows_QK.tolist(), strict=True)]
    assert manifest.recall.value == pytest.approx(np.mean(shares))
    assert (manifest.recall.k, manifest.recall.num_queries, manifest.recall.measured_on) == (10, 40, "queries")
    assert manifest.summary["precision"] == precision
    assert manifest.summary["recall"]["value"] == manifest.recall.value
    assert 0.3 < manifest.recall.value < 1.0 if precision == "binary" else manifest.recall.value > 0.9


def test_binary_rescores_more_until_recall_is_reached(tmp_path):
    part, asked = entries(numbered(200)), queries(40)
    recalls = {}
    for floor in (0.0, 0.9, 1.0):
        manifest = built(tmp_path, "binary", part, policy_of(asked, min_recall=floor)).manifest
        recalls[manifest.rescore] = manifest.recall.value
    assert list(recalls) == sorted(recalls)
    assert list(recalls.values()) == sorted(recalls.values())
    assert len(recalls) > 1
    assert built(tmp_path, "int8", part, policy_of(asked, min_recall=1.0)).manifest.rescore is None


def test_passages_stand_in_where_there_are_no_queries(tmp_path):
    recall = built(tmp_path, "int8", entries(numbered(9)), Policy(kind="exact", num_recall_queries=5)).manifest.recall
    assert (recall.num_queries, recall.measured_on) == (5, "passages")


def test_below_the_floor_it_is_told(tmp_path):
    part, policy = entries(numbered(200)), policy_of(queries(40), min_recall=1.0)
    manifest = built(tmp_path, "binary", replace(part, vectors_PD=np.abs(part.vectors_PD)), policy).manifest
    assert "below index.min_recall = 1.0" in policy.shortfall(manifest)
    assert open_index(tmp_path, space_id=SPACE).recall(queries()) == manifest.recall


@pytest.mark.parametrize(("precision", "most"), [("float16", 2.0), ("int8", 1.0), ("binary", 1.0 + 1 / 8)])
def test_less_is_on_the_disk(tmp_path, precision, most):
    part = entries(numbered(500))
    built(tmp_path, precision, part)
    num_bytes = sum(path.stat().st_size for path in tmp_path.glob("*.npy"))
    headers = 128 * len(list(tmp_path.glob("*.npy"))) + 8 * DIMENSION
    assert num_bytes <= most * DIMENSION * len(part.vectors_PD) + headers


@pytest.mark.parametrize("pattern", ["vectors-*", "ranges-*", "bits-*", "passages-*"])
@pytest.mark.parametrize("damage", ["missing", "one bit"])
def test_damaged_files_are_refused(tmp_path, pattern, damage):
    built(tmp_path, "binary", entries(numbered(5)))
    [path] = tmp_path.glob(pattern)
    data = path.read_bytes()
    path.unlink()
    if damage == "one bit":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(WorkspaceError, match=path.name) as caught:
        open_index(tmp_path, space_id=SPACE)
    assert "rebuild" in caught.value.hint


def test_an_unknown_precision_in_a_manifest_is_damage(tmp_path):
    built(tmp_path, "int8", entries(numbered(5)))
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"int8"', '"int4"'))
    with pytest.raises(WorkspaceError, match="damaged"):
        read_manifest(tmp_path, space_id=SPACE)


def test_spaces_never_meet_and_nothing_is_written_without_a_change(tmp_path):
    index = built(tmp_path, "int8", entries(numbered(5)))
    with pytest.raises(SpaceMismatch):
        index.search(queries(), space_id="enc-b", k=1)
    same = update_index(tmp_path, index, removed=(), changed=(), policy=POLICIES["exact"], revision=7)
    assert same.manifest == replace(index.manifest, revision=7)
    assert open_index(tmp_path, space_id=SPACE).search(queries(), space_id=SPACE, k=3) == index.search(
        queries(), space_id=SPACE, k=3
    )


@pytest.mark.parametrize("policy", [POLICIES["lancedb"], Policy(exact_up_to=3)])
def test_lancedb_keeps_float32_and_says_so(tmp_path, policy):
    with pytest.raises(InputError, match="LanceDB keeps float32") as caught:
        build_index(
            tmp_path, spec=replace(SPEC, precision="int8"), batches=[entries(numbered(5))], policy=policy, revision=1
        )
    assert 'index.kind = "exact"' in caught.value.hint
    assert not list(tmp_path.glob("manifest.json"))


def test_the_format_says_that_earlier_versions_cannot_read_it(tmp_path):
    built(tmp_path, "int8", entries(numbered(5)))
    assert f'"format_version": {FORMAT_VERSION}' in (tmp_path / "manifest.json").read_text()
    assert FORMAT_VERSION == 3
