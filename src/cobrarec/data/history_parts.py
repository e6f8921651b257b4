"""Histories of a table that need not fit into memory: sorted by user on disk, then read so many users at a time."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from cobrarec.data.catalog import Catalog, UnknownPolicy
from cobrarec.data.interactions import Histories, InteractionCounts, read_histories
from cobrarec.data.tables import (
    check_file,
    csv_relation,
    file_pattern,
    read_table,
    refuse_nulls,
    require_columns,
    write_beside,
    write_table,
)
from cobrarec.errors import DataError, MachineError

SORT_MEMORY = "1GB"
"""What sorting may hold in memory; the rest goes to disk."""
_COLUMNS = ("user_id", "item_id", "position", "timestamp")
_WHAT = "histories table"


def sort_by_user(source: Path, file: Path) -> None:
    """Write the columns of histories in `source` to the parquet `file`, user after user, with the number of each row's user.

    Users are numbered in the order of their first row, and keep the order of their rows. Tables in Parquet and CSV are never held in
    memory whole, JSON lines are. What does not fit into `SORT_MEMORY` lies beside `file` meanwhile.

    Raises:
        DataError: no such file, another format, damaged, without `user_id` or `item_id`, or with nulls in one of them.
        MachineError: the disk is full, or the memory spent.
    """
    import duckdb

    suffix, name = check_file(source, f"{_WHAT} {source}"), f"{_WHAT} {source}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sort-", dir=file.parent) as spill:
        connection = duckdb.connect(config={"memory_limit": SORT_MEMORY, "temp_directory": spill})
        try:
            with _interruptible(connection) as run:
                if suffix != ".parquet":
                    source = run(_as_parquet, connection, source, suffix, name, Path(spill) / "table.parquet")
                run(_sort, connection, source, name, file)
        except duckdb.OutOfMemoryException as error:
            raise MachineError(f"Memory or disk do not suffice to sort the {name} by user: {_first_line(error)}") from error
        except duckdb.Error as error:
            if "No space left" in str(error):
                raise MachineError(f"The disk is full: the {name} was not sorted by user. Free space, then go on.") from error
            raise DataError(f"The {name} cannot be read, is it cut off or not what its suffix says? {_first_line(error)}") from None
        finally:
            connection.close()


@contextmanager
def _interruptible(connection: Any) -> Iterator[Callable[..., Any]]:
    """Give what calls a function in a thread: inside queries of the main thread duckdb turns signals into errors of its own."""
    with ThreadPoolExecutor(1) as thread:
        try:
            yield lambda function, *arguments: thread.submit(function, *arguments).result()
        except BaseException:
            connection.interrupt()
            raise


def _as_parquet(connection: Any, source: Path, suffix: str, name: str, file: Path) -> Path:
    """The same table, as it is read, in Parquet."""
    if suffix == ".csv":
        relation, header = csv_relation(connection, source, name)
        _require_ids([column for column in header if column], name)
        columns = [f'column_{n} AS "{column}"' for n, column in enumerate(header) if column in _COLUMNS]
        relation.project(", ".join(columns)).write_parquet(str(file))
    else:
        write_table(read_table(source, _WHAT), file)
    return file


def _sort(connection: Any, source: Path, name: str, file: Path) -> None:
    table = connection.read_parquet(file_pattern(source), file_row_number=True, hive_partitioning=False)
    _require_ids(table.columns[:-1], name)
    names = [column for column in _COLUMNS if column in table.columns]
    table.project(", ".join([*names, "file_row_number AS place"])).create_view("source")
    _refuse_nulls(connection, source, name)
    connection.execute(
        "CREATE TABLE users AS SELECT user_id, CAST(row_number() OVER (ORDER BY min(place)) - 1 AS BIGINT) AS number "
        "FROM source GROUP BY user_id"
    )
    sort = f"SELECT number, {', '.join(names)} FROM source JOIN users USING (user_id) ORDER BY number, place"
    with write_beside(file) as partial:
        connection.sql(sort).write_parquet(str(partial), compression="zstd")


def _require_ids(columns: Sequence[str], name: str) -> None:
    require_columns(pa.table({column: pa.nulls(0) for column in columns}), ["user_id", "item_id"], name)


def _refuse_nulls(connection: Any, source: Path, name: str) -> None:
    import pyarrow.parquet as pq

    held = connection.execute("SELECT count(*), count(user_id), count(item_id) FROM source").fetchone()
    for column, count in (("user_id", held[1]), ("item_id", held[2])):
        if count < held[0]:
            refuse_nulls(pq.read_table(source, columns=[column], partitioning=None).column(column), column, name)


class HistoryParts:
    """What `sort_by_user` wrote, with users by their numbers."""

    def __init__(self, file: Path, catalog: Catalog, unknown: UnknownPolicy = "skip", time_unit: str | None = None) -> None:
        """`time_unit` is how the times of other users of the same table were read, None where that is not known."""
        import pyarrow.parquet as pq

        self.time_unit = time_unit
        self._file, self._catalog, self._unknown = file, catalog, unknown
        with pq.ParquetFile(file) as opened:
            place = opened.schema_arrow.get_field_index("number")
            groups = [opened.metadata.row_group(n) for n in range(opened.metadata.num_row_groups)]
            self.num_users = max((group.column(place).statistics.max + 1 for group in groups if group.num_rows), default=0)

    def read(self, first: int, num_users: int) -> tuple[Histories, InteractionCounts]:
        """`read_histories` of the users numbered `first` to `first + num_users - 1`.

        Raises:
            DataError: as `read_histories`, and where times are of another unit than those of users that were read before.
        """
        import pyarrow.parquet as pq

        filters = [("number", ">=", first), ("number", "<", first + num_users)]
        table = pq.read_table(self._file, filters=filters, partitioning=None).drop_columns("number")
        histories, counts = read_histories(table, self._catalog, self._unknown)
        if counts.time_unit is not None and self.time_unit not in (None, counts.time_unit):
            users = f"users {first + 1:,} to {first + histories.num_users:,}"
            raise DataError(
                f"Column timestamp of the {_WHAT} reads as {counts.time_unit} for {users} and as {self.time_unit} for those before; "
                "expected one form throughout. Convert it."
            )
        self.time_unit = self.time_unit or counts.time_unit
        return histories, counts


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
