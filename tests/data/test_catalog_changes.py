import numpy as np
import pyarrow as pa
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.catalog_changes import MAX_CHUNKS, changing, conformed, with_items, without_items
from cobrarec.errors import DataError

CONFIG = DataConfig()


def catalog(**columns):
    table = {"item_id": ["a", "b", "c"], "title": ["Red", "Green", "Blue"], "price": [1.0, 2.0, None], "tags": [["x"], [], None]}
    return Catalog.from_table(pa.table({**table, **columns}), CONFIG)


def put(base, rows):
    return with_items(base, conformed(pa.Table.from_pylist(rows), base, "items to put"), CONFIG)


def test_new_items_get_the_next_rows_and_known_ones_keep_theirs():
    edit = put(catalog(), [{"item_id": "d", "title": "Grey"}, {"item_id": "b", "title": "Lime"}, {"item_id": "e"}])
    assert edit.rows.tolist() == [3, 1, 4]
    assert edit.is_new.tolist() == [True, False, True]
    assert edit.is_reworded.tolist() == [False, True, False]
    assert edit.catalog.item_ids.tolist() == ["a", "b", "c", "d", "e"]
    assert edit.catalog.texts == ("Red. 1. x", "Lime", "Blue", "Grey", "")
    assert edit.catalog.table.to_pylist()[1] == {"item_id": "b", "title": "Lime", "price": None, "tags": None}
    assert edit.catalog.rows(["e", "a"]).tolist() == [4, 0]


def test_the_catalog_before_a_change_stays_as_it_was():
    before = catalog()
    put(before, [{"item_id": "a", "title": "Pink"}])
    assert before.texts[0] == "Red. 1. x"
    assert before.table.num_rows == 3


def test_a_changed_attribute_that_leaves_the_text_alone_rewords_nothing():
    base = Catalog.from_table(pa.table({"item_id": [1, 2], "title": ["A", "B"], "stock": [3, 4]}), DataConfig(text_template="{title}"))
    table = conformed(pa.table({"item_id": [1], "title": ["A"], "stock": [0]}), base, "items")
    edit = with_items(base, table, DataConfig(text_template="{title}"))
    assert not edit.is_reworded.any()
    assert edit.catalog.table["stock"].to_pylist() == [0, 4]


def test_delisted_items_keep_their_rows_and_come_back_when_they_are_put_again():
    less = without_items(catalog(), np.array([2, 0]))
    assert less.delisted.tolist() == [0, 2]
    assert less.is_listed.tolist() == [False, True, False]
    assert "a" in less
    again = put(less, [{"item_id": "a", "title": "Red"}])
    assert again.catalog.delisted.tolist() == [2]
    assert again.rows.tolist() == [0]


def test_the_order_of_ties_is_that_of_a_catalog_read_at_once():
    base = catalog()
    base.tie_breakers(3)
    grown = without_items(put(base, [{"item_id": "d"}, {"item_id": "b", "title": "Lime"}]).catalog, np.array([0]))
    whole = Catalog.from_table(grown.table, CONFIG)
    for seed in (3, 4):
        assert (grown.tie_breakers(seed) == whole.tie_breakers(seed)).all()
    assert len(base.tie_breakers(3)) == 3


def test_the_last_item_cannot_be_delisted():
    with pytest.raises(DataError, match="No item would be left"):
        without_items(without_items(catalog(), np.array([0, 1])), np.array([2]))


def test_a_number_that_is_none_is_the_same_as_before():
    base = catalog(price=[1.0, float("nan"), 2.0])
    again = conformed(pa.table({"item_id": ["b", "b"], "title": ["Green"] * 2, "price": [float("nan")] * 2, "tags": [[], []]}), base, "it")
    assert again.num_rows == 1
    assert changing(base, again).num_rows == 0


def test_only_what_says_something_else_is_changing():
    base = without_items(catalog(), np.array([1]))
    rows = [*catalog().table.to_pylist(), {"item_id": "d", "title": "New"}]
    rows[2]["price"] = 3.0
    news = changing(base, conformed(pa.Table.from_pylist(rows, catalog().table.schema), base, "items"))
    assert news["item_id"].to_pylist() == ["b", "c", "d"], "b comes back, c has a price, d is new"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"title": ["x"]}, "item_id"),
        ({"item_id": ["d"], "color": ["x"]}, "color, which the catalog lacks .*item_id, title, price, tags"),
        ({"item_id": [4], "title": ["x"]}, "catalog's ids are strings"),
        ({"item_id": ["d"], "price": ["cheap"]}, "price .* holds string, the catalog's holds double"),
        ({"item_id": ["d", None]}, "item_id"),
        ({"item_id": ["d", "d"], "title": ["x", "y"]}, "'d' twice with different content, in data rows 1 and 2"),
    ],
)
def test_items_that_do_not_fit_the_catalog_are_refused(columns, told):
    with pytest.raises(DataError, match=told):
        conformed(pa.table(columns), catalog(), "items to put")


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_id_is_refused(empty):
    with pytest.raises(DataError, match="an empty item_id"):
        conformed(pa.table({"item_id": ["a", empty]}), catalog(), "table of items")


def test_missing_columns_are_null_and_repeated_rows_count_once():
    table = conformed(pa.table({"item_id": ["d", "d"], "title": ["x", "x"]}), catalog(), "items")
    assert table.to_pylist() == [{"item_id": "d", "title": "x", "price": None, "tags": None}]


def test_texts_that_read_as_integers_are_ids_of_a_catalog_of_integers():
    base = Catalog.from_table(pa.table({"item_id": [1, 2], "title": ["A", "B"]}), CONFIG)
    assert conformed(pa.table({"item_id": ["7"], "title": ["x"]}), base, "items")["item_id"].to_pylist() == [7]
    with pytest.raises(DataError, match="'seven' is not an integer"):
        conformed(pa.table({"item_id": ["seven"], "title": ["x"]}), base, "items")


def test_many_small_changes_do_not_leave_many_small_pieces():
    base = catalog()
    for number in range(MAX_CHUNKS + 5):
        base = put(base, [{"item_id": f"n{number}", "title": "x"}]).catalog
    assert base.table.column(0).num_chunks < MAX_CHUNKS
    assert base.num_items == MAX_CHUNKS + 8


@pytest.mark.parametrize("delisted", [[], [1]])
def test_a_saved_catalog_comes_back_with_what_is_delisted(tmp_path, delisted):
    saved = without_items(catalog(), np.array(delisted, np.int64))
    saved.save(tmp_path)
    assert Catalog.load(tmp_path, CONFIG).delisted.tolist() == delisted
    assert (tmp_path / "delisted.npy").exists() == bool(delisted)
