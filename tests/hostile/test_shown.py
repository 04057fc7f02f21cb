"""Hostile texts and ids that are legal: they are kept as they are, name no file, and are shown without being obeyed."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from hostile.case import WORKSPACE
from hostile.whole import write_rows
from nearer.store.workspace import Workspace

IDS = (
    "../../etc/passwd",
    "..",
    "/etc/passwd",
    r"C:\Windows\win.ini",
    "CON",
    ".tmp-1",
    "-rf",
    "~",
    "a b",
    "a  b",
    "=cmd|' /C calc'!A0",
    "'; DROP TABLE documents; --",
    "%00%0a%2e%2e%2f",
    "${jndi:ldap://localhost}",
    "{{7*7}}{% raw %}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "]]> --> </pre></style></title>",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x9b2J\x08\x7f",
    "abc\u202edesrever\u2066",
    "ma\ufeffrk",
    "a\u2028b\u0085c",
    "\U0001f600\u200d\U0001f525",
    "e\u0301",
    "\u00e9",
    "\U000e0041\u200b",
    "x" * 511,
)
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
KNOWN_FILES = re.compile(
    r"nearer\.toml|\.nearer(/(format_version|control\.(sqlite|holder)|locks(/[\w.-]+)?|models|indexes|embeddings|reports"
    r"|reports/report\.html|indexes/enc-[0-9a-f]{32}(/(manifest\.json|writer\.(lock|holder)|(vectors|passages)-[0-9a-f]{16}\.(npy|json)))?"
    r"|embeddings/enc-[0-9a-f]{32}\.(documents|queries)\.sqlite))?"
)
HARMLESS = tuple(f"id{number}" for number in range(len(IDS)))


def write_set(folder, ids):
    """A BEIR folder with a document and two queries for each id, of which one leaks; the texts are made of ids too."""
    (folder / "qrels").mkdir(parents=True)
    write_rows(folder / "corpus.jsonl", [{"_id": each, "title": each, "text": f"rain {each} snow"} for each in ids])
    queries = [
        {"_id": query_id, "text": f"{each} wind", "metadata": {"kind": each}}
        for each in ids
        for query_id in (each, f"{each}'")
    ]
    write_rows(folder / "queries.jsonl", queries)
    for split, mark in (("test", ""), ("train", "'")):
        judged = "".join(f"{each}{mark}\t{each}\t1\n" for each in ids)
        (folder / "qrels" / f"{split}.tsv").write_text(judged, encoding="utf-8", newline="\n")


def write_suite(path, ids):
    """A case for each id, which it has as its name, query, document and metadata; many fail."""
    cases = []
    for each in ids:
        text = re.sub("[\x7f-\x9f]", lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(each, ensure_ascii=False))
        cases.append(
            f"[[case]]\nname = {text}\nquery = {text}\nmust = [{text}]\nk = 1\nmetadata = {{ {text} = {text} }}\n"
        )
    path.write_text("".join(cases), encoding="utf-8", newline="\n")


@pytest.fixture
def filled(nearer, whole, tmp_path):
    """``filled(ids)``: a workspace with an id's every use, measured, released and reported; and all it printed."""

    def fill(ids):
        folder, printed = tmp_path / WORKSPACE, []
        shutil.copytree(whole / WORKSPACE, folder)
        recipe = (folder / "nearer.toml").read_text().partition("\n")[2]
        (folder / "nearer.toml").write_text(f"name = {json.dumps(ids[19])}\n{recipe}")

        def call(verb, *arguments, code=0):
            outcome = nearer(verb, "--dir", folder, *arguments)
            assert outcome.exit_code == code, (outcome.out, outcome.err)
            printed.append(outcome.out + outcome.err)

        write_set(tmp_path / "beir", ids)
        call("add", "beir", tmp_path / "beir", "--encoding", "utf-8")
        write_rows(tmp_path / "faulty.jsonl", [{"_id": each, "text": "", each: 1} for each in ids])
        for kind in ("corpus", "queries", "judgments", "pairs"):
            call("add", kind, tmp_path / "faulty.jsonl", code=2)
        write_rows(tmp_path / "unknown.jsonl", [{"query_id": f"{e}?", "doc_id": "d0", "grade": 1} for e in ids])
        call("add", "judgments", tmp_path / "unknown.jsonl", code=2)
        call("check", code=3)
        call("index")
        for each in ids[::5]:
            call("search", "-k", 40, "--", each)
        model = json.loads(nearer("status", "--json", "--dir", folder).out)["live"]["model_id"]
        slices = ("--set", "evaluate.slice_fields=['kind']", "--set", f"encoder.query_prompt={ids[15]} rain ")
        call("evaluate", "base", model, "--split", "test", *slices)
        write_suite(tmp_path / "suite.toml", ids)
        call("suite", "base", model, "--file", tmp_path / "suite.toml")
        call("report")
        call("remove", ids[0] + "?", code=2)
        call("evaluate", ids[19], code=2)
        call("add", ids[19], "--\x1b[31m", code=2)
        call("evaluate", "--split", ids[19], code=2)
        call("evaluate", "--set", f"train.{ids[19]}=1", code=2)
        return folder, printed

    return fill


@pytest.fixture
def hostile(filled):
    return filled(IDS)


def test_hostile_ids_are_kept_name_no_file_and_are_not_obeyed(hostile, tmp_path):
    folder, printed = hostile
    workspace = Workspace.open(folder)
    collection = workspace.collection
    assert {each.doc_id for each in collection.documents()} >= set(IDS)
    assert {each.query_id for each in collection.queries()} >= set(IDS)
    judged = {(each.query_id, each.doc_id) for each in collection.judgments()}
    assert judged >= {(f"{each}{mark}", each) for each in IDS for mark in ("", "'")}
    workspace.close()
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    assert [path for path in paths if not KNOWN_FILES.fullmatch(path.removesuffix("-wal").removesuffix("-shm"))] == []
    assert {path.name for path in tmp_path.iterdir()} == {
        WORKSPACE,
        "beir",
        "faulty.jsonl",
        "unknown.jsonl",
        "suite.toml",
    }
    assert [found for text in printed if (found := OBEYED.search(text))] == []
    everything = "".join(printed)
    assert "[U+001B][31mred" in everything
    assert "abc[U+202E]desrever" in everything


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.texts = set(), []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.add((tag, *sorted(name for name, _ in attributes)))
        assert all(value.startswith("#") for name, value in attributes if name in ("href", "src"))

    def handle_data(self, data):
        self.texts.append(data)


def page_of(folder):
    return (folder / ".nearer" / "reports" / "report.html").read_text(encoding="utf-8")


def test_no_element_or_attribute_of_the_report_comes_from_data(hostile, filled, tmp_path):
    html = page_of(hostile[0])
    shutil.rmtree(tmp_path / WORKSPACE)
    shutil.rmtree(tmp_path / "beir")
    harmless = Elements(page_of(filled(HARMLESS)[0]))
    page = Elements(html)
    assert page.found == harmless.found
    assert not OBEYED.search(html.replace("\t", ""))
    text = "".join(page.texts)
    for each in ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}{% raw %}", "</pre></style>"):
        assert each in text
