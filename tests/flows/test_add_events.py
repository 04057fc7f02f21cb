"""Logs of what users did, imported: both shapes, each fault of a row, what is kept apart, and once however often."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from forked import die_at
from nearer.core.errors import ImportFaults, InputError, RecipeError
from nearer.core.recipe import as_toml
from nearer.core.records import Document
from nearer.flows.add import add
from nearer.flows.documents import put
from nearer.flows.events import event_counts
from nearer.store.events.reading import read_events
from nearer.store.workspace import Workspace

HEADER = "session,query,doc,position,clicked"
ROWS = """s1,rain,a,1,0
s1,rain,b,2,1
s1,rain,c,3,0
s2,rain,a,1,1
s2,rain,b,2,0
s2,sun,c,1,0"""


def make(folder, **events):
    Workspace.init(folder, recipe={"events": events} if events else {}).close()
    with Workspace.open(folder) as workspace:
        put(workspace, [Document(doc_id=each, text=f"a text of {each}") for each in "abcdefgh"])
    return folder


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "shop")


def imported(folder, name, text, **options):
    path = folder.parent / name
    path.write_text(text, encoding="utf-8")
    with Workspace.open(folder) as workspace:
        return add(workspace, "events", path, **options)


def held(folder):
    with Workspace.open(folder) as workspace:
        return read_events(workspace.events)


def counts(folder):
    with Workspace.open(folder) as workspace:
        return event_counts(workspace)


def test_a_table_becomes_impressions_and_events(folder):
    done = imported(folder, "log.csv", f"{HEADER}\n{ROWS}\n")
    assert (done.changes["impressions"].num_added, done.changes["events"].num_added) == (3, 2)
    assert done.apart == {}
    assert "positions count from 1" in done.notes
    rows = {(row["query"], tuple(row["doc_ids"])) for row in held(folder).impressions.to_pylist()}
    assert rows == {("rain", ("a", "b", "c")), ("rain", ("a", "b")), ("sun", ("c",))}
    assert {(row["doc_id"], row["ordinal"]) for row in held(folder).events.to_pylist()} == {("b", 2), ("a", 1)}
    assert "s1" not in str(held(folder).events.to_pylist()), "sessions are hashed"
    again = imported(folder, "log.csv", f"{HEADER}\n{ROWS}\n")
    assert (again.changes["impressions"].num_added, again.changes["events"].num_added) == (0, 0)
    more = imported(folder, "more.csv", f"{HEADER}\n{ROWS}\ns9,rain,a,1,1\n")
    assert (more.changes["impressions"].num_added, more.changes["events"].num_added) == (1, 1)
    assert counts(folder).num_events == 3


@pytest.mark.parametrize("name", ["log.tsv", "log.jsonl", "log.parquet"])
def test_every_format_says_the_same(folder, name):
    rows = [dict(zip(HEADER.split(","), row.split(","), strict=True)) for row in ROWS.splitlines()]
    typed = [{**row, "position": int(row["position"]), "clicked": row["clicked"] == "1"} for row in rows]
    if name.endswith("parquet"):
        pa.parquet.write_table(pa.Table.from_pylist(typed), folder.parent / name)
        with Workspace.open(folder) as workspace:
            add(workspace, "events", folder.parent / name)
    elif name.endswith("tsv"):
        imported(folder, name, f"{HEADER}\n{ROWS}\n".replace(",", "\t"))
    else:
        imported(folder, name, "".join(json.dumps(row) + "\n" for row in typed))
    before = held(folder)
    imported(folder, "log.csv", f"{HEADER}\n{ROWS}\n")
    assert held(folder).impressions.num_rows == before.impressions.num_rows == 3
    assert held(folder).events.num_rows == before.events.num_rows == 2


def test_columns_are_mapped_by_the_recipe(tmp_path):
    folder = make(tmp_path / "shop", columns={"session": "visit", "doc": "item", "ranker": "engine", "dwell_s": "read"})
    text = "visit,query,item,position,clicked,engine,read,user,propensity,action\n1,rain,a,0,yes,old,4.5,ann,0.5,save\n"
    imported(folder, "log.csv", text)
    [shown], [done] = held(folder).impressions.to_pylist(), held(folder).events.to_pylist()
    assert (shown["arm"], shown["ordinals"], shown["propensities"]) == ("old", [1], [0.5])
    assert (done["action"], done["dwell_s"], done["ordinal"]) == ("save", 4.5, 1)
    assert shown["user"] == done["user"] != "ann"
    with pytest.raises(InputError, match="no column 'visit'"):
        imported(folder, "other.csv", f"{HEADER}\n{ROWS}\n")


def test_ranks_from_0_or_1_are_settled_per_file(folder, tmp_path):
    split = [each.split(",") for each in ROWS.splitlines()]
    zero = "\n".join(",".join([s, q, d, str(int(p) - 1), c]) for s, q, d, p, c in split)
    done = imported(folder, "zero.csv", f"{HEADER}\n{zero}\n")
    assert "positions count from 0" in done.notes
    assert all(row["ordinals"][0] == 1 for row in held(folder).impressions.to_pylist())
    mixed = f"{HEADER}\n{ROWS}\ns7,sun,d,0,1\n"
    with pytest.raises(InputError, match="1 lists start at position 0 and 3 at 1"):
        imported(folder, "mixed.csv", mixed)
    said = make(tmp_path / "said", first_rank=0)
    imported(said, "mixed.csv", mixed)
    assert {row["ordinals"][0] for row in held(said).impressions.to_pylist()} == {1, 2}
    one = make(tmp_path / "one", first_rank=1)
    with pytest.raises(InputError, match="positions from 0, and first_rank is 1"):
        imported(one, "mixed.csv", mixed)


FAULTS = {
    ",rain,a,1,0": "no session",
    "s8,,a,1,0": "no query",
    "s8,rain,,1,0": "no doc",
    "s8,rain,a,,0": "no position",
    "s8,rain,a,x,0": "the position is no number",
    "s8,rain,a,1.5,0": "the position is no whole number",
    "s8,rain,a,-1,0": "the position is no whole number",
    "s8,rain,a,1001,0": "the position is no whole number",
    "s8,rain,a,1,maybe": "clicked is neither",
    "s8,rain,a,1,0,yesterday": "the time cannot be read",
    "s8,rain,a,1,0,,2": "the propensity is not above 0",
    "s8,rain,a,1,0,,0": "the propensity is not above 0",
    "s8,rain,a,1,0,,,-3": "dwell_s is below 0",
    "s8,rain,a,1,0,,,nan": "the dwell_s is no number",
}


@pytest.mark.parametrize(("row", "said"), FAULTS.items())
def test_every_fault_is_listed_and_nothing_imported(folder, row, said):
    full = f"{HEADER},time,propensity,dwell_s\n"
    fill = lambda text: text + "," * (7 - text.count(","))  # noqa: E731
    text = full + "".join(f"{fill(each)}\n" for each in [*ROWS.splitlines(), row])
    with pytest.raises(ImportFaults) as raised:
        imported(folder, "log.csv", text)
    assert raised.value.log.num_faults == 1
    [fault] = raised.value.log.kept
    assert fault.reason.startswith(said)
    assert fault.line == 8
    assert held(folder).impressions.num_rows == 0
    done = imported(folder, "log.csv", text, skip_bad=True)
    assert (done.num_skipped, done.changes["events"].num_added) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Empty|no column|empty"),
        ("session,query,doc,position\na,b,c,1\n", "no column clicked"),
        (f"{HEADER}\ns,q,a,1,0\ns,q,b,1,0\n", "two documents at one position"),
        (f"{HEADER}\ns,q,a,1\n", "columns"),
        (f"{HEADER},doc\ns,q,a,1,0,b\n", "a column is there twice"),
    ],
)
def test_what_is_no_log_is_refused(folder, text, said):
    with pytest.raises(InputError, match=said):
        imported(folder, "log.csv", text)
    assert held(folder).impressions.num_rows == 0


def test_a_file_of_a_header_alone_brings_nothing(folder):
    assert imported(folder, "log.csv", f"{HEADER}\n").changes["events"].num_added == 0


def test_what_cannot_be_believed_is_kept_apart_with_counts(folder):
    text = f"{HEADER},time,user\n" + "".join(
        f"{row}\n"
        for row in [
            "s1,rain,a,1,0,2026-01-01T10:00:00Z,u1",
            "s1,rain,b,2,1,2026-01-01T10:00:09Z,u1",
            "s1,rain,b,2,1,2026-01-01T10:00:12Z,u1",  # repeated
            "s1,rain,c,,1,2026-01-01T10:00:15Z,u1",  # not shown
            "s1,rain,zzz,3,1,2026-01-01T10:00:15Z,u1",  # unknown
            "s2,rain,a,1,1,2026-01-01T09:59:00Z,u2",  # before the impression
            "s2,rain,b,2,0,2026-01-01T10:00:00Z,u2",
        ]
    )
    done = imported(folder, "log.csv", text)
    wanted = {"no such document": 1, "not shown": 1, "before the impression": 1, "repeated": 1}
    assert done.apart == wanted
    assert counts(folder).apart == wanted
    assert counts(folder).num_events == 1


def machine(user, *, number, every_s, dwell=""):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for each in range(number):
        shown = start + timedelta(seconds=each * every_s)
        yield f"{user}-{each},rain,a,1,0,{shown.isoformat()},{user},\n"
        yield f"{user}-{each},rain,a,1,1,{(shown + timedelta(seconds=every_s / 2)).isoformat()},{user},{dwell}\n"


@pytest.mark.parametrize(
    ("options", "is_machine"),
    [
        ({"number": 40, "every_s": 0.5}, True),
        ({"number": 40, "every_s": 1.5}, True),
        ({"number": 6, "every_s": 0.1}, True),
        ({"number": 40, "every_s": 60}, False),
        ({"number": 40, "every_s": 60, "dwell": 0}, True),
        ({"number": 40, "every_s": 60, "dwell": 12}, False),
        ({"number": 5, "every_s": 60, "dwell": 0}, False),
    ],
)
def test_machines_are_kept_apart(folder, options, is_machine):
    people = "".join(machine("ann", number=3, every_s=90, dwell=20))
    done = imported(folder, "log.csv", f"{HEADER},time,user,dwell_s\n{people}{''.join(machine('bot', **options))}")
    assert done.apart == ({"machine": options["number"]} if is_machine else {})


def query(query_id, hits=("a", "b", "c"), **more):
    found = {"query_response_hit_ids": list(hits)} if hits else {}
    return {
        "query_id": query_id,
        "user_query": "rain",
        "client_id": "ann",
        "timestamp": "2026-01-01T10:00:00Z",
        **found,
    } | more


def did(query_id, doc, ordinal=None, **more):
    place = {} if ordinal is None else {"position": {"ordinal": ordinal}}
    attributes = {"object": {"object_id": doc}, **place}
    made = {"action_name": "click", "query_id": query_id, "client_id": "ann", "timestamp": "2026-01-01T10:00:05Z"}
    return {**made, "event_attributes": attributes, **more}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_ubi_queries_and_events(folder):
    text = lines(
        query("q1"),
        did("q1", "b", 2, event_attributes={"object": {"object_id": "b"}, "position": {"ordinal": 2}, "dwell_s": 3}),
        did("q1", "b", 2, timestamp="2026-01-01T10:00:09Z"),
        did("q1", "h", 9),
        did("q9", "a", 1),
        did("q1", "a", 1, timestamp="2025-01-01T10:00:00Z"),
        {"action_name": "login", "timestamp": "2026-01-01T10:00:09Z"},
        {"_index": "ubi_events", "_id": "x", "_source": did("q1", "c", 3, action_name="purchase")},
    )
    done = imported(folder, "ubi.jsonl", text)
    assert (done.changes["impressions"].num_added, done.changes["events"].num_added) == (1, 7)
    assert done.apart == {
        "no query": 1,
        "no impression": 1,
        "not shown": 1,
        "before the impression": 1,
        "repeated": 1,
    }
    assert counts(folder).by_action == {"click": 1, "purchase": 1}
    assert imported(folder, "ubi.jsonl", text).changes["events"].num_added == 0
    with_queries = imported(folder, "late.jsonl", lines(query("q9")))
    assert with_queries.changes["impressions"].num_added == 1
    assert "no impression" not in counts(folder).apart, "a query that comes later"


def test_ubi_without_hits_is_what_was_seen(folder):
    rows = [query("q1", hits=())]
    rows += [did("q1", doc, place, action_name="impression") for place, doc in enumerate("abc")]
    done = imported(folder, "ubi.jsonl", lines(*rows, did("q1", "b", 1)))
    assert "positions count from 0" in done.notes
    [shown] = held(folder).impressions.to_pylist()
    assert (shown["doc_ids"], shown["ordinals"]) == (["a", "b", "c"], [1, 2, 3])
    assert held(folder).events["ordinal"].to_pylist() == [2]
    with pytest.raises(InputError, match="nobody knows what 1 means"):
        imported(folder, "mixed.jsonl", lines(query("q5"), query("q6"), did("q5", "a", 0), did("q6", "a", 1)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "neither a query nor an event"),
        ('{"x": 1}', "neither a query nor an event"),
        ('{"action_name": 7.5}', "action_name is no text"),
        ('{"action_name": ""}', "without action_name"),
        ('{"action_name": "click", "timestamp": "soon"}', "the timestamp cannot be read"),
        ('{"action_name": "click", "event_attributes": 3}', "event_attributes is no object"),
        ('{"action_name": "click", "event_attributes": {"position": {"ordinal": "x"}}}', "ordinal is no number"),
        ('{"action_name": "click", "event_attributes": {"position": {"ordinal": 1.5}}}', "ordinal is no whole number"),
        ('{"action_name": "click", "event_attributes": {"dwell_s": -1}}', "dwell_s is no number from 0"),
        ('{"action_name": "click", "client_id": "\\ud800"}', "half a surrogate pair"),
        ('{"user_query": "rain"}', "a query without query_id"),
        ('{"user_query": "rain", "query_id": "q", "query_response_hit_ids": "a"}', "no list of ids"),
        ("[" * 2000 + "]" * 2000, "not JSON"),
    ],
)
def test_faults_of_ubi(folder, line, said):
    text = lines(query("q1"), did("q1", "b", 2)) + line + "\n"
    with pytest.raises(ImportFaults) as raised:
        imported(folder, "ubi.jsonl", text)
    [fault] = raised.value.log.kept
    assert (said in fault.reason, fault.line) == (True, 3), fault
    assert imported(folder, "ubi.jsonl", text, skip_bad=True).changes["events"].num_added == 1


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-01-01T00:00:01Z", 1),
        ("2026-01-01T00:00:01", 1),
        ("2026-01-01 01:00:01+01:00", 1),
        ("1767225601", 1),
        ("1767225601000", 1),
        ("1767225601000000", 1),
    ],
)
def test_times_as_logs_write_them(folder, text, second):
    imported(folder, "log.csv", f"{HEADER},time\ns,rain,a,1,1,{text}\n")
    [at] = held(folder).impressions["at"].to_pylist()
    assert at.isoformat() == f"2026-01-01T00:00:0{second}+00:00"


def add_log(folder, path):
    with Workspace.open(folder) as workspace:
        add(workspace, "events", Path(path))


@pytest.mark.parametrize("step", ["events.staged", "events.imported"])
def test_killed_and_repeated(folder, step):
    path = folder.parent / "log.csv"
    path.write_text(f"{HEADER}\n{ROWS}\n", encoding="utf-8")
    die_at(step, add_log, folder, path)
    found = held(folder)
    assert (found.impressions.num_rows, found.events.num_rows) in [(0, 0), (3, 2)], "all or nothing"
    add_log(folder, path)
    found = held(folder)
    assert (found.impressions.num_rows, found.events.num_rows, found.num_repeated) == (3, 2, 0)
    assert not list((folder / ".nearer/events").glob(".tmp*"))


def test_the_verb(folder, nearer):
    path = folder.parent / "log.csv"
    path.write_text(f"{HEADER}\n{ROWS}\ns5,rain,zzz,1,1\n", encoding="utf-8")
    shown = nearer("add", "events", str(path), "--dir", str(folder))
    assert shown.exit_code == 0
    assert "kept apart: 1 no such document" in shown.out
    assert nearer("add", "events", str(path), "--make-ids", "--dir", str(folder)).exit_code == 2
    assert nearer("add", "events", str(path.with_name("none.csv")), "--dir", str(folder)).exit_code == 2


def test_a_recipe_that_cannot_work(tmp_path):
    assert "first_rank" in as_toml({"events": {"first_rank": 0}})
    with pytest.raises(RecipeError, match="first_rank"):
        make(tmp_path / "shop", first_rank=2)
