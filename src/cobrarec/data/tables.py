"""Tables in and out: Parquet, CSV and JSON lines on disk, arrow, pandas and polars in memory.

CSV is read as text throughout, so that the id "007" stays "007". Nothing half-written is ever left under a final name.
"""

import contextlib
import csv
import errno
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.errors import DataError, MachineError

Source: TypeAlias = Any
"""A path (`.parquet`, `.csv`, `.jsonl`, `.ndjson`) or a table: arrow, pandas, polars or anything with `__arrow_c_stream__`."""

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
MAX_CSV_LINE_BYTES = 1 << 25
JSON_BLOCK_BYTES = 1 << 26
_CSV_FORM = {"header": True, "sep": ",", "quotechar": '"', "escapechar": '"', "na_values": "", "auto_detect": False}


def read_table(source: Source, what: str) -> pa.Table:
    """Read a table and check that it is whole.

    Args:
        source: see `Source`. In CSV every value is text, an empty field is null and a column without a name is dropped.
        what: what the table is, for messages: `"items table"`.

    Returns:
        The table; categorical columns are decoded.

    Raises:
        DataError: no such file, another format, empty, cut off, not UTF-8, or two columns of one name.
        MachineError: it does not fit into memory.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = f"{what} {path}"
        table = _read_file(path, name)
    else:
        name = what
        table = _from_memory(source, name)
    _refuse_double_columns(table.schema.names, name)
    return _plain_columns(table)


def check_suffix(path: Path) -> str:
    """The suffix of a table to be written, in small letters; raises DataError for one that is not in `SUFFIXES`."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"Cannot write {path}: the suffix is {suffix or 'missing'}, expected one of {', '.join(SUFFIXES)}.")
    return suffix


def write_table(table: pa.Table, path: Path) -> None:
    """Write `table` in the format of the suffix, beside `path` first and then renamed.

    Lists are written as JSON text in CSV, which has none.

    Raises:
        DataError: a suffix that is not one of `SUFFIXES`.
        MachineError: the disk is full.
    """
    suffix = check_suffix(path)
    with write_beside(path) as partial:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, partial, compression="zstd")
        elif suffix == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(_flat_columns(table), partial)
        else:
            with partial.open("w", encoding="utf-8") as file:
                for batch in table.to_batches(max_chunksize=10_000):
                    file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in batch.to_pylist())


@contextlib.contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it replaces `path` when the block ends well and is removed when it does not.

    Raises:
        MachineError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(f"The disk is full: {path} was not written, what was there before is whole.") from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def require_columns(table: pa.Table, names: Sequence[str], what: str) -> None:
    """Refuse a table that lacks one of `names`.

    Raises:
        DataError: names what is missing and what there is.
    """
    missing = [name for name in names if name not in table.schema.names]
    if missing:
        there = ", ".join(table.schema.names) or "none"
        hint = " (a CSV file must separate its fields with commas)" if len(table.schema.names) == 1 else ""
        raise DataError(f"The {what} lacks the column {' and '.join(missing)}; its columns are: {there}{hint}. Rename or add it.")


def refuse_nulls(column: pa.ChunkedArray, name: str, what: str) -> None:
    """Refuse a column with nulls.

    Raises:
        DataError: says how many and where the first one is.
    """
    if column.null_count:
        first = pc.index(pc.is_null(column), True).as_py()
        raise DataError(
            f"Column {name} of the {what} has {column.null_count:,} null values, the first in data row {first + 1}; "
            "every row needs a value. Remove these rows or fill them in."
        )


