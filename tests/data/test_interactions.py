"""Histories: their order, what is dropped, and views that copy nothing."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories, read_histories, read_interactions
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import DataError

CATALOG = Catalog.from_table(pa.table({"item_id": ["a", "b", "c", "d"]}), DataConfig())
SHARED = Path(__file__).parents[3] / "shared" / "data"


def read(config: DataConfig | None = None, **columns):
    return read_interactions(pa.table(columns), CATALOG, config or DataConfig())


def as_dict(histories: Histories) -> dict:
    return {user: "".join("abcd"[row] for row in histories.of(n)) for n, user in enumerate(histories.user_ids.tolist())}


def test_without_order_columns_the_file_orders():
    histories, counts = read(user_id=["u", "v", "u", "u"], item_id=["c", "a", "b", "a"])
    assert as_dict(histories) == {"u": "cba", "v": "a"}
    assert counts.order == "file"
    assert histories.timestamps is None


def test_time_orders_and_ties_stay_in_file_order():
    histories, counts = read(user_id=[1, 1, 1, 2], item_id=["c", "d", "a", "b"], timestamp=[5, 5, 4, 5])
    assert as_dict(histories) == {1: "acd", 2: "b"}
    assert histories.times_of(0).tolist() == [4, 5, 5]
    assert (counts.order, counts.num_tied, counts.time_unit) == ("timestamp", 2, "s")


def test_position_orders_before_time():
    histories, counts = read(user_id=[1, 1, 1], item_id=["a", "b", "c"], timestamp=[1, 2, 3], position=[3, 2, 1])
    assert as_dict(histories) == {1: "cba"}
    assert histories.times_of(0).tolist() == [3, 2, 1]
    assert counts.order == "position"


def test_a_time_may_be_unknown_where_the_position_orders():
    histories, counts = read(user_id=[1, 1, 1], item_id=["a", "b", "c"], timestamp=[1, None, 3], position=[3, 2, 1])
    assert histories.times_of(0).tolist() == [3, UNKNOWN_TIME, 1]
    assert (as_dict(histories), counts.num_unknown_times) == ({1: "cba"}, 1)
    histories, counts = read(user_id=[1], item_id=["a"], timestamp=pa.nulls(1), position=[1])
    assert (histories.timestamps, counts.num_unknown_times, counts.time_unit) == (None, 0, None)


def test_a_history_of_one_is_kept():
    assert as_dict(read(user_id=[1], item_id=["a"])[0]) == {1: "a"}


def test_users_come_in_the_order_of_their_first_row_with_their_own_type():
    histories, _ = read(user_id=["007", "7", "007"], item_id=["a", "b", "c"])
    assert histories.user_ids.tolist() == ["007", "7"]
    assert read(user_id=pa.array([9, 3], pa.int32()), item_id=["a", "b"])[0].user_ids.tolist() == [9, 3]


def test_unknown_items_are_dropped_and_counted_or_refused():
    columns = {"user_id": [1, 1, 2, 3], "item_id": ["a", "x", "y", "b"], "timestamp": [1, 2, 3, 4]}
    histories, counts = read(**columns)
    assert as_dict(histories) == {1: "a", 3: "b"}
    assert histories.times_of(1).tolist() == [4]
    assert (counts.num_unknown, counts.unknown_items, counts.num_dropped_users, counts.num_users) == (2, ("x", "y"), 1, 3)
    with pytest.raises(DataError, match="lacks 2 of the item ids given: 'x', 'y'"):
        read(DataConfig(unknown_items="error"), **columns)


def test_histories_to_recommend_for_keep_every_user():
    table = pa.table({"user_id": [2, 1, 2], "item_id": ["x", "a", "y"]})
    histories, counts = read_histories(table, CATALOG)
    assert as_dict(histories) == {2: "", 1: "a"}
    assert counts.num_dropped_users == 0
    with pytest.raises(DataError, match="lacks 2"):
        read_histories(table, CATALOG, unknown="error")


def test_identical_rows_count_once_but_repeated_items_stay():
    histories, counts = read(user_id=[1] * 5, item_id=["a", "b", "a", "a", "c"], timestamp=[1, 1, 1, 2, 3])
    assert as_dict(histories) == {1: "abac"}
    assert (counts.num_duplicates, counts.num_tied) == (1, 2)
    assert read(user_id=[1, 1], item_id=["a", "a"], timestamp=[1, 1])[1].num_tied == 0
    assert read(user_id=[1, 1], item_id=["a", "a"])[1].num_duplicates == 0


def test_other_columns_are_ignored_and_named():
    _, counts = read(user_id=[1], item_id=["a"], rating=[5.0], timestamp=["2014-07-01"])
    assert counts.ignored_columns == ("rating",)
    assert counts.time_unit == "date"


def test_empty_tables_give_no_histories():
    histories, counts = read(user_id=pa.nulls(0), item_id=pa.nulls(0), timestamp=pa.nulls(0))
    assert (histories.num_users, counts.num_rows) == (0, 0)
    assert read_histories(pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}), CATALOG)[0].num_users == 0


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"item_id": ["a"]}, "lacks the column user_id"),
        ({"user_id": [1], "item": ["a"]}, "lacks the column item_id"),
        ({"user_id": [1, None], "item_id": ["a", "b"]}, "user_id of the interactions table has 1 null"),
        ({"user_id": [1, 2], "item_id": ["a", None]}, "item_id of the interactions table has 1 null"),
        ({"user_id": [1], "item_id": ["a"], "timestamp": pa.array([None], pa.int64())}, "timestamp of the interactions table has 1 null"),
        ({"user_id": [1.5], "item_id": ["a"]}, "user_id of the interactions table holds double"),
        ({"user_id": [1], "item_id": [1]}, "strings in the items table and integers in the interactions table"),
    ],
)
def test_bad_tables_are_refused(columns, words):
    with pytest.raises(DataError) as caught:
        read(**columns)
    assert words in str(caught.value)


def slow_histories(users, items, keys):
    """The obvious way: a list per user, sorted by key (Python's sort keeps ties), first copy of a row kept."""
    lists: dict = {}
    for user, item, key in zip(users, items, keys, strict=True):
        if item in "abcd" and (key, item) not in lists.setdefault(user, []):
            lists[user].append((key, item))
    return {user: "".join(item for _, item in sorted(pairs, key=lambda pair: pair[0])) for user, pairs in lists.items() if pairs}


@pytest.mark.parametrize("seed", range(5))
def test_reading_agrees_with_the_slow_way(seed):
    rng = random.Random(seed)
    users = [rng.choice("uvwxyz") for _ in range(200)]
    items = [rng.choice("abcdx") for _ in users]
    keys = [rng.randrange(20) for _ in users]
    histories, _ = read(user_id=users, item_id=items, timestamp=keys)
    assert {user: items for user, items in as_dict(histories).items() if items} == slow_histories(users, items, keys)


LISTS = Histories.from_lists([[0, 1, 2], [], [3], [2, 2]], user_ids=["u", "v", "w", "x"], timestamps=[[1, 2, 3], [], [4], [5, 6]])


def test_lists_become_histories():
    assert [LISTS.of(user).tolist() for user in range(4)] == [[0, 1, 2], [], [3], [2, 2]]
    assert (LISTS.num_users, LISTS.num_interactions, LISTS.lengths.tolist()) == (4, 6, [3, 0, 1, 2])
    assert Histories.from_lists([]).num_users == 0
    assert Histories.from_lists([[1], [2]]).user_ids.tolist() == [0, 1]


def test_the_last_none_are_none():
    assert LISTS.last(0).lengths.tolist() == [0, 0, 0, 0]
    assert [LISTS.last(2).of(user).tolist() for user in range(4)] == [[1, 2], [], [3], [2, 2]]


def test_views_share_memory_and_count_only_what_they_show():
    view = LISTS.select(np.array([3, 0])).last(1)
    assert view.rows is LISTS.rows
    assert view.user_ids.tolist() == ["x", "u"]
    assert view.item_counts(5).tolist() == [0, 0, 2, 0, 0]
    assert view.users().tolist() == [0, 1]
    assert view.rows[view.places()].tolist() == [2, 2]
    assert LISTS.select(np.array([0, 0])).item_counts(4).tolist() == [2, 2, 2, 0]


def test_compact_histories_hold_nothing_else():
    assert LISTS.compact() is LISTS
    view = LISTS.select(np.array([3, 1, 0])).last(2).compact()
    assert view.rows.tolist() == [2, 2, 1, 2]
    assert view.timestamps.tolist() == [5, 6, 2, 3]
    assert view.ends.tolist() == [2, 2, 4]


@pytest.mark.parametrize(
    "histories", [LISTS, LISTS.select(np.array([3, 0])).last(1), Histories.from_lists([[1], []]), Histories.from_lists([])]
)
def test_saved_histories_are_mapped_back(tmp_path, histories):
    LISTS.save(tmp_path)
    histories.save(tmp_path)
    back = Histories.load(tmp_path)
    assert back.user_ids.tolist() == histories.user_ids.tolist()
    for user in range(histories.num_users):
        assert back.of(user).tolist() == histories.of(user).tolist()
        times, expected = back.times_of(user), histories.times_of(user)
        assert (times is None) == (expected is None)
        assert times is None or times.tolist() == expected.tolist()
    assert len(back.rows) == histories.num_interactions


def test_damaged_saved_histories_are_refused(tmp_path):
    LISTS.save(tmp_path)
    (tmp_path / "rows.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="cannot be read"):
        Histories.load(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not beside the repository (../shared/data)")
@pytest.mark.parametrize("name", ["beauty", "steam100k"])
def test_real_tables_are_read_in_the_order_of_their_positions(name):
    items, interactions = (pq.read_table(SHARED / name / f"{kind}.parquet") for kind in ("items", "interactions"))
    catalog = Catalog.from_table(items, DataConfig())
    histories, counts = read_interactions(interactions, catalog, DataConfig())
    assert histories.num_interactions == interactions.num_rows
    assert (counts.order, counts.num_unknown, counts.num_duplicates) == ("position", 0, 0)
    users = interactions["user_id"].to_pylist()
    for user in (0, 17, histories.num_users - 1):
        places = [n for n, value in enumerate(users) if value == histories.user_ids[user]]
        own = interactions.take(places).sort_by("position")["item_id"].to_pylist()
        assert catalog.item_ids[histories.of(user)].tolist() == own
