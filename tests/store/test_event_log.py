"""The event log: what was acknowledged is there, once, whatever is killed, torn or full."""

import errno
import random
import threading
import time
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet
import pytest

from forked import SERVER, die_at
from nearer.core.errors import DeadlineExceeded, Overloaded, WorkspaceError
from nearer.store.events import log as writing
from nearer.store.events import reading
from nearer.store.events.forgetting import Forgotten, forget
from nearer.store.events.log import EventLog
from nearer.store.events.reading import EventReader, read_events
from nearer.store.events.records import as_line, as_tables
from nearer.store.events.salt import Salt
from nearer.store.events.segments import OpenFile, framed, open_files, scan, seal
from nearer.store.workspace import Workspace
from store.event_writers import NOON, event, impression, make_salt, write_for_ever, write_some


def opened(folder, **options):
    return EventLog(folder / "events", locks=folder / "locks", **options)


def ids(folder):
    return read_events(folder / "events").events["event_id"].to_pylist()


def files(folder):
    return sorted(path.name.split(".", 1)[1] for path in (folder / "events").glob("*.*"))


def test_records_come_back_as_they_were(tmp_path):
    shown = impression(query="Überall 雨", propensities=(0.5, 0.25, 1.0))
    done = event(dwell_s=1.5, value=4.0, details='{"x":1}', at=NOON + timedelta(microseconds=7), ordinal=None)
    log = opened(tmp_path)
    log.add([shown])
    log.commit([done])
    for _ in ("while it is written", "once it is sealed"):
        found = read_events(tmp_path / "events")
        [row] = found.impressions.to_pylist()
        assert {**row, "doc_ids": tuple(row["doc_ids"])}["doc_ids"] == shown.doc_ids
        assert (row["query"], row["at"], row["propensities"]) == (shown.query, NOON, [0.5, 0.25, 1.0])
        [row] = found.events.to_pylist()
        assert row == {name: getattr(done, name) for name in row}
        log.close()
    assert files(tmp_path) == ["events.parquet", "impressions.parquet"]


def test_files_of_before_lack_columns_and_are_read(tmp_path):
    folder = tmp_path / "events/import-1"
    folder.mkdir(parents=True)
    shown = as_tables([as_line(impression())])["impressions"].drop_columns(["took_ms", "source"])
    pa.parquet.write_table(shown, folder / "impressions.parquet")
    [row] = read_events(tmp_path / "events").impressions.to_pylist()
    assert (row["query_id"], row["took_ms"], row["source"]) == ("query-1", None, None)


def test_what_nobody_waits_for_is_written_within_the_wait(tmp_path):
    log = opened(tmp_path)
    log.add([impression()])
    deadline = time.monotonic() + 5
    while not read_events(tmp_path / "events").impressions.num_rows:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    log.close()


def test_many_threads_share_a_sync(tmp_path, monkeypatch):
    syncs, append = [], OpenFile.append

    def slow(self, data):
        syncs.append(data.count(b"\n"))
        time.sleep(0.02)
        append(self, data)

    monkeypatch.setattr(OpenFile, "append", slow)
    log = opened(tmp_path)
    threads = [threading.Thread(target=log.commit, args=([event(f"e{n}")],)) for n in range(60)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    log.close()
    assert sorted(ids(tmp_path)) == sorted(f"e{n}" for n in range(60))
    assert len(syncs) < 30, "in groups"


def test_a_hundred_wait_for_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "GROUP_WAIT_S", 60.0)
    log = opened(tmp_path)
    log.add([impression(f"q{n}") for n in range(99)])
    time.sleep(0.1)
    assert not open_files(tmp_path / "events")
    log.add([impression("q99")])
    until = time.monotonic() + 5
    while not open_files(tmp_path / "events"):
        assert time.monotonic() < until
        time.sleep(0.005)
    log.close()
    assert read_events(tmp_path / "events").impressions.num_rows == 100


