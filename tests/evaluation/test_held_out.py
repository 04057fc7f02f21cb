"""Slices that are held out of training whole, by what the recipe says of a query's metadata."""

import json
import shutil

import pytest

from folders import split_by_ordinal, synthetic_rows, write_beir
from nearer.core.errors import InputError, RecipeError
from nearer.core.recipe import load_recipe
from nearer.core.records import Document, Judgment, Query
from nearer.core.results.training import TrainingRecord
from nearer.core.sections import SplitRecipe
from nearer.evaluation.held_out import judging_split
from nearer.evaluation.splits import ensure_splits, find_leaks, leaks_of
from nearer.store.changing import put_documents, put_judgments, put_queries, put_split
from nearer.store.registered import Model, Training
from nearer.store.workspace import Workspace
from processes import run

LATE = {"unseen_period": "year>=2024"}
TAX = {"unseen_domain": "topic=tax"}


@pytest.fixture
def open_workspace(tmp_path):
    """``open_workspace(queries, train=[...], by="query", held_out={...})``: some queries, some of them in splits."""
    opened = []

    def make(queries, *, judgments=(), splits=None, **split):
        opened.append(Workspace.init(tmp_path / f"w{len(opened)}", recipe={"split": split}))
        with opened[-1].database.write() as connection:
            put_queries(connection, queries)
            put_documents(connection, [Document(doc_id=d, text="x") for d in {d for _, d in judgments}])
            if judgments:
                put_judgments(connection, [Judgment(query_id=q, doc_id=d, grade=1) for q, d in judgments])
            for name, query_ids in (splits or {}).items():
                put_split(connection, name, query_ids)
        return opened[-1]

    yield make
    for workspace in opened:
        workspace.close()


def some_queries(count=60):
    """Years 2015 to 2024 and five topics; no two queries are alike."""
    topics = ["tax", "law", "music", "film", "army"]
    return [
        Query(
            query_id=f"q{n:02}",
            text=f"alpha{n} beta{n} gamma{n} delta{n}",
            metadata={"year": 2015 + n % 10, "topic": topics[n % 5], "team": f"team{n % 7}"},
        )
        for n in range(count)
    ]


def members(workspace, split):
    return {query.query_id for query in workspace.collection.queries(split)}


def meeting(queries, **wanted):
    return {q.query_id for q in queries if all(q.metadata[key] == value for key, value in wanted.items())}


@pytest.mark.parametrize(
    "split",
    [
        {"by": "query", "dev_fraction": 0.2, "test_fraction": 0.2},
        {"by": "group", "field": "team", "dev_groups": ["team1"], "test_groups": ["team2"]},
        {"by": "time", "field": "year", "dev_from": 2019, "test_from": 2021},
    ],
)
def test_queries_that_meet_a_condition_are_in_their_own_split_and_no_other(open_workspace, split):
    queries = some_queries()
    workspace = open_workspace(queries, held_out=LATE, **split)
    ensure_splits(workspace)
    late = meeting(queries, year=2024)
    assert members(workspace, "test_unseen_period") == late
    others = [members(workspace, name) for name in ("train", "dev", "test")]
    assert all(each and not each & late for each in others)
    assert set.union(late, *others) == {query.query_id for query in queries}
    assert ensure_splits(workspace) == {}
    assert leaks_of(workspace) == []


def test_a_query_may_be_held_out_twice_and_conditions_be_joined(open_workspace):
    queries = some_queries()
    held_out = {**LATE, "late_film": ["year>=2019", "topic=film"], **TAX}
    workspace = open_workspace(queries, held_out=held_out)
    ensure_splits(workspace)
    assert members(workspace, "test_unseen_period") == meeting(queries, year=2024)
    assert members(workspace, "test_unseen_domain") == meeting(queries, topic="tax")
    film = {q.query_id for q in queries if q.metadata["topic"] == "film" and q.metadata["year"] >= 2019}
    assert members(workspace, "test_late_film") == film
    assert ensure_splits(workspace) == {}
    assert leaks_of(workspace) == []


def add_trained(workspace):
    """Enter a model that was trained."""
    model = Model(model_id="model-t", encoder_id="enc-t", source="x", encoder={})
    training = Training(verb="train", part_id="model-t", is_improved=True, record=TrainingRecord(recipe={}))
    workspace.registry.add_training(training, made=model)


