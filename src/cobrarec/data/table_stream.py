"""Tables that are written piece by piece, so that they are never held whole."""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from cobrarec.data.tables import check_suffix, write_beside


def write_tables(tables: Iterable[pa.Table], path: Path) -> None:
    """Write tables of one schema without nested columns as one, each when it comes; beside `path` first and then renamed.

    Raises:
        DataError: a suffix that is not one of `SUFFIXES`.
        MachineError: the disk is full.
    """
    suffix = check_suffix(path)
    with write_beside(path) as partial, ExitStack() as files:
        write: Callable[[pa.Table], None] | None = None
        for table in tables:
            write = write or _writer(partial, suffix, table.schema, files)
            write(table)
        assert write is not None, "no table says which columns there are"


def _writer(path: Path, suffix: str, schema: pa.Schema, files: ExitStack) -> Callable[[pa.Table], None]:
    """What appends a table to the file, which is closed with `files`."""
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return files.enter_context(pq.ParquetWriter(path, schema, compression="zstd")).write_table
    if suffix == ".csv":
        import pyarrow.csv

        return files.enter_context(pyarrow.csv.CSVWriter(path, schema)).write_table
    file = files.enter_context(path.open("w", encoding="utf-8"))

    def write_lines(table: pa.Table) -> None:
        for batch in table.to_batches(max_chunksize=10_000):
            file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in batch.to_pylist())

    return write_lines