def test_an_event_sent_again_counts_once(tmp_path):
    for _ in range(2):  # in two files
        log = opened(tmp_path)
        log.commit([event("e1"), event("e2"), event("e1", action="buy")])
        log.close()
    found = read_events(tmp_path / "events")
    assert [(row["event_id"], row["action"]) for row in found.events.to_pylist()] == [("e1", "click"), ("e2", "click")]
    assert found.num_repeated == 4


def test_an_hour_that_is_over_is_sealed_while_the_next_is_written(tmp_path):
    now = [NOON]
    log = opened(tmp_path, now=lambda: now[0])
    log.commit([event("e1")])
    now[0] += timedelta(hours=1)
    log.commit([event("e2")])
    until = time.monotonic() + 5
    while files(tmp_path) != ["events.parquet", "log"]:
        assert time.monotonic() < until, files(tmp_path)
        time.sleep(0.01)
    assert ids(tmp_path) == ["e1", "e2"]
    log.close()
    assert files(tmp_path) == ["events.parquet", "events.parquet"]


def test_a_large_file_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_MOST_BYTES", 500)
    log = opened(tmp_path)
    for number in range(6):
        log.commit([event(f"e{number}")])
    log.close()
    assert len(files(tmp_path)) >= 2
    assert sorted(ids(tmp_path)) == [f"e{number}" for number in range(6)]


@pytest.mark.parametrize("step", ["events.written", "events.sealed"])
def test_killed_at_a_step_and_done_again(tmp_path, step):
    die_at(step, write_some, tmp_path)
    before = read_events(tmp_path / "events")
    assert (before.impressions.num_rows, before.events.num_rows) == (1, 3)
    write_some(tmp_path)  # the client sends again what was not acknowledged; what was left is sealed
    after = read_events(tmp_path / "events")
    assert (after.impressions.num_rows, after.events.num_rows, after.num_repeated) == (1, 3, 3)
    assert not list((tmp_path / "events").glob("*.log"))
    assert not list((tmp_path / "events").glob(".tmp*"))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_at_any_time_nothing_acknowledged_is_lost(tmp_path):
    rng, acknowledged = random.Random(0), tmp_path / "acknowledged"
    for _ in range(5):
        writers = [SERVER.Process(target=write_for_ever, args=(tmp_path, acknowledged)) for _ in range(2)]
        for each in writers:
            each.start()
        time.sleep(1 + rng.uniform(0.05, 0.5))
        for each in writers:
            each.kill()
            each.join()
        found, wanted = ids(tmp_path), set(acknowledged.read_text().split())
        assert wanted
        assert wanted <= set(found)
        assert len(found) == len(set(found))
    opened(tmp_path).close()
    assert not open_files(tmp_path / "events"), "what they left is sealed"
    assert set(acknowledged.read_text().split()) <= set(ids(tmp_path))


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_torn_end_is_repaired_and_said(tmp_path, caplog, cut):
    folder = tmp_path / "events"
    folder.mkdir()
    path = folder / f"2026-11-30T12-{'0' * 32}-{'1' * 8}.log"
    path.write_bytes(framed([as_line(event("e1")), as_line(event("e2"))])[:-cut])
    assert read_events(folder).num_torn_bytes > 0
    assert ids(tmp_path) == ["e1"]
    opened(tmp_path).close()
    assert "were never acknowledged" in caplog.text
    assert ids(tmp_path) == ["e1"]
    assert files(tmp_path) == ["events.parquet"]


def test_a_damaged_line_stays_aside(tmp_path, caplog):
    folder = tmp_path / "events"
    folder.mkdir()
    path = folder / f"2026-11-30T12-{'0' * 32}-{'1' * 8}.log"
    lines = framed([as_line(event(f"e{number}")) for number in range(3)]).splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"click", b"clack") + lines[2])
    for _ in range(2):
        found = read_events(folder)
        assert (found.events["event_id"].to_pylist(), found.num_damaged) == (["e0", "e2"], 1)
        opened(tmp_path).close()
    assert "damaged" in caplog.text
    assert files(tmp_path) == ["damaged", "events.parquet"]


