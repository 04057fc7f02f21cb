"""Click logs from files: CSV, TSV, JSONL or Parquet with a row for every document that was shown, or UBI as JSONL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from numpy.typing import NDArray

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import ImportFaults, InputError
from nearer.signals.click_log import MAX_RANKS, ClickLog, build_log
from nearer.signals.incoming import Faults
from nearer.signals.ubi import is_ubi, read_ubi

COLUMNS = ("session", "query", "doc", "position", "clicked")
OPTIONAL = ("user", "propensity")
CLICK = "click"
_NUMBERS = ("position", "clicked", "propensity", "dwell_s", "value")
_JSON = (".jsonl", ".ndjson", ".json")
_TRUE, _FALSE = {"1", "true", "yes", "t", "1.0"}, {"0", "false", "no", "f", "0.0", ""}


def read_log(path: Path, *, first_rank: int | None = None) -> ClickLog:
    """A log with the columns ``session, query, doc, position, clicked``; ``user`` and ``propensity`` where there are.

    JSON lines of User Behavior Insights are a list a query, clicked where an event named ``click`` says so.
    Positions count from ``first_rank``; without one, from what every session that shows its top starts with.

    Raises InputError for a file that cannot be read, without these columns, with values that are no position and no
    click, and where some lists start at 0 and others at 1.
    """
    if path.suffix.lower() in _JSON and path.is_file() and is_ubi(path):
        return _of_ubi(path, first_rank=first_rank)
    table = read_table(path)
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(table.column_names)}",
            hint=f"a click log has the columns {', '.join(COLUMNS)}, a row for every document shown",
        )
    if not table.num_rows:
        raise InputError(f"{path}: no rows", hint="give a row for every document that was shown, clicked or not")
    texts = {name: _texts(table, name, path) for name in ("session", "query", "doc")}
    positions = _positions(table, path)
    base = _first(positions, texts, path) if first_rank is None else first_rank
    user_I = _texts(table, "user", path, may_lack=True) if "user" in table.column_names else None
    propensity_I = _propensities(table, path) if "propensity" in table.column_names else None
    return build_log(
        texts["session"],
        texts["query"],
        texts["doc"],
        positions - base,
        _clicked(table, path),
        users=user_I,
        propensities=propensity_I,
    )


def _of_ubi(path: Path, *, first_rank: int | None) -> ClickLog:
    """Queries with what they showed, and clicks on it. Raises InputError for lines that are neither, and no queries."""
    faults = Faults(path=path)
    found = read_ubi(path, first_rank=first_rank, hashed=str, faults=faults)
    if faults.log.num_faults:
        raise ImportFaults(faults.log, hint="mend these lines, or leave them out", outcome="nothing was fitted")
    clicks = {
        (query_id, doc_id)
        for query_id, doc_id, action in zip(*_columns(found.events, "query_id", "doc_id", "action"), strict=True)
        if action == CLICK
    }
    shown = [
        (query_id, query, doc_id, ordinal - 1, (query_id, doc_id) in clicks, user)
        for query_id, query, user, doc_ids, ordinals in zip(
            *_columns(found.impressions, "query_id", "query", "user", "doc_ids", "ordinals"), strict=True
        )
        for doc_id, ordinal in zip(doc_ids, ordinals, strict=True)
    ]
    if not shown:
        raise InputError(
            f"{path}: no query says what it showed",
            hint="give query_response_hit_ids, or events named impression with object_id and position",
        )
    sessions, queries, documents, ranks, clicked, users = zip(*shown, strict=True)
    return build_log(
        sessions,
        queries,
        documents,
        np.asarray(ranks, np.int64),
        np.asarray(clicked, bool),
        users=users,
        num_elsewhere=len(clicks - {(row[0], row[2]) for row in shown}),
    )


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def read_table(path: Path, *, names: Mapping[str, str] | None = None, optional: Sequence[str] = OPTIONAL) -> pa.Table:
    """A file as a table, with our names of columns where ``names`` says what the file calls them.

    Raises InputError for a file that cannot be read, for a column that is named and not there, or there twice, and for
    one that holds neither texts nor numbers.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file", hint="check the path")
    called, suffix = dict(names or {}), path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = pyarrow.parquet.read_table(path)
        elif suffix in _JSON:
            table = pyarrow.json.read_json(path)
        else:
            texts = {called.get(name, name): pa.string() for name in (*COLUMNS, *optional)}
            table = pyarrow.csv.read_csv(
                path,
                parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if suffix in (".tsv", ".tab") else ","),
                convert_options=pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=False),
            )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}", hint="give CSV, TSV, JSONL or Parquet in UTF-8") from error
    if missing := [each for each in called.values() if each not in table.column_names]:
        raise InputError(f"{path}: no column {missing[0]!r}", hint=f"it has {', '.join(table.column_names)[:500]}")
    ours = {theirs: name for name, theirs in called.items()}
    kept = [name for name in table.column_names if name in ours or name not in called]
    if len(set(kept)) < len(kept):
        raise InputError(f"{path}: a column is there twice: {', '.join(kept)[:500]}", hint="keep one")
    table = table.select(kept).rename_columns([ours.get(name, name) for name in kept])
    for place, name in enumerate(table.column_names):
        if name in (*COLUMNS, *optional):
            table = table.set_column(place, name, _plain(table[name], name, path))
    return table


