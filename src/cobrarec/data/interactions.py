"""Interactions: who took which item, in which order, as one long array of rows and a slice of it per user."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog, UnknownPolicy, unknown_ids_message
from cobrarec.data.tables import id_array, id_column, read_table, require_columns, write_beside, write_table
from cobrarec.data.timestamps import UNKNOWN_TIME, read_positions, read_seconds, read_times
from cobrarec.errors import DataError

OrderRule: TypeAlias = Literal["position", "timestamp", "file"]
"""What orders a history: the column `position`, else `timestamp`, else the order of the file."""
_Keys: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histories:
    """Histories of users: user u's items are `rows[starts[u]:ends[u]]`, oldest first. A view, cheap to cut and select.

    Attributes:
        user_ids: [num_users], int64 or object (str).
        starts: [num_users] first place in `rows`.
        ends: [num_users] place after the last.
        rows: catalog rows of all users; may hold more than the slices show.
        timestamps: seconds since 1970 beside `rows`, `timestamps.UNKNOWN_TIME` where not known; None without times.
    """

    user_ids: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    timestamps: npt.NDArray[np.int64] | None = None

    @classmethod
    def from_lists(
        cls,
        lists: Sequence[Sequence[int] | npt.NDArray[Any]],
        user_ids: Sequence[Any] | npt.NDArray[Any] | None = None,
        timestamps: Sequence[Sequence[int] | npt.NDArray[Any]] | None = None,
    ) -> "Histories":
        """Histories from one sequence of rows (and of seconds) per user; users are numbered where no ids are given."""
        offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in lists])]).astype(np.int64)
        ids = np.arange(len(lists)) if user_ids is None else _as_ids(user_ids)
        times = None if timestamps is None else _joined(timestamps, np.int64)
        return cls(ids, offsets[:-1], offsets[1:], _joined(lists, np.int32), times)

    @property
    def num_users(self) -> int:
        """Number of users, those with an empty history included."""
        return len(self.starts)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[num_users] items per history."""
        return self.ends - self.starts

    @property
    def num_interactions(self) -> int:
        """Items in all histories together."""
        return int(self.lengths.sum())

    def of(self, user: int) -> npt.NDArray[np.int32]:
        """Rows of user number `user`, oldest first."""
        return self.rows[self.starts[user] : self.ends[user]]

    def times_of(self, user: int) -> npt.NDArray[np.int64] | None:
        """Seconds of user number `user`, or None where there are no times."""
        return None if self.timestamps is None else self.timestamps[self.starts[user] : self.ends[user]]

    def select(self, users: npt.NDArray[Any]) -> "Histories":
        """The histories of some users, by number (or a mask), in that order; nothing is copied but their slices."""
        return Histories(self.user_ids[users], self.starts[users], self.ends[users], self.rows, self.timestamps)

    def last(self, num_items: int) -> "Histories":
        """Each history cut to its latest `num_items`."""
        return Histories(self.user_ids, np.maximum(self.starts, self.ends - num_items), self.ends, self.rows, self.timestamps)

    def places(self) -> npt.NDArray[np.int64]:
        """[num_interactions] places in `rows` of all histories, user after user, oldest first."""
        lengths = self.lengths
        before = np.cumsum(lengths) - lengths
        return np.repeat(self.starts - before, lengths) + np.arange(self.num_interactions)

    def users(self) -> npt.NDArray[np.int64]:
        """[num_interactions] user numbers beside `places()`."""
        return np.repeat(np.arange(self.num_users), self.lengths)

    def keys(self, num_items: int) -> npt.NDArray[np.int64]:
        """[num_interactions] user number x `num_items` + row, beside `places()`: equal where one user has one item again."""
        return self.users() * num_items + self.rows[self.places()]

    def compact(self) -> "Histories":
        """The same histories with nothing else in `rows`, user after user; itself where that is so already."""
        is_whole = self.num_interactions == len(self.rows) and bool((self.starts[1:] == self.ends[:-1]).all())
        if is_whole and (self.num_users == 0 or self.starts[0] == 0):
            return self
        places = self.places()
        ends = np.cumsum(self.lengths)
        times = None if self.timestamps is None else self.timestamps[places]
        return Histories(self.user_ids, ends - self.lengths, ends, self.rows[places], times)

    def item_counts(self, num_items: int) -> npt.NDArray[np.int64]:
        """[num_items] how often each row occurs in the histories."""
        return np.bincount(self.compact().rows, minlength=num_items).astype(np.int64)

    def save(self, folder: Path) -> None:
        """Write `users.parquet`, `starts.npy`, `ends.npy`, `rows.npy` and, where there are times, `timestamps.npy`."""
        whole = self.compact()
        write_table(pa.table({"user_id": pa.array(whole.user_ids)}), folder / "users.parquet")
        arrays: dict[str, npt.NDArray[Any] | None]
        arrays = {"starts": whole.starts, "ends": whole.ends, "rows": whole.rows, "timestamps": whole.timestamps}
        for name, array in arrays.items():
            path = folder / f"{name}.npy"
            if array is None:
                path.unlink(missing_ok=True)
                continue
            with write_beside(path) as partial, partial.open("wb") as file:
                np.save(file, array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Histories":
        """Map what `save` wrote into memory; nothing but the user ids is read before it is used.

        Raises:
            DataError: a file is missing or damaged.
        """
        ids = id_column(read_table(folder / "users.parquet", "list of users"), "user_id", "list of users")
        try:
            names = ["starts", "ends", "rows"] + ["timestamps"] * (folder / "timestamps.npy").exists()
            # numpy cannot map an empty array
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r" if len(ids) else None, allow_pickle=False) for name in names}
        except (OSError, ValueError) as error:
            raise DataError(f"The histories in {folder} cannot be read: {error}. Prepare the data again.") from None
        return cls(id_array(ids), arrays["starts"], arrays["ends"], arrays["rows"], arrays.get("timestamps"))


@dataclass(frozen=True)
class InteractionCounts:
    """What was read and what was dropped.

    Attributes:
        num_rows: rows of the table.
        num_users: users of the table.
        num_unknown: rows dropped because the catalog lacks their item.
        unknown_items: up to three of these ids.
        num_dropped_users: users without any known item.
        num_duplicates: rows dropped because they repeat a row: same user, item and order value.
        num_tied: kept rows that share their user and their order value with another one, and so stay in file order.
        order: the rule that ordered the histories.
        num_unknown_times: kept rows without a time; there are none unless `position` orders.
        time_unit: how times were read: `s`, `ms`, `us`, `ns`, `date`; None without times.
        ignored_columns: columns that are not used.
    """

    num_rows: int
    num_users: int
    num_unknown: int
    unknown_items: tuple[Any, ...]
    num_dropped_users: int
    num_duplicates: int
    num_tied: int
    order: OrderRule
    num_unknown_times: int
    time_unit: str | None
    ignored_columns: tuple[str, ...]


def read_interactions(table: pa.Table, catalog: Catalog, config: DataConfig) -> tuple[Histories, InteractionCounts]:
    """Turn a table of interactions into histories; users without any known item are left out.

    Order within a user: `position` if that column exists, else `timestamp` (ties in file order), else file order. Where
    `position` orders, a null timestamp is accepted: its time is unknown, its place is not. Users come in the order of their first row.

    Raises:
        DataError: missing columns, nulls, ids of another type than the catalog's, times that cannot be read, or an
            unknown item with `config.unknown_items == "error"`.
    """
    return _read(table, catalog, config.unknown_items, "interactions table", keep_empty=False)


def read_histories(table: pa.Table, catalog: Catalog, unknown: UnknownPolicy = "skip") -> tuple[Histories, InteractionCounts]:
    """Like `read_interactions`, but every user of the table is kept, even with all items unknown (an empty history)."""
    return _read(table, catalog, unknown, "histories table", keep_empty=True)


def _read(table: pa.Table, catalog: Catalog, unknown: UnknownPolicy, what: str, keep_empty: bool) -> tuple[Histories, InteractionCounts]:
    require_columns(table, ["user_id", "item_id"], what)
    users, user_ids = _number_users(id_column(table, "user_id", what))
    item_column = id_column(table, "item_id", what)
    rows = catalog.rows_of_column(item_column, what)
    known = rows >= 0
    unknown_items = _examples(item_column, known)
    num_unknown = len(rows) - int(known.sum())
    if num_unknown and unknown == "error":
        raise DataError(unknown_ids_message(list(unknown_items), len(pc.unique(item_column.filter(pa.array(~known))))))
    order, keys, seconds, unit = _order_keys(table, what)
    if num_unknown:
        users, rows = users[known], rows[known]
        keys = None if keys is None else keys[known]
        seconds = None if seconds is None else seconds[known]
    if len(rows) and (places := _sorting(users, keys)) is not None:
        users, rows = users[places], rows[places]
        keys = None if keys is None else keys[places]
        seconds = None if seconds is None else seconds[places]
    tied, repeats = _ties_and_repeats(users, keys, rows)
    if repeats.any():
        users, rows = users[~repeats], rows[~repeats]
        seconds = None if seconds is None else seconds[~repeats]
    lengths = np.bincount(users, minlength=len(user_ids)).astype(np.int64)
    ends = np.cumsum(lengths)
    histories = Histories(user_ids, ends - lengths, ends, rows, seconds)
    counts = InteractionCounts(
        num_rows=table.num_rows,
        num_users=len(user_ids),
        num_unknown=num_unknown,
        unknown_items=unknown_items,
        num_dropped_users=0 if keep_empty else int((lengths == 0).sum()),
        num_duplicates=int(repeats.sum()),
        num_tied=int(tied.sum()),
        order=order,
        num_unknown_times=0 if seconds is None else int((seconds == UNKNOWN_TIME).sum()),
        time_unit=unit,
        ignored_columns=tuple(name for name in table.schema.names if name not in ("user_id", "item_id", "position", "timestamp")),
    )
    return (histories if keep_empty else histories.select(lengths > 0)), counts


def _number_users(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):  # text of more than 2 GiB, or an empty column
        coded = coded.unify_dictionaries().combine_chunks()
    return np.array(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int32), id_array(pa.chunked_array([coded.dictionary]))


def _examples(items: pa.ChunkedArray, known: npt.NDArray[np.bool_]) -> tuple[Any, ...]:
    places = np.flatnonzero(~known)[:1000]
    return tuple(pc.unique(items.take(pa.array(places))).to_pylist()[:3])


def _order_keys(table: pa.Table, what: str) -> tuple[OrderRule, _Keys | None, npt.NDArray[np.int64] | None, str | None]:
    names = table.schema.names
    if "position" in names:
        positions = read_positions(table.column("position"), "position", what)
        if "timestamp" not in names or table.column("timestamp").null_count == table.num_rows:
            return "position", positions, None, None
        times = read_seconds(table.column("timestamp"), "timestamp", what)
        return "position", positions, times.seconds, times.unit
    if "timestamp" in names:
        times = read_times(table.column("timestamp"), "timestamp", what)
        return "timestamp", times.values, times.seconds, times.unit
    return "file", None, None, None


def _sorting(users: npt.NDArray[np.int32], keys: _Keys | None) -> npt.NDArray[np.int64] | None:
    """Places that sort by user, then key, then file order; None where that is the order already."""
    same = users[1:] == users[:-1]
    is_sorted = users[1:] > users[:-1]
    is_sorted |= same if keys is None else same & (keys[1:] >= keys[:-1])
    if is_sorted.all():
        return None
    return np.argsort(users, kind="stable") if keys is None else np.lexsort((keys, users))


def _ties_and_repeats(
    users: npt.NDArray[np.int32], keys: _Keys | None, rows: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Masks over sorted interactions: those that share their order value with another one that is kept, and later copies, which are not."""
    tied, repeats = np.zeros(len(users), dtype=bool), np.zeros(len(users), dtype=bool)
    if keys is None or len(users) < 2:
        return tied, repeats
    same = (users[1:] == users[:-1]) & (keys[1:] == keys[:-1])
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    groups = np.cumsum(np.concatenate([[True], ~same]))[places]
    order = np.lexsort((rows[places], groups))
    is_copy = (groups[order][1:] == groups[order][:-1]) & (rows[places][order][1:] == rows[places][order][:-1])
    repeats[places[order][1:][is_copy]] = True
    group = np.cumsum(np.concatenate([[True], ~same]))
    tied &= ~repeats
    tied &= np.bincount(group[tied], minlength=group[-1] + 1)[group] > 1
    return tied, repeats


def _as_ids(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    if len(values) and isinstance(values[0], str):
        ids = np.empty(len(values), dtype=object)
        ids[:] = [str(value) for value in values]
        return ids
    return np.asarray(values, dtype=np.int64)


def _joined(lists: Sequence[Sequence[int] | npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(values, dtype) for values in lists)])
