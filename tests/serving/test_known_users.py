import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.serving.page.known_users import KnownUsers
from small_run import small_world

CATALOG = Catalog.from_table(small_world()[0], DataConfig())
IDS = CATALOG.item_ids[:3].tolist()


@pytest.fixture
def users(tmp_path):
    rows = [(7, IDS[1], 20), (7, IDS[0], 10), (7, IDS[2], 30), (8, IDS[2], 5), (9, "gone", 1)]
    user_ids, items, times = zip(*rows, strict=True)
    pq.write_table(pa.table({"user_id": user_ids, "item_id": items, "timestamp": times}), tmp_path / "t.parquet")
    return KnownUsers.read(tmp_path / "t.parquet", CATALOG)


def test_a_history_is_taken_in_the_order_of_its_times_and_its_last_item_held_back(users):
    taken = users.take(" 7 ", hold_back=True)
    assert (taken.items, taken.user, taken.held_back) == (((IDS[0], 10), (IDS[1], 20)), "7", IDS[2])
    assert users.take("7", hold_back=False).items[-1] == (IDS[2], 30)


def test_of_a_single_item_nothing_is_held_back(users):
    taken = users.take("8", hold_back=True)
    assert (len(taken.items), taken.held_back) == (1, None)


def test_users_without_known_items_are_none(users):
    assert users.num_users == 2
    assert {users.any_id() for _ in range(50)} == {"7", "8"}
    with pytest.raises(DataError, match="There is no user '9' in the interactions; one is 7"):
        users.take("9", hold_back=True)


def test_a_table_of_another_shop_is_refused(tmp_path):
    pq.write_table(pa.table({"user_id": [1], "item_id": ["gone"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="the interactions that the model was fitted with"):
        KnownUsers.read(tmp_path / "t.parquet", CATALOG)
