"""Files that no import may take; each row is a name, its bytes, the line at fault, the reason and the remedy."""

import gzip
import json
from pathlib import Path
from typing import Any

from hostile.case import Case, Content

Row = tuple[str, Content, int, str, str]

ROW = b'{"_id": "d1", "text": "rain"}\n'
HEADER = b"doc_id,text\n"
JUDGED = b"query-id\tcorpus-id\tscore\n"
MIB = 2**20


def _row(**fields: Any) -> bytes:
    return json.dumps({"_id": "x", "text": "rain", **fields}).encode() + b"\n"


def _text(raw: bytes) -> bytes:
    """A row whose text is these bytes."""
    return b'{"_id": "x", "text": "' + raw + b'"}\n'


def _bomb(path: Path, *, head: bytes, block: bytes) -> None:
    """A gigabyte in about a megabyte: members of a gzip file follow each other."""
    path.write_bytes(gzip.compress(head) + gzip.compress(16 * block) * 64)


def _sparse(path: Path, *, head: bytes, size: int) -> None:
    """A head and so many zeros, which take no room on the disk."""
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(size)


ENCODINGS: list[Row] = [
    ("c1-controls.jsonl", _text(b"it\xc2\x92s"), 1, "a control character U+0092", "--encoding cp1252"),
    ("utf-16-cut.jsonl", ROW.decode().encode("utf-16")[:-1], 0, "not utf-16", "--encoding"),
    ("latin-1.jsonl", ROW + _text(b"caf\xe9 au lait"), 2, "not UTF-8 at byte 26", "--encoding cp1252"),
    ("ebcdic.jsonl", ROW.decode().encode("cp500"), 1, "not UTF-8 at byte 1", "--encoding"),
    ("overlong-two.jsonl", _text(b"\xc0\xaf"), 1, "not UTF-8 at byte 23", "--encoding"),
    ("overlong-four.jsonl", _text(b"\xf0\x80\x80\xaf"), 1, "not UTF-8 at byte 23", "--encoding"),
    ("above-unicode.jsonl", _text(b"\xf4\x90\x80\x80"), 1, "not UTF-8 at byte 23", "--encoding"),
    ("lone-continuation.jsonl", _text(b"a\x80b"), 1, "not UTF-8 at byte 24", "--encoding"),
    ("surrogate-bytes.jsonl", _text(b"\xed\xa0\x80"), 1, "not UTF-8 at byte 23", "--encoding"),
    ("surrogate-escape.jsonl", ROW + _text(rb"\ud83d rain"), 2, "half a surrogate pair", "export"),
    ("surrogate-in-metadata.jsonl", _row(metadata={"k": "\udc00"}), 1, "half a surrogate pair", "export"),
    ("nul-byte.jsonl", ROW + _text(b"a\0b"), 2, "a NUL character at byte 24", "remove it"),
    ("nul-escape.jsonl", _text(rb"a\u0000b"), 1, "a NUL character in 'a\\x00b'", "remove it"),
]