def test_any_bytes_are_scanned():
    rng = random.Random(0)
    lines = [as_line(event(f"e{number}")) for number in range(4)]
    whole = framed(lines)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = bytes(data[: rng.randrange(len(data) + 1)])
        found = scan(data)
        assert set(found.lines) <= set(lines)
        kept = sum(len(framed([line])) for line in found.lines)
        assert kept + found.num_torn_bytes <= len(data)


def test_a_live_process_s_file_is_left_alone(tmp_path):
    log = opened(tmp_path)
    log.commit([event("e1")])
    opened(tmp_path).close()
    assert files(tmp_path) == ["log"]
    log.commit([event("e2")])
    log.close()
    assert ids(tmp_path) == ["e1", "e2"]


def test_a_full_disk_is_told_and_the_next_file_goes_on(tmp_path, monkeypatch):
    lost, append = [], OpenFile.append

    def full(self, data):
        append(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    log = opened(tmp_path, lost=lost.append)
    log.commit([event("e1")])
    with monkeypatch.context() as patch:
        patch.setattr(OpenFile, "append", full)
        log.add([impression()])
        with pytest.raises(WorkspaceError, match="cannot be written"):
            log.commit([event("e2")])
    log.commit([event("e3")])
    log.close()
    assert sum(lost) == 1
    assert sorted(ids(tmp_path)) == ["e1", "e3"]


def test_too_much_is_refused_and_lateness_told(tmp_path, monkeypatch):
    lost, may, append = [], threading.Event(), OpenFile.append

    def slow(self, data):
        assert may.wait(20)
        append(self, data)

    monkeypatch.setattr(OpenFile, "append", slow)
    monkeypatch.setattr(writing, "_MOST_WAITING", 2)
    log = opened(tmp_path, lost=lost.append)
    with pytest.raises(DeadlineExceeded):
        log.commit([event("e0")], deadline=time.monotonic() + 0.05)
    log.add([impression("q1"), impression("q2")])
    with pytest.raises(Overloaded):
        log.commit([event("e1")])
    log.add([impression("q3")])
    assert lost == [1]
    may.set()
    log.close()
    assert ids(tmp_path) == ["e0"]
    with pytest.raises(Overloaded):
        log.commit([event("e2")])


def test_one_reads_while_others_seal(tmp_path, monkeypatch):
    write_some(tmp_path)
    folder = tmp_path / "events"
    path = folder / f"2026-11-30T13-{'0' * 32}-{'1' * 8}.log"
    path.write_bytes(framed([as_line(event("late"))]))
    read = reading.read_file

    def sealed_meanwhile(each):
        if each == path:
            seal(path)
        return read(each)

    monkeypatch.setattr(reading, "read_file", sealed_meanwhile)
    assert "late" in ids(tmp_path)


def test_all_processes_have_one_salt(tmp_path):
    made = SERVER.Queue()
    processes = [SERVER.Process(target=make_salt, args=(tmp_path, made)) for _ in range(4)]
    for each in processes:
        each.start()
    assert len({made.get(timeout=60) for _ in processes}) == 1
    for each in processes:
        each.join()
    assert [path.name for path in (tmp_path / "events").iterdir()] == ["salt"]
    assert (tmp_path / "events/salt").stat().st_mode & 0o777 == 0o600


def test_a_salt_hides_people_and_knows_its_query_ids(tmp_path):
    salt, other = Salt.open(tmp_path), Salt.passing()
    assert salt.hashed("ann") == Salt.open(tmp_path).hashed("ann") != other.hashed("ann")
    assert salt.hashed("") == salt.hashed(None) == ""
    query_id = salt.new_query_id()
    assert salt.gave(query_id)
    strange = ["", "query-", "query-1", query_id[:-1], f"{query_id}0", query_id.upper(), "é" * 38, other.new_query_id()]
    assert not any(map(salt.gave, strange))
    (tmp_path / "salt").write_bytes(b"short")
    with pytest.raises(WorkspaceError, match="damaged"):
        Salt.open(tmp_path)


def test_the_workspace_names_the_folder(tmp_path):
    with Workspace.init(tmp_path / "shop") as workspace:
        assert workspace.events == tmp_path / "shop/.nearer/events"


def test_the_newest_are_of_all_who_write_and_of_the_last_hour_where_nobody_does(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_TAIL_BYTES", 4000)

    def newest(number):
        return reading.read_newest(tmp_path / "events", num_impressions=number)["impressions"]

    logs = [opened(tmp_path), opened(tmp_path)]
    for number in range(60):
        logs[number % 2].add([impression(query_id=f"q{number}")])
    for log in logs:
        log.commit([event()])
    found = set(newest(40)["query_id"].to_pylist())
    assert {"q58", "q59"} <= found < {f"q{number}" for number in range(60)}, "the ends alone are read"
    for log in logs:
        log.close()
    assert (newest(30).num_rows, newest(31).num_rows) == (30, 60), "of sealed files as many as are wanted"


def as_rows(logged):
    return logged.impressions.to_pylist(), logged.events.to_pylist(), logged.num_repeated, logged.num_damaged


def test_a_reader_reads_what_is_new_alone(tmp_path):
    log, folder = opened(tmp_path), tmp_path / "events"
    reader = EventReader(folder)
    log.commit([impression(f"q{n}") for n in range(50)])
    first = reader.read()
    before = reader.num_read_bytes
    assert before == sum(path.stat().st_size for path in folder.glob("*.log"))
    assert reader.read() is first
    assert reader.num_read_bytes == before, "nothing is new"
    log.commit([event("e1", query_id="q1")])
    assert reader.read().events["event_id"].to_pylist() == ["e1"]
    assert 0 < reader.num_read_bytes - before < before / 10, "the new line alone"
    log.close()
    assert as_rows(reader.read()) == as_rows(read_events(folder))
    before = reader.num_read_bytes
    reader.read()
    assert reader.num_read_bytes == before, "what is sealed is read once"
    later = opened(tmp_path)
    later.commit([event("e2", query_id="q2"), event("e1", query_id="q1")])
    assert as_rows(reader.read()) == as_rows(read_events(folder))
    assert reader.read().num_repeated == 1
    later.close()


def test_a_reader_waits_for_a_line_that_is_being_written_and_counts_what_is_damaged(tmp_path):
    log, folder = opened(tmp_path), tmp_path / "events"
    log.commit([event("e1")])
    [path] = open_files(folder)
    reader, line = EventReader(folder), framed([as_line(event("e2"))])
    assert reader.read().num_torn_bytes == 0
    with path.open("ab") as file:
        file.write(line[:20])
    assert reader.read().num_torn_bytes == 20
    with path.open("ab") as file:
        file.write(b"!!!\n" + line)
    found = reader.read()
    assert (found.events["event_id"].to_pylist(), found.num_torn_bytes, found.num_damaged) == (["e1", "e2"], 0, 1)
    assert as_rows(found) == as_rows(read_events(folder))
    log.close()
    assert reader.read().num_damaged == 1, "it lies aside, and is told"


def test_a_reader_sees_who_was_forgotten_and_lets_go(tmp_path):
    now = [0.0]
    log, folder = opened(tmp_path), tmp_path / "events"
    log.commit([impression("q1", user="ann"), impression("q2", user="bob")])
    log.close()
    reader = EventReader(folder, clock=lambda: now[0])
    assert reader.read().impressions["query_id"].to_pylist() == ["q1", "q2"]
    forget(folder, Forgotten(person="ann", before=2**60, query_ids=("q1",)), is_written=False)
    assert reader.read().impressions["query_id"].to_pylist() == ["q2"]
    before, now[0] = reader.num_read_bytes, 100.0
    reader.let_go(unread_s=200.0)
    reader.read()
    assert reader.num_read_bytes == before
    now[0] = 400.0
    reader.let_go(unread_s=200.0)
    assert reader.read().impressions.num_rows == 1
    assert reader.num_read_bytes > before, "it had let go of the records"
