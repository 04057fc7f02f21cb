"""Import files: all or nothing, every fault listed; with ``skip_bad`` the bad rows are set aside and counted."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.filters import fields_in
from nearer.core.judging import named_sources
from nearer.core.progress import Progress, Silent
from nearer.core.records import JudgmentSource, Metadata
from nearer.core.results.data import Imported
from nearer.core.types import FieldType
from nearer.evaluation.grades import refuse_changed_scale
from nearer.evaluation.splits import assign
from nearer.retrieval.fields import FieldTypes
from nearer.retrieval.imported_types import ImportedTypes
from nearer.store.changing import put_documents, put_pairs, put_queries
from nearer.store.collection import members_of, queries_of
from nearer.store.formats import (
    Source,
    read_documents,
    read_judgments,
    read_pairs,
    read_queries,
)
from nearer.store.formats.beir import find_beir
from nearer.store.formats.encodings import known_encoding
from nearer.store.formats.judge_sheet import is_sheet
from nearer.store.importing import Import, ReadingOptions
from nearer.store.staging import staging
from nearer.store.workspace import Workspace

EVENTS = "events"


def add(
    workspace: Workspace,
    kind: str,
    path: Path | str,
    *,
    skip_bad: bool = False,
    encoding: str | None = None,
    make_ids: bool = False,
    by: str = "",
    progress: Progress | None = None,
) -> Imported:
    """Import one file of documents, queries, judgments, pairs or events (docs/reference/formats.md), or a BEIR folder.

    ``encoding`` is the files', where they are not UTF-8. ``make_ids`` gives documents and queries without an id one
    that their content makes. ``by`` says who made the judgments: a source, or a source and a rater as in "human:ann";
    "import" unless it is given, and "human" for a judge sheet.

    Raises ImportFaults with every fault, and nothing is imported then; InputError for another ``kind``, an encoding
    that is none, ``make_ids`` where ids refer to others, and ``by`` for what is no judgment or names no source.
    """
    if kind == EVENTS:
        if make_ids or encoding or by:
            raise InputError("events are UTF-8 and have ids", hint="leave --make-ids, --encoding and --by out")
        from nearer.flows.add_events import add_events

        return add_events(workspace, path, skip_bad=skip_bad)
    if kind not in _FILL:
        raise InputError(f"{kind!r} is no kind of file", hint=f"name one of: {', '.join([*_FILL, EVENTS])}")
    if make_ids and kind in ("judgments", "pairs"):
        raise InputError(f"no ids are made for {kind}", hint="leave --make-ids out")
    source, rater = _judge(kind, path, by, encoding=encoding)
    options = ReadingOptions(
        skip_bad=skip_bad,
        encoding=encoding and known_encoding(encoding),
        make_ids=make_ids,
        source=source,
        rater=rater,
    )
    progress, start = progress or Silent(), time.perf_counter()
    workspace.begin_writing()
    with staging(workspace.state) as (staged, connection):
        task = Import(workspace, connection, options, progress=progress)
        _FILL[kind](task, Path(path))
        task.refuse_faults()
        refuse_changed_scale(workspace, largest_grade=task.largest_grade)
        connection.commit()
        failpoint("import.staged")
        with workspace.write(f"add {kind}", staged=staged) as transaction:
            changes = task.take_over(transaction)
    failpoint("import.commit")
    return Imported(
        changes=changes,
        notes=(*task.notes.lines(), *filter(None, task.summary)),
        num_skipped=task.faults.num_rows,
        faults=tuple(task.faults.kept),
        num_faults=task.faults.num_faults,
        duration_s=time.perf_counter() - start,
        counts=workspace.collection.counts(),
        splits=workspace.collection.splits(),
    )


def _judge(kind: str, path: Path | str, by: str, *, encoding: str | None) -> tuple[JudgmentSource, str]:
    """The source and the rater of a file's judgments."""
    if not by:
        is_filled_in = kind == "judgments" and is_sheet(Source(Path(path), encoding=encoding))
        return ("human" if is_filled_in else "import"), ""
    if kind not in ("judgments", "beir"):
        raise InputError(f"--by {by}: {kind} are no judgments", hint="leave --by out")
    name, _, rater = by.partition(":")
    source, *others = named_sources(name, option="--by")
    if others:
        raise InputError(f"--by {by}: one source, two names", hint="for example: --by human:ann")
    if source == "clicks":
        raise InputError("--by clicks: judgments of clicks are made here", hint="nearer clicks judge")
    return source, rater.strip()


