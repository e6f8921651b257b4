import pyarrow as pa
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.serving.item_tables import items_table

COLUMNS = {"item_id": [1, 2], "title": ["a", "b"], "price": [1.5, None], "tags": [["x"], []], "sizes": [[1], None]}
WHOLE = {"stock": pa.array([1, 2], pa.uint64()), "since": pa.array([1, 2], pa.timestamp("s"))}
NUMBERS = Catalog.from_table(pa.table(COLUMNS | WHOLE), DataConfig())


def test_items_get_the_types_of_the_catalog():
    table = items_table([{"item_id": 7, "price": 3}, {"item_id": 8, "tags": ["y", "z"], "title": None}], NUMBERS)
    assert items_table([{"item_id": 7, "stock": 2**63}], NUMBERS)["stock"].to_pylist() == [2**63]
    assert table.to_pylist() == [
        {"item_id": 7, "price": 3.0, "tags": None, "title": None},
        {"item_id": 8, "price": None, "tags": ["y", "z"], "title": None},
    ]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"item_id": "7"}, "expected a whole number as in the catalog"),
        ({"item_id": True}, "item_id True"),
        ({"item_id": 2**63}, "no 64-bit integer"),
        ({"item_id": 7, "price": "cheap"}, "Item 2 has 'cheap' as price, where the catalog holds numbers"),
        ({"item_id": 7, "title": 5}, "5 as title, where the catalog holds text"),
        ({"item_id": 7, "price": {"amount": 3}}, "as price, where the catalog holds numbers"),
        ({"item_id": 7, "sizes": [1.5]}, "as sizes, where the catalog holds lists of whole numbers"),
        ({"item_id": 7, "stock": 1.5}, "1.5 as stock, where the catalog holds whole numbers"),
        ({"item_id": 7, "since": 1.5}, "1.5 as since, where the catalog holds times"),
        (
            {"item_id": 7, "colour": "red"},
            "'colour', which the catalog lacks; its columns are item_id, title, price, tags, sizes, stock",
        ),
    ],
)
def test_other_items_are_refused(item, told):
    with pytest.raises(DataError, match=told):
        items_table([{"item_id": 3}, item], NUMBERS)
