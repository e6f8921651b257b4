import numpy as np
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import DataError
from cobrarec.serving.page.taken import Taken, taken_ids
from cobrarec.serving.schemas import MAX_HISTORY
from small_run import small_world

CATALOG = Catalog.from_table(small_world()[0], DataConfig())
IDS = CATALOG.item_ids[:4].tolist()


def test_the_order_is_that_of_taking_and_any_place_can_be_removed():
    taken = taken_ids(IDS[:2]).with_item(IDS[3]).with_item(IDS[0])
    assert [item for item, _ in taken.items] == [IDS[0], IDS[1], IDS[3], IDS[0]]
    assert [item for item, _ in taken.without(0).items] == [IDS[1], IDS[3], IDS[0]]
    assert taken.without(99) == taken


def test_what_the_browser_holds_comes_back_as_it_was():
    taken = Taken(((IDS[0], 5), (IDS[1], None)), "someone", IDS[2])
    assert Taken.of(taken.value(), CATALOG) == taken


@pytest.mark.parametrize(
    "value",
    [None, 7, [], "x", {"items": 3}, {"items": [[1, 2, 3], "x", [["a"], 1], ["gone", 1]]}, {"user": [], "held_back": {"a": 1}}],
)
def test_what_no_browser_of_ours_holds_is_an_empty_history(value):
    assert Taken.of(value, CATALOG) == Taken()


def test_times_are_given_where_any_is_known():
    assert taken_ids(IDS[:2]).histories(CATALOG).timestamps is None
    times = Taken(((IDS[0], 5), (IDS[1], None))).histories(CATALOG).timestamps
    assert np.array_equal(times, [5, UNKNOWN_TIME])


def test_a_history_ends_where_requests_end():
    with pytest.raises(DataError, match="remove some"):
        taken_ids([IDS[0]] * MAX_HISTORY).with_item(IDS[1])
