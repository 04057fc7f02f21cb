"""One contract over every kind of index; brute force is the oracle."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from nearer.core.errors import Conflict, InputError, NotFound, SpaceMismatch, WorkspaceBusy, WorkspaceError
from nearer.core.filters import matches, parse_filter
from nearer.core.results.serving import Probes
from nearer.retrieval import index as opening
from nearer.retrieval import lance, lance_writer, pg, pg_writer
from nearer.retrieval import manifest as manifests
from nearer.retrieval.index import build_index, differences, open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import LOCK
from nearer.store.leases import lease
from retrieval.making import (
    DIMENSION,
    FIELDS,
    POLICIES,
    SPACE,
    SPEC,
    brute_force,
    build,
    entries,
    numbered,
    queries,
    same_ranking,
    unit,
)

NUM = 60
HOSTILE = [
    "a",
    "a\0",
    "e\u0301",
    "a\0b",
    "'; DROP TABLE x --",
    'q"`uote',
    "x' OR 1=1",
    "../../etc",
    "é",
    "中文",
    "😀",
    "%s{}",
]


@pytest.fixture(params=POLICIES)
def policy(request):
    if request.param.startswith("pgvector"):
        request.getfixturevalue("postgres_url")
    return POLICIES[request.param]


@pytest.fixture(autouse=True)
def _all_candidates_refined(monkeypatch):
    """What approximation loses on a few random vectors is not what is tested here."""
    monkeypatch.setattr(lance_writer, "LADDER", (Probes(nprobes=100, refine=100),))
    monkeypatch.setattr(pg_writer, "LADDER", (Probes(nprobes=1000, refine=100),))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


def search(index, k=10, where=None, vectors=None):
    condition = parse_filter(where, FIELDS) if where else None
    return index.search(queries() if vectors is None else vectors, space_id=SPACE, k=k, where=condition)


def expect(index, parts, *, k=10, where=None):
    condition = parse_filter(where, FIELDS) if where else None
    passes = (lambda values: matches(condition, values)) if condition else (lambda values: True)
    for found, query_D in zip(search(index, k, where), queries(), strict=True):
        assert same_ranking(found, brute_force(parts, query_D, k=k, passes=passes))


def test_what_is_stored_of_a_document_is_its_hash_and_its_vectors(folder, policy):
    part = entries(numbered(8))
    index = build(folder, policy, part)
    found = index.stored([*numbered(3), "none"])
    assert found.keys() == set(numbered(3))
    for row, doc_id in enumerate(numbered(3)):
        assert found[doc_id].hash == part.hashes[row]
        assert np.array_equal(found[doc_id].emb_PD, part.vectors_PD[part.passages_of([row])])
    assert index.stored([]) == index.stored(["none"]) == {}


def update(folder, policy, *, removed=(), changed=(), revision=2):
    index = open_index(folder, space_id=SPACE)
    return update_index(folder, index, removed=removed, changed=changed, policy=policy, revision=revision)


def test_search_is_brute_force_over_documents_of_several_passages(folder, policy):
    parts = [entries(numbered(NUM)), entries(numbered(NUM, "e"), seed=1)]
    made = build(folder, policy, *parts)
    assert made.manifest.num_documents == 2 * NUM
    assert made.manifest.num_passages == sum(len(part.vectors_PD) for part in parts)
    for index in (made, open_index(folder, space_id=SPACE)):
        for k in (1, 3, 10, 2 * NUM, 1000):
            expect(index, parts, k=k)
        assert index.hashes() == {doc_id: h for p in parts for doc_id, h in zip(p.doc_ids, p.hashes, strict=True)}
        assert index.damage() == ()


def test_equal_scores_go_by_doc_id_descending_at_the_last_place_too(folder, policy):
    one = np.zeros(DIMENSION, np.float32)
    one[0] = 1
    doc_ids = ["a", "b", "Z", "é", "中", "ab"]
    build(folder, policy, entries(doc_ids, vectors=np.tile(one, (6, 1)), sizes=[1] * 6), entries(numbered(20), seed=3))
    index = open_index(folder, space_id=SPACE)
    for k in range(1, 7):
        [found] = search(index, k, vectors=[one])
        assert [doc_id for doc_id, _ in found] == ["中", "é", "b", "ab", "a", "Z"][:k]
        assert [score for _, score in found] == [1.0] * k


def test_many_passages_of_one_document_do_not_crowd_out_the_others(folder, policy):
    rng = np.random.default_rng(0)
    query_D = queries(1)[0]
    near = query_D + 0.01 * unit(rng, 80, DIMENSION)
    long = entries(["long"], vectors=near / np.linalg.norm(near, axis=1, keepdims=True), sizes=[80])
    parts = [long, entries(numbered(NUM))]
    index = build(folder, policy, *parts)
    [found] = search(index, 5, vectors=[query_D])
    assert same_ranking(found, brute_force(parts, query_D, k=5))
    assert found[0][0] == "long"


def test_edits_additions_and_removals_are_followed(folder, policy):
    first = entries(numbered(NUM))
    build(folder, policy, first)
    edited = entries([*numbered(NUM)[5:15], "new"], seed=7)
    removed = numbered(NUM)[20:30]
    made = update(folder, policy, removed=removed, changed=[edited])
    left = first.take([row for row, doc_id in enumerate(first.doc_ids) if doc_id not in removed])
    for index in (made, open_index(folder, space_id=SPACE)):
        assert index.manifest.num_documents == NUM - 10 + 1
        assert index.manifest.revision == 2
        expect(index, [left, edited], k=NUM)
        assert index.hashes()["new"] == "7-new"
        assert not index.hashes().keys() & set(removed)
        assert index.damage() == ()


def test_an_index_that_lost_all_its_documents_answers_nothing_and_can_be_filled_again(folder, policy):
    build(folder, policy, entries(numbered(NUM)))
    update(folder, policy, removed=numbered(NUM))
    index = open_index(folder, space_id=SPACE)
    assert (index.manifest.num_documents, index.manifest.num_passages, index.hashes()) == (0, 0, {})
    assert search(index) == [[], [], []]
    assert search(index, where={"type": "gt", "key": "year", "value": 1}) == [[], [], []]
    assert index.damage() == ()
    again = entries(numbered(NUM), seed=4)
    expect(update(folder, policy, changed=[again], revision=3), [again])


def test_nothing_changed_writes_only_the_revision(folder, policy):
    build(folder, policy, entries(numbered(NUM)))
    before = {path.name for path in folder.iterdir()}
    made = update(folder, policy, revision=5)
    assert made.manifest.revision == open_index(folder, space_id=SPACE).manifest.revision == 5
    assert {path.name for path in folder.iterdir()} == before
    expect(made, [entries(numbered(NUM))])


def test_a_reader_goes_on_with_what_it_opened(folder, policy):
    first = entries(numbered(NUM))
    build(folder, policy, first)
    reader = open_index(folder, space_id=SPACE)
    second = entries(numbered(NUM), seed=1)
    update(folder, policy, changed=[second])
    expect(reader, [first])
    build(folder, policy, entries(numbered(5), seed=2), revision=3)
    expect(reader, [first])
    expect(open_index(folder, space_id=SPACE), [entries(numbered(5), seed=2)])


def test_doc_ids_may_be_anything(folder, policy):
    ids = [*HOSTILE, "l" * 20_000]
    parts = [entries(ids), entries(numbered(20), seed=1)]
    build(folder, policy, *parts)
    expect(open_index(folder, space_id=SPACE), parts, k=40)
    update(folder, policy, removed=HOSTILE[1:4], changed=[entries(HOSTILE[4:6], seed=5)])
    index = open_index(folder, space_id=SPACE)
    assert index.hashes().keys() == {*ids, *numbered(20)} - {*HOSTILE[1:4]}
    assert index.hashes()[HOSTILE[4]] == f"5-{HOSTILE[4]}"
    assert index.damage() == ()
    assert {path.parent for path in folder.iterdir()} == {folder}


# Filters


FILTERS = [
    {"type": "eq", "key": "lang", "value": "en"},
    {"type": "ne", "key": "lang", "value": "en"},
    {"type": "gte", "key": "year", "value": 2010},
    {"type": "lt", "key": "year", "value": 2003.5},
    {"type": "in", "key": "year", "value": [2001, 2002]},
    {"type": "nin", "key": "lang", "value": ["en", "fr"]},
    {"type": "eq", "key": "free", "value": True},
    {"type": "ne", "key": "free", "value": True},
    {"type": "lte", "key": "price", "value": 3},
    {"type": "eq", "key": "price", "value": 0.25},
    {"type": "eq", "key": "price", "value": -0.0},
    {"type": "gt", "key": "lang", "value": "de"},
    {"type": "eq", "key": "lang", "value": "en' OR 1=1 --"},
    {
        "type": "or",
        "filters": [
            {"type": "and", "filters": [{"type": "eq", "key": "lang", "value": "de"}] * 2},
            {"type": "gt", "key": "year", "value": 2017},
        ],
    },
]


def test_filters_pass_what_their_meaning_says(folder, policy):
    part = entries(numbered(NUM))
    index = build(folder, policy, part)
    for where in FILTERS:
        expect(index, [part], k=NUM, where=where)
        expect(index, [part], k=3, where=where)


VALUES = ["x' OR 1=1 --", "nul\0inside", '"`', "a\\", "é", "%", "_", "{}", "", " ", "x", None]


def test_text_values_are_harmless(folder, policy):
    part = entries(numbered(2 * len(VALUES)), lang=VALUES * 2)
    index = build(folder, policy, part)
    for value in VALUES[:-1]:
        for kind, among in (("eq", value), ("ne", value), ("in", [value, "zz"]), ("nin", [value]), ("gt", value)):
            expect(index, [part], k=30, where={"type": kind, "key": "lang", "value": among})


def test_field_names_may_be_anything(tmp_path, postgres_url):
    name = 'a.b "c" `d` \' é'
    part = entries(numbered(12), **{name: range(12)})
    spec = replace(SPEC, fields={**FIELDS, name: "integer"})
    condition = parse_filter({"type": "gte", "key": name, "value": 6}, spec.fields)
    for number, policy in enumerate(POLICIES.values()):
        index = build(tmp_path / str(number), policy, part, spec=spec)
        [found] = index.search(queries(1), space_id=SPACE, k=20, where=condition)
        assert {doc_id for doc_id, _ in found} == set(numbered(12)[6:])


def test_a_filter_that_passes_one_in_a_hundred_loses_nothing(folder, policy):
    num = 1500
    part = entries(numbered(num), sizes=[1] * num, year=[n % 100 for n in range(num)])
    index = build(folder, policy, part)
    expect(index, [part], k=10, where={"type": "eq", "key": "year", "value": 7})


@pytest.mark.parametrize("kind", ["lancedb", "pgvector"])
def test_a_filter_that_passes_many_is_answered_through_the_vector_index(tmp_path, monkeypatch, postgres_url, kind):
    monkeypatch.setattr(pg if kind == "pgvector" else lance, "EXACT_MATCHES", 100)
    num = 1500
    part = entries(numbered(num), sizes=[1] * num, year=[n % 2 for n in range(num)])
    index = build(tmp_path, POLICIES[f"{kind} with a vector index"], part)
    where = {"type": "eq", "key": "year", "value": 1}
    vectors = queries(20)
    found = index.search(vectors, space_id=SPACE, k=10, where=parse_filter(where, FIELDS))
    exact = [brute_force([part], query_D, k=10, passes=lambda values: values["year"] == 1) for query_D in vectors]
    shares = [len(dict(mine).keys() & dict(truth).keys()) / 10 for mine, truth in zip(found, exact, strict=True)]
    assert np.mean(shares) >= 0.9
    expect(index, [part], k=800, where=where)  # more than pass: all that do are found


# What is refused


@pytest.mark.parametrize(
    ("vectors", "reported"),
    [
        (np.full((1, DIMENSION), np.nan), "not finite"),
        (np.full((1, DIMENSION), np.inf), "not finite"),
        (np.zeros((1, DIMENSION)), "zero"),
        (np.ones((1, DIMENSION - 1)), "dimensions"),
        (np.ones(DIMENSION), "shape"),
    ],
)
def test_queries_that_are_near_nothing_are_refused(tmp_path, postgres_url, vectors, reported):
    for name, policy in POLICIES.items():
        index = build(tmp_path / name, policy, entries(numbered(5)))
        with pytest.raises(InputError, match=reported):
            search(index, vectors=vectors)
        with pytest.raises(InputError, match="k is 0"):
            search(index, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 1e30])
def test_documents_that_are_near_nothing_are_never_written(folder, policy, bad):
    part = entries(numbered(5), sizes=[2] * 5)
    part.vectors_PD[3] = bad
    with pytest.raises(WorkspaceError, match=r"document 'd001é' is zero or not finite"):
        build(folder, policy, part)
    with pytest.raises(NotFound):
        open_index(folder, space_id=SPACE)
    build(folder, policy, entries(numbered(5)))
    with pytest.raises(WorkspaceError, match="d001é"):
        update(folder, policy, changed=[part])
    expect(open_index(folder, space_id=SPACE), [entries(numbered(5))])


def test_spaces_never_meet(folder, policy):
    index = build(folder, policy, entries(numbered(5)))
    with pytest.raises(SpaceMismatch, match="enc-b met an index of space enc-a"):
        index.search(queries(), space_id="enc-b", k=1)
    with pytest.raises(SpaceMismatch, match="holds space enc-a, not enc-b"):
        open_index(folder, space_id="enc-b")


def test_no_index_is_reported_with_the_command_that_builds_it(tmp_path):
    with pytest.raises(NotFound, match=SPACE) as caught:
        open_index(tmp_path / "absent", space_id=SPACE)
    assert "nearer index" in caught.value.hint


def test_one_writer_at_a_time(folder, policy):
    index = build(folder, policy, entries(numbered(5)))
    with lease(folder / LOCK, holder="nearer test"):
        with pytest.raises(WorkspaceBusy, match="nearer test"):
            build(folder, policy, entries(numbered(5)))
        with pytest.raises(WorkspaceBusy, match="nearer test"):
            update(folder, policy, removed=["d001é"])
        expect(open_index(folder, space_id=SPACE), [entries(numbered(5))])
    update(folder, policy, removed=["d001é"])
    with pytest.raises(Conflict, match="changed while"):
        update_index(folder, index, removed=["d002é"], changed=[], policy=policy, revision=3)


def test_a_kind_is_chosen_by_size_and_left_only_when_half_as_large(tmp_path):
    policy = IndexPolicy(exact_up_to=20)
    small, large = entries(numbered(20), sizes=[1] * 20), entries(numbered(21), sizes=[1] * 21)
    assert build(tmp_path, policy, small).manifest.kind == "exact"
    again = build_index(tmp_path, spec=SPEC, batches=[small, entries(["x"], sizes=[1])], policy=policy, revision=2)
    assert again.manifest.kind == "lancedb"
    assert again.manifest.probes is not None
    expect(again, [small, entries(["x"], sizes=[1])])
    manifest = build(tmp_path, policy, large).manifest
    smaller = [replace(manifest, num_passages=n) for n in (21, 20, 11, 10, 0)]
    assert [policy.kind_after(each) for each in smaller] == ["lancedb"] * 3 + ["exact", "lancedb"]
    assert [POLICIES["exact"].kind_after(each) for each in smaller] == ["exact"] * 5


@pytest.mark.parametrize("before", ["lancedb", "pgvector"])
def test_an_index_replaced_by_one_of_another_kind_stays_open_to_its_readers(folder, postgres_url, before):
    first, second = entries(numbered(NUM)), entries(numbered(NUM), seed=1)
    build(folder, POLICIES[before], first)
    reader = open_index(folder, space_id=SPACE)
    build(folder, POLICIES["exact"], second)
    expect(reader, [first])
    expect(open_index(folder, space_id=SPACE), [second])


def test_an_index_rebuilt_while_it_is_being_opened_is_read_again(folder, policy, monkeypatch):
    build(folder, policy, entries(numbered(5)))
    opened = opening._opened

    def rebuilt_just_before(folder, manifest):
        monkeypatch.setattr(opening, "_opened", opened)
        monkeypatch.setattr(manifests, "HELD", timedelta(0))
        build(folder, policy, entries(numbered(5), seed=1))
        build(folder, policy, entries(numbered(5), seed=2))
        return opened(folder, manifest)

    monkeypatch.setattr(opening, "_opened", rebuilt_just_before)
    expect(open_index(folder, space_id=SPACE), [entries(numbered(5), seed=2)])


def test_differences_are_counted_by_kind():
    indexed = {"a": "1", "b": "1", "c": "1"}
    assert differences(indexed, indexed) == ()
    assert differences(indexed, {"c": "2", "d": "1"}) == (
        "1 documents not in the index",
        "2 documents in the index but removed",
        "1 documents indexed as they were before an edit",
    )