def _plain(column: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    """A column of texts, numbers or, where no number is needed, times. Raises InputError for any other."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:
            raise InputError(f"{path}: the column {name} is not UTF-8", hint="write it as text") from None
    if pa.types.is_nested(kind) or (pa.types.is_temporal(kind) and name in _NUMBERS):
        raise InputError(
            f"{path}: the column {name} holds values of the type {kind!s:.80}", hint="give one text or number"
        )
    return column


def _texts(table: pa.Table, name: str, path: Path, *, may_lack: bool = False) -> NDArray[np.object_]:
    """The texts of a column. Raises InputError for a row without one, unless that may be: then it is empty."""
    column = pc.fill_null(table[name].combine_chunks().cast(pa.string()), "")
    is_blank = pc.equal(pc.utf8_trim_whitespace(column), "")
    if may_lack:
        column = pc.if_else(is_blank, "", column)
    elif pc.any(is_blank).as_py():
        row = int(pc.index(is_blank, True).as_py())
        raise InputError(f"{path}: row {row + 1} has no {name}", hint="fill it in, or leave the row out")
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def _propensities(table: pa.Table, path: Path) -> Floats64:
    found = _numbers(table, "propensity", path)
    if len(odd := np.flatnonzero(~((found > 0) & (found <= 1)))):
        row = int(odd[0])
        raise InputError(
            f"{path}: row {row + 1} has the propensity {found[row]:g}", hint="a chance is above 0 and at most 1"
        )
    return found


def _numbers(table: pa.Table, name: str, path: Path) -> Floats64:
    column = table[name].combine_chunks()
    try:
        found: Any = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        bad = next(row for row, each in enumerate(column.to_pylist()) if not _is_number(each))
        said = f"{path}: row {bad + 1} has the {name} {column[bad].as_py()!r}, which is no number"
        raise InputError(said, hint="give numbers") from None
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise InputError(f"{path}: row {row + 1} has no {name}", hint="fill it in, or leave the row out")
    return np.asarray(found, np.float64)


def _positions(table: pa.Table, path: Path) -> Ints:
    found = _numbers(table, "position", path)
    broken = np.flatnonzero((found != np.floor(found)) | (found < 0) | (found > MAX_RANKS))
    if len(broken):
        row = int(broken[0])
        raise InputError(
            f"{path}: row {row + 1} has the position {found[row]:g}",
            hint=f"positions are whole numbers from the top, at most {MAX_RANKS}",
        )
    return found.astype(np.int64)


def _first(positions: Ints, texts: Mapping[str, Any], path: Path) -> int:
    """What the top is called: 0 or 1, whichever all lists start with that show it."""
    lists = [f"{session}\n{query}" for session, query in zip(texts["session"], texts["query"], strict=True)]
    _, list_I = np.unique(np.asarray(lists, object), return_inverse=True)
    least_L = np.full(int(list_I.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least_L, list_I, positions)
    zeros, ones = int((least_L == 0).sum()), int((least_L == 1).sum())
    if zeros and ones:
        raise InputError(
            f"{path}: {zeros} lists start at position 0 and {ones} at 1, so nobody knows what 1 means",
            hint="say it: --first-rank 0 or --first-rank 1",
        )
    return 0 if zeros else 1


def _clicked(table: pa.Table, path: Path) -> Bools:
    found, is_bad_I = is_true(table["clicked"])
    if is_bad_I.any():
        row = int(np.flatnonzero(is_bad_I)[0])
        said = table["clicked"][row].as_py()
        raise InputError(f"{path}: row {row + 1} has {said!r} under clicked", hint="write 1 or 0, true or false")
    return found


def is_true(column: pa.ChunkedArray) -> tuple[Bools, Bools]:
    """Which rows say yes, and which neither yes nor no; nothing is no."""
    column = column.combine_chunks()
    if pa.types.is_boolean(column.type):
        found = np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), bool)
        return found, np.zeros(len(column), bool)
    names = column.cast(pa.string()).dictionary_encode()
    kinds = [each.strip().lower() for each in names.dictionary.to_pylist()]
    codes = names.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    yes = np.asarray([*(each in _TRUE for each in kinds), False], bool)
    odd = np.asarray([*(each not in _TRUE | _FALSE for each in kinds), False], bool)
    return yes[codes], odd[codes]


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