NOT_TABLES: list[Row] = [
    ("empty.jsonl", b"", 0, "the file is empty", "at least one row"),
    ("xlsx.csv", b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml", 0, "binary (zip)", "save the sheet as CSV UTF-8"),
    ("gzip-named-jsonl.jsonl", gzip.compress(ROW), 0, "binary (gzip)", "end its name in .gz"),
    ("7z.jsonl", b"7z\xbc\xaf\x27\x1c\x00\x04", 0, "binary (7z)", "unpack"),
    ("pdf.jsonl", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 0, "binary (PDF)", "export it as text"),
    (
        "old-excel.csv",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0,
        "binary (Microsoft Office)",
        "save the sheet as CSV UTF-8",
    ),
    ("png.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 0, "binary (PNG)", "export"),
    ("elf.jsonl", b"\x7fELF\x02\x01\x01\x00", 0, "binary (ELF)", "export"),
    ("parquet-named-jsonl.jsonl", b"PAR1\x15\x04", 0, "binary (parquet)", "end its name in .parquet"),
    ("zeros.jsonl", b"\0" * 4096, 0, "NUL among the first bytes", "export it as text"),
    ("error-page.jsonl", b"<!DOCTYPE html>\n<html><h1>403 Forbidden</h1>", 0, "an HTML page", "fetch the file again"),
    ("error-page.csv", b"\n  <HTML><body>404</body></HTML>\n", 0, "an HTML page", "fetch the file again"),
    ("array.jsonl", b'[{"_id": "d1", "text": "rain"} {}]\n', 0, "where , or ] should be", "write one array"),
    ("csv-named-jsonl.jsonl", b"doc_id,text\nd1,rain\n", 0, "perhaps CSV", ".csv"),
    ("no-format.dat", ROW, 0, "name does not tell its format", ".jsonl"),
]

JSON_ROWS: list[Row] = [
    ("nan.jsonl", _row(metadata={"year": float("nan")}), 1, "NaN is not a number", "write null"),
    ("infinity.jsonl", _row(metadata={"year": float("-inf")}), 1, "-Infinity is not a number", "write null"),
    ("1e400.jsonl", b'{"_id": "x", "text": "t", "metadata": {"n": 1e400}}\n', 1, "too large", "smaller"),
    ("many-digits.jsonl", b'{"_id": ' + b"9" * 10_000 + b', "text": "t"}\n', 1, "thousands of digits", "in quotes"),
    ("doubled-key.jsonl", b'{"_id": "x", "text": "a", "text": "b"}\n', 1, "'text' occurs twice", "keep one"),
    ("proto.jsonl", _row(__proto__={"admin": True}), 1, "unknown key '__proto__'", "metadata"),
    ("deep-list.jsonl", ROW + b"[" * 100_000 + b"]" * 100_000 + b"\n", 2, "nested deeper than 32", "flatten"),
    (
        "deep-metadata.jsonl",
        b'{"_id": "x", "text": "t", "metadata": {"k": ' + b"[" * 40 + b"]" * 40 + b"}}\n",
        1,
        "nested deeper than 32",
        "flatten",
    ),
    ("single-quotes.jsonl", ROW + b"{'_id': 'x', 'text': 't'}\n", 2, "invalid JSON", "one JSON object"),
    ("raw-control.jsonl", _text(b"a\x1b[31mb"), 1, "invalid JSON: Invalid control character", "one JSON object"),
    ("carriage-returns.jsonl", ROW.replace(b"\n", b"\r") * 3, 0, "carriage return", "tr"),
    ("cut.jsonl", ROW + b'{"_id": "d2", "te', 2, "ends in the middle of a row", "again"),
    ("scalar.jsonl", ROW + b'"rain"\n', 2, "the row is text, not an object", "one JSON object"),
    ("fraction-id.jsonl", _row(_id=7.5), 1, '"_id" is a number, not text', "quote"),
    ("empty-id.jsonl", _row(_id=""), 1, '"_id" is empty', "an id"),
    ("blank-id.jsonl", _row(_id=" \u3000\u2003"), 1, '"_id" is empty', "an id"),
    ("newline-id.jsonl", _row(_id="a\nb"), 1, "a tab or a line break: 'a\\nb'", "replace"),
    ("nul-id.jsonl", _row(_id="a\0b"), 1, "a NUL character in 'a\\x00b'", "remove"),
    ("long-id.jsonl", _row(_id="x" * 10_000), 1, "has 10000 characters, more than 512", "shorten"),
    ("twice.jsonl", ROW * 2, 2, "'d1' is already on line 1", "keep one"),
    ("blank-text.jsonl", _row(text="\u2003\n"), 1, "an empty document", "give it a text"),
    ("list-metadata.jsonl", _row(metadata=[1]), 1, '"metadata" is a list', "write {"),
    ("long-line.jsonl.gz", gzip.compress(ROW + _text(b"x" * (17 * MIB))), 2, "longer than 16 MiB", "split the text"),
    (
        "sparse.jsonl",
        lambda path: _sparse(path, head=ROW, size=64 * MIB),
        2,
        "longer than 16 MiB",
        "split the text",
    ),
]

CSV_ROWS: list[Row] = [
    ("open-quote.csv", HEADER + b'd1,"rain\n' + b"d2,snow\n" * 1000, 2, "ends in the middle of a row", "again"),
    (
        "open-quote-long.csv.gz",
        gzip.compress(HEADER + b'd1,"rain\n' + (b"d2" + b",snow" * 4000 + b"\n") * 880),
        2,
        "longer than 16 MiB",
        "split the text",
    ),
    ("ragged.csv", HEADER + b"d1,rain\nd2,snow,hail\n", 3, "3 comma-separated fields, not 2", "in quotes"),
    ("semicolons.csv", b"sku;text\nd1;rain\n", 0, 'no "_id" or "doc_id"', "[columns.documents]"),
    ("carriage-returns.csv", b"doc_id,text\rd1,rain\rd2,snow\r", 0, "carriage return", "tr"),
    ("doubled-column.csv", b"doc_id,text,text\nd1,rain,snow\n", 0, "'text' occurs twice", "keep one"),
    ("nameless-column.csv", b",doc_id,text\nx,d1,rain\n", 2, "column 1 has no name", "index=False"),
    ("jsonl-named-csv.csv", ROW, 0, "perhaps JSON Lines", ".jsonl"),
    (
        "wide.csv",
        b",".join(b"c%d" % n for n in range(100_000)) + b"\n" + b"," * 99_999 + b"\n",
        0,
        'no "_id" or "doc_id"',
        "rename the column",
    ),
    (
        "wide-row.csv",
        HEADER + b"," * 999_999 + b"x\n",
        2,
        "1000000 comma-separated fields, not 2",
        "in quotes",
    ),
    ("nul.csv", HEADER + b"d1,a\0b\n", 2, "a NUL character at byte 5", "remove it"),
    ("not-utf-8.csv", HEADER + b'd1,"two\nlin\xe9s"\n', 2, "not UTF-8", "--encoding"),
    ("cut.tsv", b"doc_id\ttext\nd1\train\nd2", 3, "ends in the middle of a row", "again"),
]

PACKED: list[Row] = [
    ("text.jsonl.gz", ROW, 0, "not a whole gzip file", "without .gz"),
    ("empty.jsonl.gz", b"", 0, "the file is empty", "at least one row"),
    ("cut.jsonl.gz", gzip.compress(ROW * 99)[:-12], 0, "cut off or damaged", "gzip -t"),
    ("deflate-garbage.jsonl.gz", gzip.compress(b"")[:10] + b"\xff" * 99, 0, "cut off or damaged", "gzip -t"),
    ("twice.jsonl.gz", gzip.compress(gzip.compress(ROW)), 0, "binary (gzip)", "end its name in .gz"),
    ("tar.jsonl.gz", gzip.compress(b"corpus.jsonl" + b"\0" * 500), 1, "a NUL character", "remove"),
    (
        "bomb-zeros.jsonl.gz",
        lambda path: _bomb(path, head=b"", block=b"\0" * MIB),
        0,
        "NUL among the first bytes",
        "export it as text",
    ),
    (
        "bomb-blanks.jsonl.gz",
        lambda path: _bomb(path, head=ROW, block=b" " * (MIB - 1) + b"\n"),
        0,
        "unpacks to more than 100 times its size",
        "gunzip",
    ),
    (
        "bomb-endless.csv.gz",
        lambda path: _bomb(path, head=HEADER, block=b"x" * MIB),
        0,
        "unpacks to more than 100 times its size",
        "gunzip",
    ),
]

JUDGMENTS: list[Row] = [
    ("fraction.tsv", JUDGED + b"q1\td1\t0.5\n", 2, "the grade is not an integer but 0.5", "never rounded"),
    ("too-high.tsv", JUDGED + b"q1\td1\t5\n", 2, "the grade 5 is above 4", "grades.max_grade"),
    ("many-digits.tsv", JUDGED + b"q1\td1\t" + b"9" * 10_000 + b"\n", 2, "thousands of digits", "in quotes"),
    ("arabic-digits.tsv", JUDGED + "q1\td1\t١\n".encode(), 2, "the grade is not an integer", "whole number"),
    ("unknown-query.tsv", JUDGED + b"q99\td1\t1\n", 2, "unknown query 'q99'", "add the query first"),
    ("unknown-document.tsv", JUDGED + b"q1\t../../etc/passwd\t1\n", 2, "unknown document '../../", "add the document"),
    ("bell.tsv", JUDGED + b"q\x07\x1b[2J\td1\t1\n", 2, r"unknown query 'q\x07\x1b[2J'", "add the query first"),
    ("qrels-named-tsv.tsv", b"q1\t0\td1\t1\n", 0, "4 tab-separated fields, not 3", ".qrels"),
    ("three-fields.qrels", b"q1 d1 1\n", 0, "3 fields separated by white space, not 4", "query_id iteration"),
    ("cut.qrels", b"q1 0 d1 1\nq1 0 d", 2, "ends in the middle of a row", "again"),
]

QUERIES: list[Row] = [
    ("outside.topics", b"<top>\n<num> 1\n<title> rain\n</top>\nsnow\n", 5, "text outside <top>", "into a topic"),
    ("not-topics.topics", b"<topic number='1'><query>rain</query></topic>\n", 0, "not in <top>", "two columns"),
    ("open.topics", b"<top>\n<num> Number: 1\n<title> rain\n", 1, "ends in the middle of a row", "again"),
    ("nested.topics", b"<top>\n<num> 1\n<top>\n<title> rain\n</top>\n", 1, "begins inside another", "</top>"),
    ("two-titles.topics", b"<top>\n<num> 1\n<title> a\n<title> b\n</top>\n", 1, "'title' occurs twice", "keep one"),
    (
        "endless.topics.gz",
        gzip.compress(b"<top>\n<num> 1\n<title> " + (b"<desc" * 4000 + b"\n") * 880 + b"</top>\n"),
        1,
        "longer than 16 MiB",
        "split",
    ),
    ("blank-query.jsonl", b'{"_id": "q9", "text": " "}\n', 1, '"text" is empty', "give it a text"),
    (
        "external-entity.topics",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "/etc/passwd">]><a>&b;</a>\n',
        0,
        "not in <top>",
        "two columns",
    ),
]

PAIRS: list[Row] = [
    ("score-above.jsonl", b'{"query": "a", "positive": "b", "score": 1.5}\n', 1, "outside 0 to 1", "scale"),
    ("nan-score.csv", b"query,positive,score\na,b,nan\n", 2, '"score" holds text, not a number', "0 to 1"),
    ("null-negative.jsonl", b'{"query": "a", "positive": "b", "negatives": [null]}\n', 1, "not text", "texts only"),
]

RUNS: list[Row] = [
    ("qrels.run", b"q0 0 d0 1\n", 0, "4 fields separated by white space, not 6", "query_id Q0 doc_id rank score tag"),
    ("nan.run", b"q0 Q0 d0 1 nan bm25\n", 1, "the score 'nan' is not a number", "finite"),
    ("1e400.run", b"q0 Q0 d0 1 1e400 bm25\n", 1, "'1e400' is too large", "smaller"),
    ("twice.run", b"q0 Q0 d0 1 2 a\nq0 Q0 d0 2 1 a\n", 2, "'q0' + 'd0' is already on line 1", "keep one"),
    ("cut.run", b"q0 Q0 d0 1 2 a\nq0 Q0 d1 2", 2, "ends in the middle of a row", "again"),
]

CASE = b'[[case]]\nname = "a"\nquery = "rain"\nmust = ["d0"]\n'

SUITES: list[Row] = [
    ("jsonl.toml", b'{"name": "a", "query": "rain", "must": ["d0"]}\n', 1, "not valid TOML", "[[case]]"),
    ("no-cases.toml", b"[gate]\nmin_gain = 0.0\n", 0, "'gate' stands outside of the cases", "[[case]]"),
    ("one-bracket.toml", CASE.replace(b"[[case]]", b"[case]"), 0, '"case" is an object', "two pairs of brackets"),
    ("open-text.toml", CASE + b'[[case]]\nquery = """rain\n', 0, "not valid TOML", "mend"),
    ("latin-1.toml", CASE + b"# caf\xe9\n", 5, "not UTF-8 at byte 6", "iconv"),
    ("zeros.toml", b"\0" * 4096, 0, "NUL among the first bytes", "export it as text"),
    ("nul-escape.toml", CASE + b'metadata = { a = "\\u0000" }\n', 1, "a NUL character", "remove it"),
    ("surrogate.toml", CASE + b'metadata = { a = "\\ud800" }\n', 5, "not valid TOML", "mend"),
    ("nan.toml", CASE + b"metadata = { a = nan }\n", 1, "NaN is not a number", "write null"),
    ("many-digits.toml", CASE + b"k = " + b"9" * 5000 + b"\n", 0, "thousands of digits", "in quotes"),
    ("hexadecimal.toml", CASE + b"k = 0x" + b"f" * 5000 + b"\n", 1, "beyond 64 bits", "in quotes"),
    ("deep-list.toml", CASE + b"must_not = " + b"[" * 50_000 + b"]" * 50_000, 0, "nested too deeply", "flatten"),
    ("deep-table.toml", CASE + b"metadata" + b".a" * 90 + b" = 1\n", 1, "nested deeper than 32", "flatten"),
    ("long-dotted-key.toml", CASE + b"metadata" + b".a" * 50_000 + b" = 1\n", 5, "dots on a line", "break the line"),
    ("huge.toml", (b"# no end" * 100 + b"\n") * 2000, 0, "larger than 1 MiB", "keep the cases"),
    (
        "bomb.toml.gz",
        lambda path: _bomb(path, head=CASE, block=b" " * (MIB - 1) + b"\n"),
        0,
        "larger than 1 MiB",
        "keep the cases",
    ),
    ("typo.toml", CASE + b'severity = "critcal"\n', 1, "\"severity\" is 'critcal'", "critical, major, minor"),
    ("unknown-key.toml", CASE + b"__class__ = 1\n", 1, "unknown key '__class__'", "the keys are: name, query"),
    ("both.toml", CASE + b'must_not = ["d0"]\n', 1, "'d0' in both must and must_not", "one of the two"),
    ("twice.toml", CASE + b"\n" + CASE, 6, "case 1 has the same name", "a name of its own"),
    ("asks-nothing.toml", CASE.replace(b'"d0"', b""), 1, "it asks for nothing", "must, must_not"),
    ("no-place.toml", CASE + b"k = 0\n", 1, '"k" is not a whole number from 1 to 1000', "k = 10"),
    (
        "unknown-document.toml",
        CASE.replace(b"d0", b"../../etc/passwd\\u001b[2J"),
        1,
        r"case 'a': unknown document '../../etc/passwd\x1b[2J'",
        "add the document first",
    ),
]


def _cases(kind: str, rows: list[Row], *, verb: str) -> list[Case]:
    return [
        Case(
            name=f"{kind}-{name}",
            content=content,
            verb=verb,
            code="import_faults",
            line=line,
            reason=reason,
            remedy=remedy,
        )
        for name, content, line, reason, remedy in rows
    ]


CASES = [
    *_cases("corpus", [*ENCODINGS, *NOT_TABLES, *JSON_ROWS, *CSV_ROWS, *PACKED], verb="add corpus {path}"),
    *_cases("judgments", JUDGMENTS, verb="add judgments {path}"),
    *_cases("queries", QUERIES, verb="add queries {path}"),
    *_cases("pairs", PAIRS, verb="add pairs {path}"),
    *_cases("run", RUNS, verb="evaluate run:{path}"),
    *_cases("suite", SUITES, verb="suite --file {path}"),
]
