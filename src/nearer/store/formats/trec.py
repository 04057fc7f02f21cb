"""TREC's own formats: topics, and qrels and runs, whose fields are separated by white space.

Topics are the classic ones (``<top>``, ``<num>``, ``<title>``, ``<desc>``, ``<narr>``) or two columns, id and text.
Source: trec_eval 9.0, get_trec_qrels.c and get_trec_results.c; the ad hoc topics of TREC-8.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nearer.core.errors import Fault, InputError
from nearer.core.records import Judgment, Query
from nearer.store.formats import source as limits
from nearer.store.formats.columns import QUERIES, Columns
from nearer.store.formats.delimited import read_tsv
from nearer.store.formats.fields import check_id, number
from nearer.store.formats.naming import listed
from nearer.store.formats.rows import Fields, Found, read_each_line, shown
from nearer.store.formats.source import Source, WholeFile, too_long, truncated

QRELS = ("query_id", "iteration", "doc_id", "grade")
_RANK = re.compile(r"[0-9]{1,9}")
_CONTRADICTION = (
    "lines with a worse rank and a better score than the line before: the scores count, as in trec_eval; where a lower "
    "score is better, negate the scores"
)
_TIE = "lines of the score of the line before, which trec_eval orders by document id, descending, not by rank"
RUN = ("query_id", "Q0", "doc_id", "rank", "score", "tag")

_WORD = re.compile(r"[^ \t\r\n\v\f]+")  # white space as C's isspace has it, so that ids may hold other kinds
_TAG = re.compile(r"<(/?)(top|num|title|desc|narr)>|^[ \t]*<(/?)([a-z][a-z0-9_-]*)>", re.IGNORECASE | re.MULTILINE)
_LABELS = {"num": "Number:", "title": "Topic:", "desc": "Description:", "narr": "Narrative:"}
_NAMES = {"num": "query_id", "title": "text", "desc": "description", "narr": "narrative"}
_LARGEST_SCORE = 3.4028234663852886e38  # of single precision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One line of a run: a document that a system found for a query, and its score."""

    query_id: str
    doc_id: str
    score: float


def read_qrels(source: Source) -> Iterator[Found]:
    """The fields of every judgment in TREC qrels: ``query_id 0 doc_id grade``."""
    for found in _read_words(source, QRELS):
        if not isinstance(found, Fault):
            fields = found[1]
            del fields["iteration"]
        yield found


def read_run(source: Source) -> Iterator[Found]:
    """The fields of every line of a run: ``query_id Q0 doc_id rank score tag``; the tag may lack, or go on.

    Notes lines that rank below the one before them with a higher score, as where scores are distances; and those of one
    score that do not come in the order of their ids.
    """
    before: Fields = {}
    for found in _read_words(source, RUN):
        if not isinstance(found, Fault):
            if note := _how_ranked(found[1], before):
                source.notes.count(source.path, note)
            before = found[1]
        yield found


def _how_ranked(fields: Fields, before: Fields) -> str:
    """The note on a line that is not ranked where it stands; empty for others."""
    ranks = [fields["rank"], before.get("rank", "")]
    if fields["query_id"] != before.get("query_id") or not all(_RANK.fullmatch(rank) for rank in ranks):
        return ""
    score, score_before = fields["score"], before["score"]
    if int(ranks[0]) <= int(ranks[1]) or isinstance(score, str) or isinstance(score_before, str):
        return ""
    if score == score_before:
        return _TIE if fields["doc_id"] > before["doc_id"] else ""
    return _CONTRADICTION if score > score_before else ""


def run_entry(fields: Fields) -> RunEntry:
    """A line of a run; trec_eval ranks by score alone, so the rank is not looked at. Raises InputError."""
    query_id, doc_id = (check_id(fields[name], key=name) for name in ("query_id", "doc_id"))
    score = fields["score"]
    if isinstance(score, str):
        raise InputError(f"the score {shown(score)} is not a number", hint="write a finite number")
    if abs(score) > _LARGEST_SCORE:
        raise InputError(f"the score {score:.3g} is beyond single precision", hint="scale the scores down")
    return RunEntry(query_id=query_id, doc_id=doc_id, score=float(score))


