import time
from pathlib import Path

import pytest

from nearer.core.errors import Fault
from nearer.core.records import Case
from nearer.store.formats import Row, read_suite

WHOLE = """
# why this is here: INC-17
[[case]]
name = "refund"
query = "how do I get my money back"
must = ["d1", "d2"]   # in any order
must_not = [
    "d9",
]
k = 3
severity = "critical"
group = "high_value"
metadata = { since = 2024-05-01, lang = "de" }

[[case]]
name = "short"
query = "refunds"
must_not = ["d9"]
"""


@pytest.fixture
def read(tmp_path):
    """``read(content)``: all that a suite of this content gives."""

    def write_and_read(content):
        path = tmp_path / "suite.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [*read_suite(path)]

    return write_and_read


def faults(found):
    assert all(isinstance(each, Fault) for each in found)
    assert all(Path(each.file).name == "suite.toml" and each.remedy for each in found)
    return [(each.line, each.reason) for each in found]


def test_a_control_character_as_it_is_has_a_remedy_that_suites_have(read):
    [fault] = read(a_case(query='"it\x92s late"'))
    assert (fault.line, "U+0092" in fault.reason) == (3, True)
    assert "iconv" in fault.remedy
    assert "\\u0092" in fault.remedy
    assert "--encoding" not in fault.remedy
    [row] = read(a_case(query='"it\\u0092s late"'))
    assert row.record.query == "it\x92s late"


def test_a_line_that_is_not_utf8_has_a_remedy_that_suites_have(read):
    lines = a_case(query='"où"').encode() + a_case(query='"né"').encode() + b'[[case]]\nquery = "o\xf9"\n'
    [fault] = read(lines)
    assert "mend this one" in fault.remedy
    assert "--" not in fault.remedy


def a_case(**fields):
    values = {"name": '"a"', "query": '"rain"', "must": '["d1"]', **fields}
    return "[[case]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def test_cases_are_read_with_their_lines_and_defaults(read):
    assert read(WHOLE) == [
        Row(
            line=3,
            record=Case(
                name="refund",
                query="how do I get my money back",
                must=("d1", "d2"),
                must_not=("d9",),
                k=3,
                severity="critical",
                group="high_value",
                metadata={"since": "2024-05-01", "lang": "de"},
            ),
        ),
        Row(line=15, record=Case(name="short", query="refunds", must_not=("d9",), k=10)),
    ]
    short = read(WHOLE)[1].record
    assert (short.severity, short.group) == ("major", "common")


