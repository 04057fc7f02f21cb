"""Labels out to a file and in from one: every pair, rated or not, under its own ids."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.core.judging import blend
from nearer.core.records import Judgment
from nearer.core.results.people import ExchangedLabels
from nearer.evaluation.grades import max_grade_of
from nearer.store.files import write_atomic
from nearer.store.formats.guideline import read_guideline
from nearer.store.formats.labels import LABEL_FORMATS, LabelRow, format_of, labels_text, read_labels
from nearer.store.label_records import RATED, LabelSet, PairToLabel
from nearer.store.labels import Labels
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace

_MOST_NAMED = 5


def export_labels(
    workspace: Workspace, file: Path | str, *, name: str = "labels", format: str | None = None
) -> ExchangedLabels:
    """Write a label set to a file: a row a rating, and one a pair without any; qrels have one grade a pair.

    Raises NotFound for an unknown set, InputError for a file that is there or a format that is none.
    """
    path = Path(file)
    kind = format_of(path, format)
    if kind is None:
        raise InputError(f"{path}: which format?", hint=f"--format {'|'.join(LABEL_FORMATS)}")
    if path.exists():
        raise InputError(f"{path} is there already", hint="name another file, or move it")
    labels = Labels(workspace.database)
    label_set = labels.get(name)
    pairs = labels.pairs(label_set.set_id)
    said: dict[str, list[LabelRow]] = {each.pair_id: [] for each in pairs}
    texts = _texts(workspace, pairs)
    for rating in sorted(labels.ratings(label_set.set_id), key=lambda each: (each.rater, each.number)):
        if rating.state == RATED:
            said[rating.pair_id].append(
                replace(
                    texts[rating.pair_id],
                    grade=rating.grade,
                    rater=rating.rater,
                    reason=rating.reason,
                    at=rating.at,
                )
            )
    rows = [row for pair in pairs for row in said[pair.pair_id] or [texts[pair.pair_id]]]
    written = _one_a_pair(workspace, rows) if kind == "qrels" else rows
    try:
        write_atomic(path, labels_text(written, kind).encode("utf-8-sig" if kind == "csv" else "utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="check the path and the disk") from error
    return _exchanged(label_set.name, path, kind, rows)


def import_labels(
    workspace: Workspace, file: Path | str, *, name: str = "labels", format: str | None = None
) -> ExchangedLabels:
    """Read ratings and pairs into a label set, which is made where there is none of the name.

    All or nothing. Raises InputError for a file with faults, for unknown queries or documents and for a grade that is
    none.
    """
    path = Path(file)
    kind, rows = read_labels(path, format_of(path, format))
    labels, max_grade = Labels(workspace.database), max_grade_of(workspace)
    label_set = next((each for each in labels.all() if name in (each.name, each.set_id)), None)
    _refuse_unknown(workspace, path, rows)
    limit = label_set.max_grade if label_set else max_grade
    if wrong := next((each for each in rows if each.grade is not None and not 0 <= each.grade <= limit), None):
        raise InputError(
            f"{path}: the grade {wrong.grade} of {wrong.query_id!r} + {wrong.doc_id!r} is not from 0 to {limit}",
            hint="say what grades mean: max_grade under [grades] in nearer.toml",
        )
    if label_set is None:
        label_set = LabelSet(
            set_id=content_id("labels", [name, utc_now()], num_hex=12),
            name=name,
            created_at=utc_now(),
            max_grade=max_grade,
            guideline=read_guideline(None, max_grade=max_grade),
            strategy="import",
            rankings={},
        )
        labels.add(label_set, [])
    labels.take(label_set.set_id, _pairs(label_set.set_id, rows), rows)
    return _exchanged(label_set.name, path, kind, rows)


def _pairs(set_id: str, rows: Sequence[LabelRow]) -> list[PairToLabel]:
    num_of: dict[tuple[str, str], int] = {}
    for row in rows:
        num_of[row.query_id, row.doc_id] = num_of.get((row.query_id, row.doc_id), 0) + (row.grade is not None)
    rng = random.Random(set_id)
    return [
        PairToLabel(
            pair_id=content_id("pair", [set_id, query_id, doc_id], num_hex=20),
            query_id=query_id,
            doc_id=doc_id,
            wanted=max(1, number),
            shuffle=rng.randrange(2**31 - 1),
        )
        for (query_id, doc_id), number in num_of.items()
    ]


def _refuse_unknown(workspace: Workspace, path: Path, rows: Sequence[LabelRow]) -> None:
    known = {query.query_id for query in workspace.collection.queries()}
    there = workspace.collection.document_hashes()
    unknown = sorted({f"query {row.query_id!r}" for row in rows if row.query_id not in known})
    unknown += sorted({f"document {row.doc_id!r}" for row in rows if row.doc_id not in there})
    if unknown:
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise InputError(
            f"{path}: unknown {', '.join(unknown[:_MOST_NAMED])}{more}; nothing was imported",
            hint="add them first: nearer add queries FILE, nearer add corpus FILE",
        )


def _texts(workspace: Workspace, pairs: Sequence[PairToLabel]) -> dict[str, LabelRow]:
    """Each pair as a row without a rating."""
    queries = {each.query_id: each.text for each in workspace.collection.queries()}
    documents = {each.doc_id: each for each in workspace.collection.documents([pair.doc_id for pair in pairs])}
    return {
        pair.pair_id: LabelRow(
            query_id=pair.query_id,
            doc_id=pair.doc_id,
            query=queries[pair.query_id],
            title=documents[pair.doc_id].title,
            text=documents[pair.doc_id].text,
        )
        for pair in pairs
    }


def _one_a_pair(workspace: Workspace, rows: Sequence[LabelRow]) -> list[LabelRow]:
    """What counts of each pair's ratings, settled and weighed; no grade where there is none."""
    judged = blend(workspace.collection.all_judgments(), ["human"])
    counted: Mapping[tuple[str, str], Judgment] = {(each.query_id, each.doc_id): each for each in judged}
    found: dict[tuple[str, str], LabelRow] = {}
    for row in rows:
        pair = row.query_id, row.doc_id
        grade = counted[pair].grade if pair in counted else row.grade
        found.setdefault(pair, LabelRow(query_id=pair[0], doc_id=pair[1], grade=grade))
    return list(found.values())


def _exchanged(name: str, path: Path, kind: str, rows: Sequence[LabelRow]) -> ExchangedLabels:
    pairs = {(row.query_id, row.doc_id) for row in rows}
    rated = {(row.query_id, row.doc_id) for row in rows if row.grade is not None}
    return ExchangedLabels(
        name=name,
        file=str(path),
        format=kind,
        num_pairs=len(pairs),
        num_rated=len(rated),
        num_ratings=sum(row.grade is not None for row in rows),
        num_unrated=len(pairs) - len(rated),
    )
