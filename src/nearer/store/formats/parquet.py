"""Parquet: columns with types of their own, read in batches; the row counts where other formats count lines."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.errors import Fault, InputError
from nearer.store.formats.columns import Columns, Plan, tell_taken
from nearer.store.formats.encodings import UTF8
from nearer.store.formats.fields import check_storable
from nearer.store.formats.rows import Fields, Found, shown
from nearer.store.formats.source import Source, WholeFile, explain, no_rows, open_regular

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1000
_BUFFER_BYTES = 2**20  # of a column while it is read: a row group need not fit into memory
_ZEROS = re.compile(r"\.0+(?=Z?$)")


def read_parquet(source: Source, columns: Columns) -> Iterator[Found]:
    """The fields of every row, or what is wrong with it."""
    import pyarrow as pa

    num_rows, file = 0, str(source.path)
    fault: Fault | None = None
    try:
        for num_rows, found in enumerate(_read(source, columns), start=1):
            if isinstance(found, InputError):
                yield source.fault(num_rows, found)
            else:
                yield num_rows, found
    except OSError as error:
        fault = source.fault(0, explain(error) if error.errno else _damaged(error))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        fault = source.fault(0, _damaged(error))
    except WholeFile as error:
        fault = source.fault(0, error)
    if fault or num_rows == 0:
        yield fault or no_rows(file, has_header=True)


def _read(source: Source, columns: Columns) -> Iterator[Fields | InputError]:
    import pyarrow.parquet as pq

    path = source.path
    if source.encoding not in (None, UTF8):
        raise WholeFile(f"Parquet holds UTF-8, not {source.encoding}", hint="leave --encoding out")
    with open_regular(path) as head:
        if head.peek(4)[:4] != b"PAR1":
            hint = "end the file's name in its own format: .jsonl, .csv, .tsv"
            raise WholeFile("not Parquet, though its name says so", hint=hint)
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
        schema = file.schema_arrow
        header = [name for name in schema.names if not _is_index(name, schema, columns)]
        if len(header) < len(schema.names):
            source.notes.say(path, "the row numbers of pandas, a column without a name, excluded")
        taken = columns.taken_as(header)
        fields = [taken.get(name, name) for name in header]
        columns.check_header(fields)
        tell_taken(taken, source)
        plan = columns.plan(fields, has_header=True)
        wanted = plan.columns
        used = {name: field for name, field in zip(header, fields, strict=True) if field in wanted}
        readers = [_reader(schema.field(name).type, name, columns) for name in used]
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(used), use_threads=False):
            cells = [read(batch.column(name)) for name, read in zip(used, readers, strict=True)]
            for values in zip(*cells, strict=True):
                yield _fields(dict(zip(used.values(), values, strict=True)), plan, source)


def _is_index(name: str, schema: "pa.Schema", columns: Columns) -> bool:
    """Whether a column holds the row numbers of pandas."""
    import pyarrow as pa

    return columns.is_unnamed(name) and pa.types.is_integer(schema.field(name).type)


def _fields(row: Fields, plan: Plan, source: Source) -> Fields | InputError:
    try:
        for value in row.values():
            if isinstance(value, InputError):
                raise value
            check_storable(value, source=source)
        return plan.fields(row)
    except InputError as error:
        return error


def _damaged(error: Exception) -> InputError:
    return InputError(f"damaged Parquet: {str(error).splitlines()[0][:200]}", hint="copy or export the file again")


Reader = Callable[["pa.Array"], Sequence[Any]]


def _reader(kind: "pa.DataType", name: str, columns: Columns) -> Reader:
    """How a column of a type becomes values of JSON. Raises WholeFile for a type that has none.

    A number of less than 64 bits is the decimal number that it prints as: 1.1 is 1.1 in every format.
    """
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        inner = _reader(kind.storage_type, name, columns)
        return lambda array: inner(array.storage)
    if types.is_dictionary(kind):
        inner = _reader(kind.value_type, name, columns)
        return lambda array: inner(array.dictionary_decode())
    if types.is_timestamp(kind):
        utc = pa.timestamp(kind.unit, "UTC") if kind.tz else kind
        return lambda array: _iso(array.cast(utc))
    if types.is_date(kind) or types.is_time(kind):
        return _iso
    if types.is_decimal(kind):
        convert = int if kind.scale <= 0 else float
        return lambda array: [None if value is None else convert(value) for value in array.to_pylist()]
    if types.is_float16(kind) or types.is_float32(kind):
        short = np.float16 if types.is_float16(kind) else np.float32
        return lambda array: [None if value is None else float(str(short(value))) for value in array.to_pylist()]
    if _is_json(kind):
        return lambda array: _plain(array, name)
    hint = f"convert it, or leave it out: ignore = [{shown(name)}] in [columns.{columns.kind.section}]"
    raise WholeFile(f"the column {shown(name)} is of type {kind}, not text or a number", hint=hint)


def _is_json(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_json(kind.value_type)
    if types.is_struct(kind):
        return all(_is_json(kind.field(place).type) for place in range(kind.num_fields))
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind)
    return bool(is_text or is_number or types.is_boolean(kind) or types.is_null(kind))


def _iso(array: "pa.Array") -> list[str | None]:
    """Times as ISO 8601 text, without a fraction of zeros."""
    import pyarrow as pa

    texts = array.cast(pa.string()).to_pylist()
    return [None if text is None else _ZEROS.sub("", text.replace(" ", "T", 1)) for text in texts]


def _plain(array: "pa.Array", name: str) -> list[Any]:
    """Python values; an InputError for what is not UTF-8."""
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        return [_cell(scalar, name) for scalar in array]
    return values


def _cell(scalar: "pa.Scalar", name: str) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return InputError(
            f"not UTF-8 at byte {error.start + 1} of {shown(name)}", hint="export the text as UTF-8 again"
        )
