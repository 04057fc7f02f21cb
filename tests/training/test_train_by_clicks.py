"""Training on judgments of several sources: weights reach the loss, caps hold, the record says how much of each."""

import numpy as np
import pytest

from nearer.core.errors import InputError, RecipeError
from nearer.core.records import GradeScale, Judgment, Query
from nearer.flows.check import check
from nearer.flows.train import train
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import from_judgments
from nearer.store.changing import put_judgments
from nearer.store.events.log import EventLog
from nearer.store.workspace import Workspace
from said import Said
from store.event_writers import impression

SCALE = GradeScale(max_grade=1, relevant_from=1, positive_from=1)


def test_the_weight_of_a_judgment_is_that_of_its_row_in_the_loss():
    judgments = [
        Judgment(query_id="q", doc_id="a", grade=1, source="human"),
        Judgment(query_id="q", doc_id="b", grade=1, source="clicks", weight=0.25),
        Judgment(query_id="q", doc_id="c", grade=0, source="clicks", weight=0.5),
    ]
    texts_of = {("q", name): [f"text {name}"] for name in "abc"}
    examples = from_judgments(
        [Query(query_id="q", text="query")],
        judgments,
        scale=SCALE,
        texts_of=texts_of,
        max_positives=4,
        graded=False,
        seed=0,
        source_field=None,
    )
    assert [(each.positive, each.weight, each.source) for each in examples] == [
        ("text a", 1.0, "human"),
        ("text b", 0.25, "clicks"),
    ]
    assert all(each.known_negatives == {"text c"} for each in examples), "what was looked at and skipped"
    assert ExampleTable.build(examples).weight_E.tolist() == [1.0, 0.25]


@pytest.fixture
def clicked(base_live):
    """A workspace whose training queries have another document each that was clicked."""
    with Workspace.open(base_live) as workspace:
        judged = {each.query_id: each.doc_id for each in workspace.collection.judgments("train")}
        ids = [each.doc_id for each in workspace.collection.documents()]
        other = [
            Judgment(
                query_id=query_id,
                doc_id=ids[(ids.index(doc_id) + 10) % len(ids)],
                grade=1,
                source="clicks",
                rater="harvest",
                weight=0.5,
            )
            for query_id, doc_id in judged.items()
        ]
        with workspace.write("test") as connection:
            put_judgments(connection, other)
    return base_live


def trained(folder, *overrides, **asked):
    said = Said()
    with Workspace.open(folder, overrides=("train.passes=1", "train.epochs=0.2", *overrides)) as workspace:
        return train(workspace, progress=said, **asked), said.said


def test_a_training_says_how_much_of_each_source_it_used(clicked, stub_trainer):
    alone, _ = trained(clicked)
    assert [(each.source, each.num_pairs) for each in alone.sources] == [("unnamed", alone.num_pairs)]
    both, said = trained(clicked, sources="human,clicks")
    numbers = {each.source: each.num_pairs for each in both.sources}
    assert numbers.keys() == {"import", "clicks"}
    assert numbers["import"] == alone.num_pairs
    assert numbers["clicks"] > 0
    assert any("clicks" in each for each in said)
    with Workspace.open(clicked) as workspace:
        record = workspace.registry.training_of(both.model_id)
        assert not both.improved or {each.source for each in record.data.sources} == {"import", "clicks"}
    capped, said = trained(clicked, "train.source_caps={clicks = 5}", sources="human,clicks")
    assert {each.source: each.num_pairs for each in capped.sources} == {**numbers, "clicks": 5}
    assert any("its cap" in each for each in said)


def test_what_is_not_there_is_reported(clicked):
    for sources, said in (("human,llm", "no judgments of llm"), ("llm", "no judgments of llm")):
        with pytest.raises(RecipeError, match=said):
            trained(clicked, sources=sources)
    with pytest.raises(InputError, match="--sources"):
        trained(clicked, sources="people")
    with pytest.raises(RecipeError, match="source_caps names 'bought'"):
        trained(clicked, "train.source_caps={bought = 5}")


@pytest.mark.exhaustive
def test_the_recipe_says_the_same(clicked):
    by_recipe, _ = trained(clicked, 'train.judged_by=["clicks", "import"]')
    assert {each.source for each in by_recipe.sources} == {"import", "clicks"}
    only, _ = trained(clicked, 'train.judged_by=["clicks"]')
    assert {each.source for each in only.sources} == {"clicks"}


def test_check_reports_volumes_conflicts_and_coverage(clicked):
    with Workspace.open(clicked) as workspace:
        [first, *_] = workspace.collection.judgments("train")
        query = next(each for each in workspace.collection.queries() if each.query_id == first.query_id)
        with workspace.write("test") as connection:
            put_judgments(
                connection, [Judgment(query_id=first.query_id, doc_id=first.doc_id, grade=0, source="llm", rater="m")]
            )
        log = EventLog(workspace.events, locks=workspace.locks)
        log.add([impression(f"i{n}", query=query.text) for n in range(4)])
        log.add([impression(f"j{n}", query="something else") for n in range(3)])
        log.add([impression(f"k{n}", query=f"rare {n}") for n in range(3)])
        log.close()
        notes = check(workspace).notes
        number = len(workspace.collection.all_judgments())
    [volumes] = [each for each in notes if each.startswith("judgments: ")]
    assert "1 by llm" in volumes
    assert "on 1 pairs one source says relevant and another does not" in volumes
    assert number > 0
    [covered] = [each for each in notes if "so much is judged" in each]
    assert "head 100% (1 queries, asked 4 times); torso 0% (1 queries, asked 3 times); tail 0%" in covered


def test_the_verb_takes_sources(clicked, ask):
    made = ask(
        clicked,
        "train",
        "--adapter",
        "query",
        "--sources",
        "human,clicks",
    )
    assert made["num_pairs"] > 0
    assert ask(clicked, "train", "--sources", "people", code=2)["error"]["code"] == "bad_input"
    assert np.isfinite(made["dev"]["best"])
