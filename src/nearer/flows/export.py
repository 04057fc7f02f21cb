"""Write what other tools read: runs, qrels and topics in TREC's formats."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.data import Exported
from nearer.core.results.measuring import ExcludedDocuments
from nearer.encode.embedded import Corpora
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ranking import rank
from nearer.evaluation.ready import ready_to_measure
from nearer.evaluation.splits import ensure_splits
from nearer.store.files import write_atomic
from nearer.store.formats.source import GZIP
from nearer.store.formats.trec import check_words, qrels_lines, run_lines, topic_lines
from nearer.store.workspace import Workspace
from nearer.systems import open_system

KINDS = ("run", "qrels", "topics")


def export(
    workspace: Workspace,
    kind: str,
    path: Path | str,
    *,
    system: str = "base",
    split: str = "dev",
    progress: Progress | None = None,
) -> Exported:
    """Write a ``system``'s run, or the ``qrels`` or ``topics``, of a split; gzipped when the name ends in .gz.

    A run ranks the queries that `nearer evaluate` measures, and as deep. On a test split it is a look, for it can be
    measured elsewhere. Raises InputError for another kind, an empty split, ids that hold white space, and a file that
    cannot be written; WorkspaceError where that look could not be entered. Then nothing is written.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} cannot be exported", hint=f"name one of: {', '.join(KINDS)}, vectors, model")
    if kind == "run":
        ready_to_measure(workspace)
        lines, excluded = _run(workspace, system, split, progress=progress or Silent())
    else:
        ensure_splits(workspace)
        excluded = None
        lines = _qrels(workspace, split) if kind == "qrels" else _topics(workspace, split)
    num_lines = _write(Path(path), lines)
    failpoint("export.file")
    return Exported(kind=kind, split=split, file=str(path), num_lines=num_lines, excluded=excluded)


def _run(workspace: Workspace, name: str, split: str, *, progress: Progress) -> tuple[list[str], ExcludedDocuments]:
    workspace.registry.refuse_look(split)
    corpora = Corpora(workspace, progress)
    judged = read_judged_with(corpora, split)
    system = open_system(workspace, name)
    embedded, ranked, exclusions = rank(corpora, system, judged.queries)
    corpora.refuse_edited(judged.revision)
    corpus = embedded.corpus
    check_words((query.query_id for query in judged.queries), "query")
    check_words((corpus.documents[row].doc_id for row in set(ranked.rows_QK.flat) if row >= 0), "document")

    def rankings() -> Iterator[tuple[str, Iterable[tuple[str, object]]]]:
        for query, rows_K, scores_K in zip(judged.queries, ranked.rows_QK, ranked.scores_QK, strict=True):
            found = zip(rows_K, scores_K, strict=True)
            yield query.query_id, ((corpus.documents[row].doc_id, score) for row, score in found if row >= 0)

    lines = list(run_lines(rankings(), tag=system.model.model_id))
    workspace.registry.use_test_split(split=split, systems=[name], purpose="export")
    return lines, exclusions.counts


def _qrels(workspace: Workspace, split: str) -> list[str]:
    judgments = workspace.collection.judgments(split)
    check_words((judgment.query_id for judgment in judgments), "query")
    check_words((judgment.doc_id for judgment in judgments), "document")
    return list(qrels_lines(judgments))


def _topics(workspace: Workspace, split: str) -> list[str]:
    queries = workspace.collection.queries(split)
    check_words((query.query_id for query in queries), "query")
    return list(topic_lines(queries))


def _write(path: Path, lines: list[str]) -> int:
    """Write the lines in one step; how many they are."""
    if not lines:
        raise InputError("there is nothing to export", hint="name another split with --split; see: nearer check")
    data = "".join(lines).encode()
    try:
        write_atomic(path, gzip.compress(data, mtime=0) if path.suffix == GZIP else data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="check the path and the disk") from error
    return len(lines)