def id_column(table: pa.Table, name: str, what: str) -> pa.ChunkedArray:
    """The ids of one column, as int64 or large_string.

    Raises:
        DataError: the column is missing, has nulls or holds neither integers nor strings.
    """
    require_columns(table, [name], what)
    column = table.column(name)
    refuse_nulls(column, name, what)
    if pa.types.is_integer(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError(f"Column {name} of the {what} has integers above 2^63 - 1; give such ids as strings.") from None
    if pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
        return column.cast(pa.large_string())
    if len(column) == 0:
        return column.cast(pa.large_string())
    hint = " (in pandas, integers beside a missing value become float)" if pa.types.is_floating(column.type) else ""
    raise DataError(f"Column {name} of the {what} holds {column.type}, expected integers or strings{hint}. Convert it to one of them.")


def id_array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The ids of `id_column` as int64, or as an object array of str."""
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values


def check_file(path: Path, name: str) -> str:
    """The suffix, in small letters, of a table to be read; raises DataError where there is no such file or for another suffix."""
    if not path.is_file():
        raise DataError(f"The {name} {'is a folder' if path.is_dir() else 'does not exist'}; give a file ({', '.join(SUFFIXES)}).")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"The {name} has the suffix {path.suffix or '(none)'}, expected one of {', '.join(SUFFIXES)}.")
    return path.suffix.lower()


def _read_file(path: Path, name: str) -> pa.Table:
    suffix = check_file(path, name)
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json_lines, ".ndjson": _read_json_lines}
    try:
        if path.stat().st_size == 0:
            raise DataError(f"The {name} is empty (0 bytes); expected a table. Write the file anew.")
        return readers[suffix](path, name)
    except MemoryError as error:
        raise MachineError(f"The memory does not suffice to read the {name}. Give fewer rows or columns, or a larger machine.") from error
    except PermissionError:
        raise DataError(f"The {name} may not be read by this user. Change its permissions.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"The {name} cannot be read, is it cut off or not what its suffix says? Write it anew. The reader said: {_first_line(error)}"
        ) from None


def _read_parquet(path: Path, name: str) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _refuse_double_columns(file.schema_arrow.names, name)
        table = file.read()
    table.validate(full=True)
    return table


def _read_csv(path: Path, name: str) -> pa.Table:
    import duckdb

    connection = duckdb.connect()
    try:
        relation, header = csv_relation(connection, path, name)
        table = relation.to_arrow_table().rename_columns(header)
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from error
    except duckdb.Error as error:
        raise DataError(f"The {name} cannot be read as CSV in UTF-8: {_csv_reason(error)}. Mend the file or write it anew.") from None
    finally:
        connection.close()
    return _with_lists(table.select([n for n, column in enumerate(header) if column]))


def csv_relation(connection: Any, path: Path, name: str) -> tuple[Any, list[str]]:
    """A CSV file as a relation of duckdb with text columns `column_0`, ..., and the names in its header."""
    header = _csv_header(path, name)
    columns = {f"column_{n}": "VARCHAR" for n in range(len(header))}
    return connection.read_csv(file_pattern(path), columns=columns, max_line_size=MAX_CSV_LINE_BYTES, **_CSV_FORM), header


def file_pattern(path: Path) -> str:
    """The pattern of duckdb that matches this one path."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def _with_lists(table: pa.Table) -> pa.Table:
    """Columns whose every cell is a JSON list of texts (the form in which `write_table` puts lists into CSV) as lists."""
    for n, field in enumerate(table.schema):
        column = table.column(n)
        if field.name.endswith("_id") or column.null_count == len(column):
            continue
        if not pc.all(pc.and_(pc.starts_with(column, "["), pc.ends_with(column, "]")), skip_nulls=True).as_py():
            continue
        try:
            values = [None if text is None else json.loads(text) for text in column.to_pylist()]
            table = table.set_column(n, field.name, pa.array(values, pa.list_(pa.large_string())))
        except (ValueError, pa.ArrowException):
            continue  # brackets that are no JSON list of texts are text like any other
    return table


def _csv_header(path: Path, name: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"The {name} is not CSV in UTF-8. Save it as UTF-8 text.") from None
    header = [column.strip() for column in header]
    if not any(header):
        raise DataError(f"The {name} has no header line; the first line must name the columns.")
    _refuse_double_columns([column for column in header if column], name)
    return header


def _read_json_lines(path: Path, name: str) -> pa.Table:
    import pyarrow.json

    read = pyarrow.json.ReadOptions(block_size=JSON_BLOCK_BYTES)
    table = pyarrow.json.read_json(path, read_options=read)
    schema = pa.schema([field.with_type(_without_times(field.type)) for field in table.schema])
    if schema != table.schema:
        # Arrow takes strings that look like dates for times; an id or a title must stay the text that it is.
        table = pyarrow.json.read_json(path, read_options=read, parse_options=pyarrow.json.ParseOptions(explicit_schema=schema))
    if not table.schema.names:
        raise DataError(f"The {name} holds no JSON object; expected one object a line.")
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        raise DataError(f"The {name} is not UTF-8. Save it as UTF-8 text.") from None
    return table


def _without_times(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.large_string()
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_times(field.type)) for field in kind])
    return kind


def _from_memory(source: Source, name: str) -> pa.Table:
    try:
        if isinstance(source, pa.Table):
            return source
        if type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "columns"):
            _refuse_double_columns([str(column) for column in source.columns], name)
            return pa.Table.from_pandas(source, preserve_index=False).replace_schema_metadata()
        if hasattr(source, "collect_schema") and hasattr(source, "collect"):
            source = source.collect()
        if hasattr(source, "__arrow_c_stream__"):
            return pa.table(source)
    except pa.ArrowException as error:
        raise DataError(f"The {name} cannot be read, does a column mix types? {_first_line(error)}") from None
    raise DataError(f"The {name} is a {type(source).__name__}; expected a path or an arrow, pandas or polars table.")


def _refuse_double_columns(names: Sequence[str], name: str) -> None:
    double = [column for column, count in Counter(names).items() if count > 1]
    if double:
        raise DataError(f"The {name} has the column {' and '.join(double)} more than once. Rename or remove one of them.")


def _plain_columns(table: pa.Table) -> pa.Table:
    for n, field in enumerate(table.schema):
        column = table.column(n)
        if pa.types.is_dictionary(column.type):
            parts = [_plain_text(chunk.dictionary).take(chunk.indices) for chunk in column.chunks]
            column = pa.chunked_array(parts) if parts else pa.chunked_array([], pa.large_string())
        column = _plain_text(column)
        if column.type != field.type:
            table = table.set_column(n, field.name, column)
    return table


def _plain_text(values: Any) -> Any:
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values


def _flat_columns(table: pa.Table) -> pa.Table:
    for n, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in table.column(n).to_pylist()]
            table = table.set_column(n, field.name, pa.array(texts, pa.large_string()))
    return table


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _csv_reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0].rpartition("CSV Error on ")[2]
    reasons = ("unterminated quote", "Expected Number", "unicode", "Maximum line size")
    reason = next((text for text in lines if any(part in text for part in reasons)), "")
    return f"{line[0].lower()}{line[1:]}: {reason.rstrip('. ')}" if reason and reason != lines[0] else lines[0].rstrip(". ")