def read_topics(source: Source) -> Iterator[Found]:
    """The fields of every topic: the title is the query's text, all other fields are metadata."""
    lines = Source(source.path, encoding=source.encoding).lines()
    first = next((item[1] for item in lines if not isinstance(item, Fault) and not item[1].isspace()), b"")
    if not first.lstrip().startswith(b"<"):
        return read_tsv(source, Columns(QUERIES))
    return _read_tops(source)


def check_words(ids: Iterable[str], noun: str) -> None:
    """Raises InputError, naming some, for ids that a file separated by white space cannot hold."""
    if unfit := {each for each in ids if _WORD.fullmatch(each) is None}:
        reason = f"{len(unfit)} {noun} ids hold white space, which separates fields in TREC's formats: {listed(unfit)}"
        raise InputError(reason, hint="nothing was written; import them under ids without white space")


def qrels_lines(judgments: Iterable[Judgment]) -> Iterator[str]:
    """Judgments as lines of qrels."""
    return (f"{each.query_id} 0 {each.doc_id} {each.grade}\n" for each in judgments)


def topic_lines(queries: Iterable[Query]) -> Iterator[str]:
    """Queries as two columns, id and text; line breaks and tabs in a text become spaces."""
    return (f"{each.query_id}\t{one_line(each.text)}\n" for each in queries)


def run_lines(rankings: Iterable[tuple[str, Iterable[tuple[str, object]]]], *, tag: str) -> Iterator[str]:
    """Rankings, best first, as lines of a run; scores are written as they print."""
    for query_id, ranking in rankings:
        for rank, (doc_id, score) in enumerate(ranking, start=1):
            yield f"{query_id} Q0 {doc_id} {rank} {score} {tag}\n"


def one_line(text: str) -> str:
    r"""A text without line breaks and tabs.

    >>> one_line("a\n\tb  c")
    'a b  c'
    """
    return re.sub(r"[\t\r\n]+", " ", text)


def _read_words(source: Source, names: tuple[str, ...]) -> Iterator[Found]:
    return read_each_line(source, lambda raw, is_first: _words(source, raw, names, is_first=is_first))


def _words(source: Source, raw: bytes, names: tuple[str, ...], *, is_first: bool) -> Fields:
    text = source.decode(raw)
    words = _WORD.findall(text)
    if len(words) > len(names) and (cells := _by_tabs(text, names)):
        source.notes.count(source.path, "lines with white space inside fields, which tabs separate")
        words = cells
    if names is RUN and raw.endswith(b"\n"):
        words = _with_one_tag(words, source)
    if len(words) == len(names):
        fields: Fields = dict(zip(names, words, strict=True))
        return {name: number(text) if name in ("grade", "score") else text for name, text in fields.items()}
    reason = f"{len(words)} fields separated by white space, not {len(names)}"
    hint = f"write: {' '.join(names)}"
    if is_first:
        raise WholeFile(
            f"the first line has {reason}", hint=f"{hint}; or end the name in the file's format: .jsonl, .csv, .tsv"
        )
    if len(words) < len(names) and not raw.endswith(b"\n"):
        raise truncated()
    raise InputError(reason, hint=hint)


def _by_tabs(text: str, names: tuple[str, ...]) -> list[str] | None:
    """The fields of a line that tabs separate, where there are as many as there are names and numbers where they are.

    White space inside an id would else shift the fields after it.
    """
    cells = [" ".join(_WORD.findall(cell)) for cell in text.split("\t")]
    places = [names.index(name) for name in names if name in ("rank", "score", "grade")]
    is_whole = len(cells) == len(names) and all(cells[: places[-1] + 1])
    return cells if is_whole and not any(isinstance(number(cells[place]), str) for place in places) else None


