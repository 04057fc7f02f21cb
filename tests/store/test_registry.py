import dataclasses
import itertools
import threading

import pytest

from forked import die_at
from nearer.core.errors import Conflict, NotFound, WorkspaceError
from nearer.core.results.training import TrainingRecord
from nearer.store.database import open_database
from nearer.store.overview import overview_of
from nearer.store.registered import UNMEASURED, Decision, Model, Reranker, Training
from nearer.store.registry import Registry


@pytest.fixture
def registry(store_address):
    database, ticks = open_database(store_address), itertools.count()
    yield Registry(database, now=lambda: f"2026-01-01T00:00:{next(ticks):02}+00:00")
    database.close()


def model(name):
    return Model(model_id=f"model-{name}", encoder_id=f"enc-{name}", source=name, encoder={"max_seq_length": 64})


def release(registry, name):
    return registry.add_release(model=registry.add_model(model(name)), system={"name": name})


def moving(release, action="promote"):
    return Decision(action=action, model_id=release.model_id)


def promote(registry, release, *, action="promote"):
    live = registry.live()
    expected = live.release_id if live else None
    registry.move_live(moving(release, action), expected=expected, release_id=release.release_id)


def test_a_model_is_entered_once_and_may_move(registry):
    first = registry.add_model(model("a"))
    again = registry.add_model(dataclasses.replace(model("a"), source="elsewhere"))
    assert again == dataclasses.replace(first, source="elsewhere")
    assert registry.models() == [again]
    assert registry.model("model-a").space_id == "enc-a"
    registry.add_model(model("b"))
    with pytest.raises(NotFound, match="model-a, model-b"):
        registry.model("model-c")


def test_releases_are_immutable_and_have_ids_of_their_content(registry, store_address):
    made = release(registry, "a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.model_id = "other"
    assert registry.release(made.release_id) == made
    database = open_database(store_address)
    frozen = Registry(database, now=lambda: made.created_at)
    assert frozen.add_release(model=model("a"), system=made.system) == made
    assert frozen.add_release(model=model("a"), system={"name": "b"}) != made
    database.close()
    with pytest.raises(NotFound):
        registry.release("release-0")


def reranker(name):
    return Reranker(
        reranker_id=f"reranker-{name}",
        cross_encoder_id=f"ce-{name}",
        source=name,
        parent_id="model-a",
    )


def trained(registry, made, *, parent=None, started_at=None, seed=0):
    part_id = made.model_id if isinstance(made, Model) else made.reranker_id
    record = TrainingRecord(recipe={"seed": seed})
    training = Training(verb="train", part_id=part_id, is_improved=True, record=record, started_at=started_at)
    registry.add_training(training, made=made, parent=parent)


def test_a_reranker_is_entered_once_and_is_no_model(registry):
    trained(registry, reranker("a"))
    first = registry.reranker("reranker-a")
    assert first == dataclasses.replace(reranker("a"), created_at=first.created_at)
    trained(registry, reranker("a"), seed=1)
    assert registry.reranker("reranker-a") == first
    assert registry.knows_cross_encoder("ce-a")
    assert not registry.knows_cross_encoder("ce-b")
    trained(registry, reranker("b"))
    assert [each.reranker_id for each in registry.rerankers()] == ["reranker-a", "reranker-b"]
    assert registry.models() == []
    with pytest.raises(NotFound, match="no reranker 'reranker-c'; known: reranker-a, reranker-b") as caught:
        registry.reranker("reranker-c")
    assert "--reranker" in caught.value.hint


def test_releases_are_found_by_what_they_are_made_of(registry):
    plain = release(registry, "a")
    system = {"stages": ["rerank"], "search": {"rerank": {"model": "reranker-a"}}}
    reranked = registry.add_release(model=registry.add_model(model("a")), system=system)
    assert (plain.reranker, reranked.reranker) == (None, "reranker-a")
    assert registry.releases("model-a") == [plain.release_id, reranked.release_id]
    assert registry.releases("reranker-a") == [reranked.release_id]
    assert registry.releases("reranker-b") == []


def test_nothing_is_live_at_first(registry):
    assert registry.live() is None
    assert registry.previous() is None
    assert registry.history() == []


def test_only_one_of_two_racing_promotions_wins(registry):
    first, left, right = (release(registry, name) for name in "abc")
    promote(registry, first)
    barrier, outcomes = threading.Barrier(2), []

    def race(candidate):
        barrier.wait()
        try:
            registry.move_live(moving(candidate), expected=first.release_id, release_id=candidate.release_id)
            outcomes.append(candidate.release_id)
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=race, args=(each,)) for each in (left, right)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(outcomes)[0] == "conflict"
    assert sorted(outcomes)[1] == registry.live().release_id
    assert [event.action for event in registry.history()] == ["promote", "promote"]


@pytest.mark.parametrize("expected", [None, "release-stale"])
def test_a_stale_expectation_moves_and_records_nothing(registry, expected):
    first, second = release(registry, "a"), release(registry, "b")
    promote(registry, first)
    with pytest.raises(Conflict):
        registry.move_live(moving(second), expected=expected, release_id=second.release_id)
    assert registry.live() == first
    assert len(registry.history()) == 1


def test_previous_follows_promotions_and_rollbacks(registry):
    a, b, third = (release(registry, name) for name in "abc")
    promote(registry, a)
    assert registry.previous() is None
    promote(registry, b)
    assert registry.previous() == a
    promote(registry, third)
    assert registry.previous() == b
    promote(registry, b, action="rollback")
    assert registry.previous() == a  # a second rollback goes further back, not forward again
    promote(registry, a, action="rollback")
    assert registry.previous() is None
    promote(registry, third)
    assert registry.previous() == a