def test_named_splits_give_up_what_is_held_out_and_an_import_does_not_bring_it_back(open_workspace):
    queries = some_queries()
    ids = [query.query_id for query in queries]
    splits = {"train": ids[:40], "dev": ids[40:50], "test": ids[50:], "test_b": ids[55:]}
    workspace = open_workspace(queries, splits=splits, held_out=LATE)
    late = meeting(queries, year=2024)
    assert ensure_splits(workspace) == {"test_unseen_period": len(late)}
    assert members(workspace, "test_unseen_period") == late
    for name, query_ids in splits.items():
        assert members(workspace, name) == set(query_ids) - late
    add_trained(workspace)
    with workspace.database.write() as connection:
        put_split(connection, "train", ids[:40])
    ensure_splits(workspace)
    assert members(workspace, "train") == set(ids[:40]) - late
    assert members(workspace, "test_unseen_period") == late


def test_later_queries_go_where_they_belong(open_workspace):
    queries = some_queries(80)
    workspace = open_workspace(queries[:40], held_out=TAX)
    ensure_splits(workspace)
    with workspace.database.write() as connection:
        put_queries(connection, queries)
    ensure_splits(workspace)
    assert members(workspace, "test_unseen_domain") == meeting(queries, topic="tax")


def test_a_shared_group_or_document_is_no_leak_and_the_same_text_is(open_workspace):
    queries = [
        Query(query_id="held", text="one two three", metadata={"team": "a", "topic": "tax"}),
        Query(query_id="group", text="four five six", metadata={"team": "a", "topic": "law"}),
        Query(query_id="document", text="seven eight nine", metadata={"team": "b", "topic": "law"}),
        Query(query_id="twin", text="One two three", metadata={"team": "c", "topic": "law"}),
        Query(query_id="far", text="ten eleven twelve", metadata={"team": "z", "topic": "law"}),
    ]
    judgments = [("held", "d"), ("document", "d"), ("group", "e"), ("twin", "f"), ("far", "g")]
    split = {"by": "group", "field": "team", "test_groups": ["z"]}
    workspace = open_workspace(queries, judgments=judgments, held_out=TAX, **split)
    ensure_splits(workspace)
    sides = workspace.collection.split_of()
    assert sides == {
        "held": ["test_unseen_domain"],
        "group": ["train"],
        "document": ["train"],
        "twin": ["leaked"],
        "far": ["test"],
    }
    assert leaks_of(workspace) == []
    plain = SplitRecipe(**split)
    records = [Judgment(query_id=q, doc_id=d, grade=1) for q, d in judgments]
    kinds = {leak.kind for leak in find_leaks(queries, sides, recipe=plain, judgments=records)}
    assert kinds == {"same group", "same document"}, "were it not held out by another rule"


def test_an_old_twin_sets_a_new_query_aside_and_it_stays_so(open_workspace):
    old = Query(query_id="old", text="one two three", metadata={"topic": "law"})
    far = Query(query_id="far", text="four five", metadata={"topic": "tax"})
    workspace = open_workspace([old, far], splits={"train": ["old"]}, held_out=TAX)
    ensure_splits(workspace)
    with workspace.database.write() as connection:
        put_queries(connection, [Query(query_id="new", text="ONE two three", metadata={"topic": "tax"})])
    ensure_splits(workspace)
    assert members(workspace, "leaked") == {"new"}
    assert ensure_splits(workspace) == {}


def test_what_a_model_was_trained_on_cannot_be_held_out_any_more(open_workspace):
    queries = some_queries()
    ids = [query.query_id for query in queries]
    workspace = open_workspace(queries, splits={"train": ids[:40], "test": ids[40:]}, held_out=LATE)
    add_trained(workspace)
    with pytest.raises(InputError, match="4 queries, such as 'q09', are in train or dev, and model-t was trained"):
        ensure_splits(workspace)
    assert members(workspace, "train") == set(ids[:40])


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"x": "year>=2050"}, "split.held_out.x: no query meets year>=2050"),
        ({"x": "yeer>=2020"}, "split.held_out.x: no query has the field 'yeer'"),
        ({"x": "year is late"}, "split.held_out.x: 'year is late' is no condition"),
        ({"x": "year=soon"}, "split.held_out.x: 'year' holds integer values, not 'soon'"),
        ({"x": ["year>=2020", "tags>=a"]}, "split.held_out.x: 'tags' holds lists"),
        (
            {"x": "mixed=1"},
            "split.held_out.x: field 'mixed' cannot filter: query 'q00' has integer, query 'q01' has text",
        ),
        ({"b": "year=2024"}, "there is a split 'test_b' already, with 1 queries that do not meet"),
    ],
)
def test_what_cannot_be_held_out_is_reported_with_a_way_out(open_workspace, held_out, message):
    queries = [
        Query(
            query_id=query.query_id,
            text=query.text,
            metadata={**query.metadata, "tags": ["a"], "mixed": [1, "x"][row % 2]},
        )
        for row, query in enumerate(some_queries())
    ]
    workspace = open_workspace(queries, splits={"test_b": ["q01"]}, held_out=held_out)
    with pytest.raises(InputError) as caught:
        ensure_splits(workspace)
    assert caught.value.message.startswith(message)
    assert caught.value.hint
    assert set(workspace.collection.split_of()) == {"q01"}