def test_all_faults_of_all_cases_are_reported_at_once(read):
    found = faults(
        read(
            a_case(name='"a"', severity='"critcal"', k="0")
            + a_case(name='"a"', must='["d1", "d2", "d1"]', must_not='["d2"]')
            + a_case(name='"c"', must='["d1", "d2"]', must_not='["d2"]', k="1", owner='"me"')
            + a_case(name='"d"', must="[]")
            + a_case(name="", query='" "')
        )
    )
    assert found == [
        (1, "case 'a': \"k\" is not a whole number from 1 to 1000"),
        (1, "case 'a': \"severity\" is 'critcal'"),
        (7, "case 'a': 'd1' twice in must"),
        (7, "case 'a': case 1 has the same name"),
        (12, "case 'c': unknown key 'owner'"),
        (12, "case 'c': 'd2' in both must and must_not"),
        (12, "case 'c': 2 documents cannot be among the first 1"),
        (19, "case 'd': it asks for nothing"),
        (23, "case 5: no \"name\" (found: 'must', 'query')"),
        (23, 'case 5: "query" is empty'),
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "7"}, '"name" is a number, not text'),
        ({"name": '""'}, '"name" is empty'),
        ({"name": r'"a\nb"'}, '"name" holds a tab or a line break'),
        ({"query": "[]"}, '"query" is a list, not text'),
        ({"query": r'"a\u0000b"'}, "a NUL character in 'a\\x00b'"),
        ({"must": '"d1"'}, '"must" is text, not a list'),
        ({"must": "[1]"}, '"must" is a number, not text'),
        ({"k": "true"}, '"k" is not a whole number from 1 to 1000'),
        ({"k": "1001"}, '"k" is not a whole number from 1 to 1000'),
        ({"k": "0x" + "f" * 5000}, "a whole number beyond 64 bits"),
        ({"severity": "1"}, '"severity" is a number'),
        ({"severity": "[]"}, '"severity" is a list'),
        ({"group": '"edge cases"'}, "\"group\" is 'edge cases'"),
        ({"metadata": "1"}, '"metadata" is a number, not a table'),
        ({"metadata": "{ a = nan }"}, "NaN is not a number"),
        ({"metadata.a" + ".a" * 40: "1"}, "nested deeper than 32 levels"),
    ],
    ids=str,
)
def test_a_field_that_cannot_work_is_named(read, fields, reason):
    ((line, found),) = faults(read(a_case(**fields)))
    assert line == 1
    assert reason in found


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", 0, "the file is empty"),
        ("# nothing\n", 0, "the file holds no case"),
        ("case = []\n", 0, "the file holds no case"),
        ("[case]\nname = 'a'\n", 0, '"case" is an object, not a list'),
        ("case = [1]\n", 0, "case 1: it is a number, not a table"),
        ("[[cases]]\nname = 'a'\n", 0, "'cases' stands outside of the cases"),
        ("k = 3\n" + a_case(), 0, "'k' stands outside of the cases"),
        (a_case() + "query = 'again'\n", 5, "not valid TOML: Cannot overwrite a value"),
        (a_case() + "[[case]\n", 5, "not valid TOML"),
        ('{"name": "a", "query": "rain"}\n', 1, "not valid TOML"),
        (a_case(query='"rain'), 3, "not valid TOML"),
        (a_case(k="9" * 5000), 0, "a number with thousands of digits"),
        (a_case(metadata="[" * 5000 + "]" * 5000), 0, "nested too deeply"),
        (a_case().encode() + b"# caf\xe9\n", 5, "not UTF-8 at byte 6 of the line"),
        ("# no end, no end, no end, no end, no end, no end, no end, no end\n" * 20_000, 0, "larger than 1 MiB"),
        (a_case(**{"metadata.a" + ".a" * 20_000: "1"}), 5, "more than 100 dots on a line"),
    ],
    ids=range(16),
)
def test_a_file_that_is_no_suite_is_reported(read, content, line, reason):
    ((found_line, found),) = faults(read(content))
    assert found.startswith(reason)
    assert found_line == line


def test_names_are_unique_however_they_are_written(read):
    first, second = read(a_case(name="2024-05-01") + a_case(name='"2024-05-01"'))
    assert first.record.name == "2024-05-01"
    assert faults([second]) == [(5, "case '2024-05-01': case 1 has the same name")]


def test_every_line_that_is_not_utf_8_is_reported(read):
    found = faults(read(b"# \xe9\n" + a_case().encode() + b"# \xe9\n"))
    assert [line for line, _ in found] == [1, 6]


def test_a_suite_that_is_absent_is_reported(tmp_path):
    (fault,) = read_suite(tmp_path / "suite.toml")
    assert fault.reason == "no such file"


def test_cases_written_in_another_way_have_a_number_but_no_line(read):
    inline = 'case = [{ name = "a", query = "rain", must = ["d1"] }, { name = "b", query = "[[case]]" }]\n'
    row, fault = read(inline)
    assert (row.line, row.record.name) == (0, "a")
    assert (fault.line, fault.reason) == (0, "case 'b': it asks for nothing")
    quoted = a_case(query="'''\n[[case]]\n'''")
    assert [row.line for row in read(quoted)] == [0]


def test_a_suite_of_thousands_takes_no_time(read):
    for content, num_found in (
        ("".join(f"[[case]]\nname = 'a{n}'\nquery = 'rain'\nmust = ['d1']\n" for n in range(1500)), 1500),
        (a_case(must="[" + "'d', " * 50_000 + "]"), 1),
    ):
        start = time.process_time()
        assert len(read(content)) == num_found
        assert time.process_time() - start < 2
