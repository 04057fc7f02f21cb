"""Two folders of one workspace share what they sealed of the event log: in PostgreSQL, and in object storage."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

import nearer as package
from forked import die_apart_at
from nearer.core.errors import ServiceError, WorkspaceError
from nearer.flows.events import event_counts
from nearer.flows.forget import forget_user
from nearer.store.events.log import EventLog
from nearer.store.events.reading import read_events
from nearer.store.events.salt import Salt
from nearer.store.events.sharing import DatabasePlace, event_folder, shared_place
from nearer.store.workspace import Workspace
from store.event_writers import event, forget_one, impression

PLACES = ["postgres", "s3"]


@pytest.fixture(params=PLACES)
def two(request, make_workspace, tmp_path):
    """Two open workspaces of one team, each in its folder, and the names of what the first has shown and heard."""
    store = {"postgres": ("url", "postgres_store"), "s3": ("files", "s3")}[request.param]
    workspace = make_workspace({"store": {store[0]: request.getfixturevalue(store[1])}}, name="first")
    Salt.open(workspace.events)
    workspace.close()
    other = shutil.copytree(workspace.folder, tmp_path / "other")
    with Workspace.open(workspace.folder) as first, Workspace.open(other) as second:
        yield first, second


def log(workspace, *numbers, user="ann", at=None):
    """Searches and clicks of these numbers, sealed."""
    person, at = Salt.open(workspace.events).hashed(user), at or datetime.now(UTC)
    written = EventLog(workspace.events, locks=workspace.locks)
    for number in numbers:
        query_id = f"query-{number}"
        asked = impression(query_id, user=person, at=at)
        written.commit([asked, event(f"event-{number}", query_id=query_id, user=person, received_at=at, at=at)])
    written.close()


def held(folder):
    found = read_events(folder)
    return set(found.impressions["query_id"].to_pylist()), set(found.events["event_id"].to_pylist())


def test_each_has_what_the_other_sealed_once(two):
    first, second = two
    log(first, 1, 2)
    log(second, 3)
    assert len(held(event_folder(first))[0]) == 2, "the other has given nothing yet"
    assert len(held(event_folder(second))[0]) == 3
    assert held(event_folder(first)) == held(event_folder(second))
    before = {entry for entry in shared_place(first).entries() if "parquet" in entry.name}
    assert len(before) == 4
    assert held(event_folder(first)) == held(second.events)
    assert {entry for entry in shared_place(first).entries() if "parquet" in entry.name} == before
    assert event_counts(second).num_impressions == 3


def test_what_is_being_written_waits_until_it_is_sealed(two):
    first, second = two
    written = EventLog(first.events, locks=first.locks)
    written.commit([impression()])
    event_folder(first)
    assert held(event_folder(second))[0] == set()
    written.close()
    event_folder(first)
    assert len(held(event_folder(second))[0]) == 1


def test_who_is_forgotten_in_one_folder_goes_from_all_and_from_the_place(two):
    first, second = two
    log(first, 1, user="ann")
    log(first, 2, user="bob")
    log(second, 3, user="ann")
    event_folder(first)
    event_folder(second)
    name = Salt.open(first.events).hashed("ann").encode()
    done = forget_user(second, "ann")
    assert (done.num_impressions, done.num_events) == (2, 2)
    assert len(held(event_folder(first))[0]) == 1
    place = shared_place(first)
    contents = [place.get(each) for each in place.entries() if each.name.endswith(".parquet")]
    assert len(contents) == 6
    assert not any(name in content for content in contents)
    for workspace in two:
        files = [path for path in workspace.events.rglob("*.parquet") if name in path.read_bytes()]
        assert files == []


def test_a_folder_that_was_away_forgets_before_it_gives(two):
    first, second = two
    log(first, 1, user="ann")
    event_folder(first)
    log(second, 2, user="ann")  # and is switched off
    stale = shutil.copytree(first.folder, first.folder.with_name("from a backup"))
    forget_user(first, "ann")
    assert held(event_folder(second)) == (set(), set())
    with Workspace.open(stale) as restored:
        assert held(event_folder(restored)) == (set(), set())
    assert held(event_folder(first)) == (set(), set())
    name = Salt.open(first.events).hashed("ann").encode()
    place = shared_place(first)
    assert not any(name in place.get(each) for each in place.entries() if each.name.endswith(".parquet"))


def test_what_is_forgotten_is_not_entered_when_it_is_sealed_later(two):
    first, second = two
    log(second, 9, user="bob")
    person = Salt.open(first.events).hashed("ann")
    written = EventLog(first.events, locks=first.locks)
    written.commit([impression("query-1", user=person), impression("query-2", user="bob")])
    forget_user(second, "ann")
    event_folder(first)
    written.close()
    assert len(held(event_folder(first))[0]) == 2
    assert len(held(event_folder(second))[0]) == 2


def test_what_is_too_old_goes_from_all(two):
    first, second = two
    log(first, 1, at=datetime.now(UTC) - timedelta(days=40))
    log(first, 2)
    event_folder(first)
    event_folder(second)
    kept = second.with_values({"events.keep_days": 30})
    assert event_counts(kept).num_impressions == 1
    assert len(held(event_folder(first))[0]) == 1


def test_another_salt_is_refused_and_nothing_is_mixed(two):
    first, second = two
    log(first, 1)
    event_folder(first)
    salt = second.events / "salt"
    salt.write_bytes(bytes(32))
    log(second, 2)
    with pytest.raises(WorkspaceError, match="another salt") as error:
        event_folder(second)
    assert str(salt) in error.value.hint
    assert len(held(event_folder(first))[0]) == 1
    salt.write_bytes((first.events / "salt").read_bytes())
    assert len(held(event_folder(second))[0]) == 2


def test_a_file_that_was_changed_there_is_refused(two):
    first, second = two
    log(first, 1)
    event_folder(first)
    place = shared_place(first)
    entry = next(each for each in place.entries() if each.name.endswith("events.parquet"))
    content = place.get(entry)
    place.remove(entry)
    place.put(entry, content[:-9] + b"x" + content[-8:])
    with pytest.raises(ServiceError, match="is not what was put there"):
        event_folder(second)
    assert not [path for path in second.events.rglob("*.parquet") if path.read_bytes() != content and "x" in path.name]
    place.remove(entry)
    event_folder(first)
    assert len(held(event_folder(second))[1]) == 1


def test_names_that_are_no_files_of_a_log_are_left_alone(two):
    first, second = two
    place = shared_place(first)
    log(first, 1)
    event_folder(first)
    entry = next(each for each in place.entries() if each.name.endswith("events.parquet"))
    outside = "../../outside.parquet" if isinstance(place, DatabasePlace) else "outside.parquet"  # S3 has no such names
    for name in (outside, "import-x/events.parquet", "notes.txt"):
        place.put(type(entry)(name=name, sha256=entry.sha256), place.get(entry))
    event_folder(second)
    assert not (second.folder / "outside.parquet").exists()
    assert {path.name for path in second.events.iterdir() if path.is_file()} == {
        path.name for path in first.events.iterdir() if path.is_file()
    }


@pytest.mark.parametrize("failpoint", ["events.noted", "events.shared"])
@pytest.mark.parametrize("two", ["postgres"], indirect=True)  # a process of its own knows no other credentials
def test_killed_between_here_and_there_the_next_time_makes_up_for_it(two, failpoint):
    first, second = two
    log(first, 1, user="ann")
    log(second, 2, user="bob")
    event_folder(first)
    event_folder(second)
    die_apart_at(failpoint, forget_one, second.folder, "ann")
    forget_user(second, "ann")
    assert len(held(event_folder(first))[0]) == 1
    assert len(held(event_folder(second))[0]) == 1
    assert len({each.name for each in shared_place(first).entries()}) == len(shared_place(first).entries())


def test_a_copy_of_the_store_and_a_backup_have_what_others_sealed(two, tmp_path):
    first, second = two
    log(first, 1)
    log(second, 2)
    event_folder(first)
    package.backup(second, tmp_path / "all.zip")
    restored = package.restore(tmp_path / "all.zip", tmp_path / "restored")
    assert restored
    assert len(held(tmp_path / "restored" / ".nearer" / "events")[0]) == 2


def test_without_a_place_nothing_is_written(make_workspace):
    workspace = make_workspace()
    assert shared_place(workspace) is None
    assert event_folder(workspace) == workspace.events
    assert not workspace.events.exists()