def _add_corpus(task: Import, path: Path) -> None:
    recipe = task.workspace.recipe
    used = [*recipe.index.filter_fields, *fields_in(recipe.search.filters), *recipe.search.boosts]
    rows = ((doc_id, metadata) for doc_id, _, metadata in task.workspace.collection.document_metadata())
    types = _types("documents", used, rows, texts=task.columns.documents.texts)
    found = read_documents(task.source(path), columns=task.columns, make_ids=task.options.make_ids)
    task.put("documents", types.checked(found, path), put_documents)
    task.summary += [types.note()]


def _add_queries(task: Import, path: Path) -> None:
    recipe = task.workspace.recipe
    conditions = [text for of in recipe.split.held_out.values() for text in ([of] if isinstance(of, str) else of)]
    rows = ((each.query_id, each.metadata) for each in task.workspace.collection.queries())
    used = [*fields_in(conditions), *recipe.search.query_time_fields]
    types = _types("queries", used, rows, texts=task.columns.queries.texts)
    found = read_queries(task.source(path), columns=task.columns, make_ids=task.options.make_ids)
    task.put("queries", types.checked(found, path), put_queries)
    task.summary += [types.note()]


def _types(
    kind: str, used: Sequence[str], rows: Iterable[tuple[str, Metadata]], *, texts: Collection[str]
) -> ImportedTypes:
    """The types that an import must keep: those of fields that the recipe compares, where the workspace has them."""
    kept: dict[str, FieldType] = {}
    of_each = {name: FieldTypes([name], texts=texts) for name in used}
    for key, metadata in rows if used else ():
        for name, types in list(of_each.items()):
            try:
                types.see(key, metadata)
            except InputError:
                del of_each[name]
    for types in of_each.values():
        with suppress(InputError):  # a field of mixed types keeps none
            kept |= types.found()
    return ImportedTypes(kind, kept, texts=texts)


def _add_pairs(task: Import, path: Path) -> None:
    task.put("pairs", read_pairs(task.source(path), columns=task.columns), put_pairs)


def _add_judgments(task: Import, path: Path, split: str | None = None) -> None:
    if is_sheet(task.source(path)):
        task.put_sheet(path)
        return
    rows = read_judgments(task.source(path), max_grade=task.max_grade, columns=task.columns)
    task.put_judgments(path, rows, split=split)


def _add_beir(task: Import, path: Path) -> None:
    folder = find_beir(path)
    _add_corpus(task, folder.corpus)
    _add_queries(task, folder.queries)
    for split, qrels in folder.qrels.items():
        _add_judgments(task, qrels, split)
    if "train" in folder.qrels and "dev" not in folder.qrels:
        _draw_dev(task)


def _draw_dev(task: Import) -> None:
    """Draw dev out of train, as many sets come without one; by hash, so the same import draws the same queries."""
    with task.workspace.database.read() as connection:
        known, staged = task.workspace.collection.queries(), queries_of(task.connection)
        query_of = {query.query_id: query for query in [*known, *staged]}
        ids = {*members_of(connection, "train"), *members_of(task.connection, "train")}
    in_train = [query_of[query_id] for query_id in sorted(ids, key=str.encode)]
    recipe = task.workspace.recipe.split.model_copy(update={"test_fraction": 0.0})
    task.drawn = [query_id for query_id, side in assign(in_train, recipe=recipe).items() if side == "dev"]
    task.progress.say(
        f"the set has no dev split: {len(task.drawn)} of {len(in_train)} training queries were drawn for it"
    )


_FILL: dict[str, Callable[[Import, Path], None]] = {
    "beir": _add_beir,
    "corpus": _add_corpus,
    "queries": _add_queries,
    "judgments": _add_judgments,
    "pairs": _add_pairs,
}