def _with_one_tag(words: list[str], source: Source) -> list[str]:
    """The words of a run's line with one word as the tag, which nobody looks at.

    Raises InputError where it is not sure which field is which: of more or fewer fields the rank must be a number.
    """
    if len(words) in (len(RUN) - 1, *range(len(RUN) + 1, len(words) + 1)) and not _is_rank(words[RUN.index("rank")]):
        reason = f"{len(words)} fields separated by white space, not {len(RUN)}, and the rank would be "
        hint = f"write: {' '.join(RUN)}; ids hold no white space, or tabs separate the fields"
        raise InputError(reason + shown(words[RUN.index("rank")]), hint=hint)
    if len(words) == len(RUN) - 1 and isinstance(number(words[-1]), int | float):
        source.notes.count(source.path, "lines without a tag")
        return [*words, ""]
    if len(words) > len(RUN):
        source.notes.count(source.path, "lines with text after the sixth field, which was excluded")
    return words[: len(RUN)]


def _is_rank(word: str) -> bool:
    rank = number(word)
    return not isinstance(rank, str) and rank == int(rank)


def _read_tops(source: Source) -> Iterator[Found]:
    num_topics = 0
    top: _Top | None = None
    for item in source.lines():
        if isinstance(item, Fault) and item.line == 0:
            yield item
            return
        line, text, error = _text_of(source, item)
        if top is None:
            if not error and not text.strip():
                continue
            num_topics += 1
            if error or not text.lstrip().lower().startswith("<top>"):
                yield _outside(source, line, text, error, is_first=num_topics == 1)
                if num_topics == 1:
                    return
                continue
            top = _Top(line=line)
        top.add(text, error)
        if "</top>" in text.lower():
            yield top.found(source)
            top = None
    if top is not None:
        yield source.fault(top.line, truncated())


def _text_of(source: Source, item: tuple[int, bytes] | Fault) -> tuple[int, str, InputError | None]:
    """A line's number and text, or what is wrong with it."""
    if isinstance(item, Fault):
        return item.line, "", InputError(item.reason, hint=item.remedy)
    try:
        return item[0], source.decode(item[1]), None
    except InputError as error:
        return item[0], "", error


def _outside(source: Source, line: int, text: str, error: InputError | None, *, is_first: bool) -> Fault:
    if is_first:
        hint = "write two columns, id and text, separated by a tab, and end the name in .tsv"
        error = error or WholeFile(f"topics, but not in <top> ... </top>: begins with {shown(text.strip())}", hint=hint)
        return source.fault(0, error)
    reason = f"text outside <top>: {shown(text.strip())}"
    return source.fault(line, error or InputError(reason, hint="put it into a topic, or remove it"))


class _Top:
    """A topic while its lines are read."""

    def __init__(self, *, line: int) -> None:
        self.line = line
        self._lines: list[str] = []
        self._num_characters = 0
        self._error: InputError | None = None

    def add(self, text: str, error: InputError | None) -> None:
        """Add a line, or what is wrong with it."""
        self._num_characters += len(text)
        if self._num_characters > limits.MAX_LINE_BYTES:
            text, error = "", too_long()
        self._lines.append(text)
        self._error = self._error or error

    def found(self, source: Source) -> Found:
        """The query's fields, or what is wrong with the topic."""
        try:
            if self._error:
                raise self._error
            return self.line, _fields_of("".join(self._lines))
        except InputError as error:
            return source.fault(self.line, error)


def _fields_of(topic: str) -> Fields:
    """The fields between ``<top>`` and ``</top>``, white space made single. Raises InputError."""
    fields: Fields = {"metadata": {}}
    tags = list(_TAG.finditer(topic))
    for tag, following in zip(tags, [*tags[1:], None], strict=True):
        name = (tag[2] or tag[4]).lower()
        text = " ".join(topic[tag.end() : following.start() if following else len(topic)].split())
        if tag[1] or tag[3] or name == "top":
            if text:
                raise InputError(f"text outside a field: {shown(text)}", hint="put it under a tag such as <desc>")
            if name == "top" and tag is not tags[0] and tag is not tags[-1]:
                raise InputError("a topic begins inside another", hint="close each <top> with </top>")
            continue
        label = _LABELS.get(name, "")
        text = text[len(label) :].lstrip() if text.lower().startswith(label.lower()) else text
        target = fields if name in ("num", "title") else fields["metadata"]
        if _NAMES.get(name, name) in target:
            raise InputError(f"the key {shown(name)} occurs twice", hint="keep one of the two")
        target[_NAMES.get(name, name)] = text
    return fields
