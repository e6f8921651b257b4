"""Histories in parts are those that are read from the whole table, whatever its format and however its rows lie."""

import os
import signal
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.config import DataConfig
from cobrarec.data import history_parts
from cobrarec.data.catalog import Catalog
from cobrarec.data.history_parts import HistoryParts, sort_by_user
from cobrarec.data.interactions import read_histories
from cobrarec.data.tables import read_table, write_table
from cobrarec.errors import DataError, MachineError

CATALOG = Catalog.from_table(pa.table({"item_id": [f"i{n}" for n in range(30)]}), DataConfig())


def some_table(num_users=40, num_rows=900, seed=0, **changes):
    """Rows of all users mixed, with unknown items, ties and repeats."""
    random = np.random.default_rng(seed)
    columns = {
        "item_id": [f"i{n}" for n in random.integers(0, 33, num_rows)],
        "user_id": [f"u{n}" for n in random.integers(0, num_users, num_rows)],
        "rating": random.integers(0, 5, num_rows),
        "timestamp": random.integers(1_600_000_000, 1_600_000_050, num_rows),
    }
    return pa.table({name: values for name, values in {**columns, **changes}.items() if values is not None})


def parts_of(source, tmp_path, users_per_part=7, **options):
    sort_by_user(source, tmp_path / "work" / "sorted.parquet")
    parts = HistoryParts(tmp_path / "work" / "sorted.parquet", CATALOG, **options)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["sorted.parquet"]
    return parts, [parts.read(first, users_per_part) for first in range(0, parts.num_users, users_per_part)]


def assert_parts_are_the_whole(table_file, tmp_path):
    whole, counts = read_histories(read_table(table_file, "histories table"), CATALOG)
    parts, read = parts_of(table_file, tmp_path)
    assert parts.num_users == whole.num_users
    assert [user for views, _ in read for user in views.user_ids.tolist()] == whole.user_ids.tolist()
    assert [views.of(n).tolist() for views, _ in read for n in range(views.num_users)] == [
        whole.of(n).tolist() for n in range(whole.num_users)
    ]
    if whole.timestamps is not None:
        times = [views.times_of(n).tolist() for views, _ in read for n in range(views.num_users)]
        assert times == [whole.times_of(n).tolist() for n in range(whole.num_users)]
    for name in ("num_rows", "num_users", "num_unknown", "num_duplicates", "num_tied"):
        assert sum(getattr(one, name) for _, one in read) == getattr(counts, name), name
    assert parts.time_unit == counts.time_unit


@pytest.mark.parametrize("name", ["h.parquet", "h.csv", "h.jsonl", "h[1]=?*.parquet"])
def test_parts_are_the_histories_of_the_whole_table(name, tmp_path):
    write_table(some_table(), tmp_path / name)
    assert_parts_are_the_whole(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": None},
        {"timestamp": None, "position": np.random.default_rng(1).permutation(900)},
        {"user_id": np.random.default_rng(1).integers(0, 9, 900)},
        {"timestamp": pa.array(np.random.default_rng(1).integers(0, 10**17, 900), pa.timestamp("ns"))},
        {"timestamp": pa.array(np.random.default_rng(1).integers(0, 10**12, 900), pa.timestamp("ms", "Europe/Berlin"))},
        {"timestamp": pa.array(np.random.default_rng(1).integers(0, 900, 900), pa.int32()).cast(pa.date32())},
        {"user_id": pa.array([f"u{n % 11}" for n in range(900)]).dictionary_encode()},
    ],
    ids=["file order", "position", "integer users", "nanoseconds", "zone", "dates", "categories"],
)
def test_parts_keep_every_kind_of_order_and_of_ids(changes, tmp_path):
    pq.write_table(some_table(**changes), tmp_path / "h.parquet", row_group_size=100)
    assert_parts_are_the_whole(tmp_path / "h.parquet", tmp_path)


def test_more_rows_than_one_row_group_holds_are_sorted_too(tmp_path):
    random = np.random.default_rng(0)
    users, items = random.integers(0, 5000, 300_000), pa.array([f"i{n}" for n in range(30)]).take(pa.array(random.integers(0, 30, 300_000)))
    pq.write_table(pa.table({"user_id": users, "item_id": items}), tmp_path / "h.parquet")
    parts, read = parts_of(tmp_path / "h.parquet", tmp_path, 700)
    whole, _ = read_histories(pq.read_table(tmp_path / "h.parquet"), CATALOG)
    assert parts.num_users == whole.num_users
    assert np.concatenate([views.compact().rows for views, _ in read]).tolist() == whole.compact().rows.tolist()


def test_a_table_without_rows_has_no_users(tmp_path):
    write_table(some_table().slice(0, 0), tmp_path / "h.parquet")
    assert parts_of(tmp_path / "h.parquet", tmp_path)[0].num_users == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (some_table(item_id=None), "lacks the column item_id"),
        (some_table(user_id=[None, *["u"] * 899]), "user_id of the histories table .*h.* has 1 null values, the first in data row 1"),
        (some_table(item_id=[*["i1"] * 899, None]), "item_id of the .* has 1 null values, the first in data row 900"),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_bad_tables_are_refused(table, words, suffix, tmp_path):
    write_table(table, tmp_path / f"h{suffix}")
    with pytest.raises(DataError, match=words):
        sort_by_user(tmp_path / f"h{suffix}", tmp_path / "sorted.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [f"h{suffix}"]


def test_files_that_are_no_table_are_refused(tmp_path):
    (tmp_path / "h.parquet").write_bytes(b"PAR1 no, it is not")
    for name, words in [("h.parquet", "cannot be read"), ("none.parquet", "does not exist"), (".", "is a folder")]:
        with pytest.raises(DataError, match=words):
            sort_by_user(tmp_path / name, tmp_path / "sorted.parquet")


def test_memory_that_does_not_suffice_is_the_machines_fault(tmp_path, monkeypatch):
    pq.write_table(some_table(num_users=100_000, num_rows=200_000), tmp_path / "h.parquet")
    monkeypatch.setattr(history_parts, "SORT_MEMORY", "1MB")
    with pytest.raises(MachineError, match="do not suffice"):
        sort_by_user(tmp_path / "h.parquet", tmp_path / "sorted.parquet")


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_ends_a_long_query_and_leaves_nothing(tmp_path, monkeypatch):
    def sort_for_ever(connection, *arguments):
        connection.execute("SELECT sum(one.range * two.range) FROM range(1000000) AS one, range(1000000) AS two").fetchall()

    write_table(some_table(), tmp_path / "h.parquet")
    monkeypatch.setattr(history_parts, "_sort", sort_for_ever)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sort_by_user(tmp_path / "h.parquet", tmp_path / "sorted.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["h.parquet"]


def test_unknown_items_are_refused_where_they_shall_be(tmp_path):
    write_table(some_table(), tmp_path / "h.parquet")
    with pytest.raises(DataError, match="lacks .* of the item ids"):
        parts_of(tmp_path / "h.parquet", tmp_path, unknown="error")


def test_times_of_two_units_are_refused(tmp_path):
    times = {"user_id": [1, 2], "item_id": ["i1", "i2"], "timestamp": [1_600_000_000, 1_600_000_000_000]}
    write_table(pa.table(times), tmp_path / "h.parquet")
    with pytest.raises(DataError, match="reads as ms for users 2 to 2 and as s for those before"):
        parts_of(tmp_path / "h.parquet", tmp_path, 1)
    with pytest.raises(DataError, match="reads as s for users 1 to 1"):
        parts_of(tmp_path / "h.parquet", tmp_path, 1, time_unit="us")