def test_an_overview_is_what_the_registry_knows(registry, store_address):
    database, names = open_database(store_address), iter("abcde")

    def shown():
        found = overview_of(database)
        releases = [each and each.release_id for each in (found.live, found.previous)]
        known = [each and each.release_id for each in (registry.live(), registry.previous())]
        assert releases == known
        assert [(e.model_id, e.parent_model_id, e.created_at) for e in found.models] == [
            (e.model_id, e.parent_model_id, e.created_at) for e in registry.models()
        ]
        return found

    assert (shown().live, shown().models) == (None, ())
    for action in ("promote", "promote", "rollback", "promote", "promote"):
        back = registry.previous() if action == "rollback" else release(registry, next(names))
        promote(registry, back, action=action)
        shown()
    registry.add_model(model("made"), parent=model("parent"))
    unmeasured = registry.add_release(model=model("made"), system={UNMEASURED: True, "stages": ["filter", "bm25"]})
    promote(registry, unmeasured)
    live = shown().live
    assert (live.is_unmeasured, live.stages, live.num_documents) == (True, ("filter", "bm25"), 0)
    assert (live.space_id, live.created_at) == (unmeasured.space_id, unmeasured.created_at)
    database.close()


def test_a_refusal_is_history_and_moves_nothing(registry):
    a = release(registry, "a")
    promote(registry, a)
    registry.add_decision(Decision(action="refuse", model_id="model-b", reasons=("worse",)))
    event = registry.history()[-1]
    assert (event.action, event.release_id, event.previous_release_id) == ("refuse", None, a.release_id)
    assert (event.model_id, event.reasons) == ("model-b", ("worse",))
    assert registry.last_decision().reasons == ("worse",)
    assert registry.live() == a


def test_looks_at_test_splits_are_counted_by_split_and_others_are_not(registry):
    def num_test_uses(split):
        return registry.use_test_split(split=split, systems=["base"], purpose="evaluate")["num_test_uses"]

    assert [num_test_uses(split) for split in ("test", "dev", "test", "test-b", "dev")] == [1, None, 2, 1, None]


def test_a_training_is_entered_once_with_what_it_made_and_began_with(registry):
    made = dataclasses.replace(model("b"), parent_model_id="model-a")
    for _ in range(2):
        trained(registry, made, parent=model("a"), started_at="2026-01-01")
    assert registry.model_ids() == ["model-a", "model-b"]
    assert registry.trained_parts() == ["model-b"]
    assert registry.training_of("model-b").recipe == {"seed": 0}
    assert registry.training_of("model-a") is None
    assert registry.last_training(["train"]) == ("model-b", True)
    assert registry.last_training(["adapt"]) is None
    registry.forget(["model-b"])
    assert (registry.model_ids(), registry.trained_parts()) == (["model-a"], [])


def test_lookups_leave_the_records_of_trainings_and_decisions_alone(registry):
    """Nothing but who asks for a record reads it: one that cannot be read is in nobody's way."""
    trained(registry, model("a"))
    promote(registry, release(registry, "a"))
    with registry._database.write() as connection:
        connection.exec_driver_sql("UPDATE trainings SET record = '{'")
        connection.exec_driver_sql("UPDATE decisions SET evaluation = '{', suite = '{'")
    assert [each.model_id for each in registry.models()] == registry.trained_parts() == ["model-a"]
    assert registry.find_model("model-a") == registry.model("model-a")
    assert registry.live().model_id == "model-a"
    assert len(registry.history()) == 1
    with pytest.raises(WorkspaceError):
        registry.training_of("model-a")


def test_the_first_probe_is_kept_for_good(registry):
    assert registry.keep_probe("api-a", b"first") == b"first"
    assert registry.keep_probe("api-a", b"second") == b"first"
    assert registry.keep_probe("api-b", b"other") == b"other"


def test_of_two_first_probes_one_is_kept_for_both(registry, store_address):
    other = Registry(open_database(store_address))
    barrier, kept = threading.Barrier(2), []

    def keep(each, vectors):
        barrier.wait()
        kept.append(each.keep_probe("api-a", vectors))

    threads = [threading.Thread(target=keep, args=pair) for pair in ((registry, b"left"), (other, b"right"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    other._database.close()
    assert len(kept) == 2
    assert len(set(kept)) == 1


def go_live(path):
    """Everything that makes a model live, as far as it is not done."""
    database = open_database(path)
    registry = Registry(database)
    kept = registry.keep_probe("api-a", b"first")
    made = registry.add_model(model("a"))
    if registry.live() is None:
        made_release = registry.add_release(model=made, system={})
        registry.move_live(moving(made_release), expected=None, release_id=made_release.release_id)
    seen = kept, registry.live().model_id, len(registry.history())
    database.close()
    return seen


@pytest.mark.parametrize(
    ("step", "models", "releases", "live"),
    [
        ("registry.probe", 0, 0, False),
        ("registry.model", 1, 0, False),
        ("registry.release", 1, 1, False),
        ("registry.pointer", 1, 1, True),
    ],
)
def test_a_process_killed_after_a_step_has_done_it_and_can_be_repeated(store_address, step, models, releases, live):
    die_at(step, go_live, store_address)
    database = open_database(store_address)
    registry = Registry(database)
    assert registry.keep_probe("api-a", b"later") == b"first"
    assert len(registry.models()) == models
    assert len(registry.releases("model-a")) == releases
    assert (registry.live() is not None) == live == (len(registry.history()) == 1)
    database.close()
    assert go_live(store_address) == (b"first", "model-a", 1)


def test_entering_a_model_that_is_known_writes_nothing(registry, monkeypatch):
    entered = registry.add_model(model("a"))
    monkeypatch.setattr(registry._database, "write", None)
    assert registry.add_model(model("a")) == entered