def test_a_workspace_without_queries_has_nothing_to_hold_out(open_workspace):
    assert ensure_splits(open_workspace([], held_out=LATE)) == {}


@pytest.mark.parametrize("held_out", [{"a b": "x=1"}, {"": "x=1"}, {"a": ""}, {"a": []}, {"a": 3}])
def test_names_and_conditions_are_checked_when_the_recipe_is_read(tmp_path, held_out):
    Workspace.init(tmp_path / "w").close()
    lines = "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in held_out.items())
    (tmp_path / "w" / "nearer.toml").write_text(f"[split.held_out]\n{lines}")
    with pytest.raises(RecipeError, match=r"split\.held_out"):
        Workspace.open(tmp_path / "w")


def test_the_recipe_round_trips_and_may_be_set_for_one_run(tmp_path):
    Workspace.init(tmp_path / "w", recipe={"split": {"held_out": {**LATE, "two": ["a=1", "b=2"]}}}).close()
    workspace = Workspace.open(tmp_path / "w")
    assert workspace.recipe.split.held_out == {**LATE, "two": ("a=1", "b=2")}
    workspace.close()
    assert load_recipe(None, overrides=("split.held_out.p=year>=2024",)).split.held_out == {"p": "year>=2024"}


def test_a_release_is_judged_by_a_split_that_is_not_held_out_where_there_is_one(open_workspace):
    queries = some_queries()
    workspace = open_workspace(queries, splits={"test_z": ["q03"]}, held_out=TAX, test_fraction=0)
    ensure_splits(workspace)
    assert judging_split(workspace) == "test_z"
    other = open_workspace(queries, held_out=TAX, test_fraction=0)
    ensure_splits(other)
    assert judging_split(other) == "test_unseen_domain"


# Through the command line


@pytest.fixture
def held_out_set(new_workspace, tmp_path):
    """A workspace over a BEIR folder in which the queries of 2024 are held out."""
    rows = synthetic_rows(num_documents=80, queries_each=3)
    folder = new_workspace(split={"held_out": LATE}, evaluate={"slice_fields": ["year"]})
    return folder, write_beir(tmp_path / "beir", rows, split_of=split_by_ordinal)


def test_a_held_out_slice_is_measured_and_reported_apart(ask, nearer, held_out_set):
    folder, beir = held_out_set
    ask(folder, "add", "beir", beir)
    apart = ask(folder, "evaluate", "base", "base", "--split", "test_unseen_period")
    assert apart["num_queries"] == 24
    assert apart["ledger"] == {"split": "test_unseen_period", "num_test_uses": 1}
    slices = apart["results"][0]["slices"]
    assert slices["year=2024"]["num_queries"] == 24
    assert (
        slices["seen_document=yes"]["num_queries"] + slices.get("seen_document=no", {"num_queries": 0})["num_queries"]
        == 24
    )
    test = ask(folder, "evaluate", "base", "base", "--split", "test")
    assert test["num_queries"] == 72
    assert "year=2024" not in test["results"][0]["slices"]
    assert ask(folder, "check")["splits"]["test_unseen_period"] == 24
    assert nearer("report", "--dir", folder).exit_code == 0
    [page] = (folder / ".nearer" / "reports").glob("*.html")
    page = page.read_text()
    assert "72 queries of the split test" in page
    others = page.partition("Other test splits")[2].partition("</table>")[0]
    assert "<bdi>test_unseen_period</bdi>, nDCG@10" in others
    assert f"{apart['results'][0]['metrics']['nDCG@10']['value']:.3f}" in others


@pytest.mark.slow
def test_a_kill_once_the_splits_are_written_loses_and_repeats_nothing(ask, held_out_set, tmp_path):
    folder, beir = held_out_set
    ask(folder, "add", "beir", beir)
    killed = shutil.copytree(folder, tmp_path / "killed")
    wanted = ask(folder, "evaluate", "--split", "test_unseen_period")
    arguments = ("evaluate", "--split", "test_unseen_period", "--dir", killed)
    assert run(*arguments, die_at="splits.commit").was_killed
    workspace = Workspace.open(killed)
    written = workspace.collection.split_of()
    workspace.close()
    found = ask(killed, *arguments[:-2])
    assert found["results"] == wanted["results"]
    assert found["ledger"]["num_test_uses"] == 1, "the killed one looked at nothing"
    workspace = Workspace.open(killed)
    assert workspace.collection.split_of() == written
    workspace.close()
