"""The catalog: rows and ids, titles, duplicates, types."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.tables import id_column
from cobrarec.errors import DataError

CONFIG = DataConfig()


def catalog_of(**columns) -> Catalog:
    return Catalog.from_table(pa.table(columns), CONFIG)


def test_rows_follow_the_file_and_item_id_comes_first():
    catalog = catalog_of(title=["a", "b", "c"], item_id=[30, 10, 20])
    assert catalog.table.schema.names == ["item_id", "title"]
    assert catalog.item_ids.tolist() == [30, 10, 20]
    assert catalog.rows([20, 30]).tolist() == [2, 0]
    assert catalog.num_items == 3


def test_ids_come_back_in_their_own_type():
    assert catalog_of(item_id=pa.array([1, 2], pa.int32())).id_type is int
    text = catalog_of(item_id=["007", "7"])
    assert text.id_type is str
    assert text.rows(["7", "007"]).tolist() == [1, 0]
    assert [type(item) for item in text.item_ids.tolist()] == [str, str]


def test_identical_duplicates_are_dropped_and_counted():
    catalog = catalog_of(item_id=["a", "b", "a"], title=["x", "y", "x"])
    assert (catalog.num_items, catalog.num_duplicates, catalog.texts) == (2, 1, ("x", "y"))


def test_a_duplicate_with_another_text_is_refused():
    with pytest.raises(DataError, match="item_id 'a' twice with different text, in data rows 1 and 3"):
        catalog_of(item_id=["a", "b", "a"], title=["x", "y", "z"])


def test_duplicates_that_differ_only_beyond_the_cut_are_refused():
    table = pa.table({"item_id": ["a", "b", "a"], "title": ["x" * 10 + "1", "y", "x" * 10 + "2"]})
    with pytest.raises(DataError, match="twice with different text"):
        Catalog.from_table(table, DataConfig(max_text_characters=5))


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "a"]])
def test_fewer_than_two_items_are_refused(ids):
    with pytest.raises(DataError, match="expected at least 2"):
        catalog_of(item_id=pa.array(ids, pa.string()))


def test_a_table_without_item_id_is_refused():
    with pytest.raises(DataError, match="lacks the column item_id; its columns are: id, title"):
        catalog_of(id=[1, 2], title=["a", "b"])


def test_unknown_ids_are_skipped_or_named():
    catalog = catalog_of(item_id=["a", "b"])
    assert catalog.rows(["x", "b", "y"], unknown="skip").tolist() == [1]
    with pytest.raises(DataError, match=r"lacks 4 of the item ids given: 'x', 'y', 'z' \.\.\."):
        catalog.rows(["x", "b", "y", "z", "u"])


def test_numpy_ids_are_taken_and_ids_of_another_type_are_refused():
    catalog = catalog_of(item_id=[1, 2])
    assert catalog.rows(np.array([2, 1])).tolist() == [1, 0]
    for wrong in ("1", 1.0, True, None):
        with pytest.raises(DataError, match="the catalog's ids are int"):
            catalog.rows([wrong], unknown="skip")


def test_a_column_of_ids_becomes_rows_with_minus_one_for_unknown():
    catalog = catalog_of(item_id=["a", "b"])
    column = id_column(pa.table({"item_id": ["b", "x", "a"]}), "item_id", "histories table")
    assert catalog.rows_of_column(column, "histories table").tolist() == [1, -1, 0]


def test_id_types_that_differ_between_tables_are_refused():
    column = id_column(pa.table({"item_id": ["1"]}), "item_id", "interactions table")
    with pytest.raises(DataError, match="integers in the items table and strings in the interactions table"):
        catalog_of(item_id=[1, 2]).rows_of_column(column, "interactions table")


def test_an_id_is_parsed_by_the_type_of_the_catalog():
    assert catalog_of(item_id=[1, 2]).parse_id("2") == 2
    assert catalog_of(item_id=["1", "2"]).parse_id("2") == "2"
    with pytest.raises(DataError, match="'B00' is not an integer"):
        catalog_of(item_id=[1, 2]).parse_id("B00")


def test_titles_fall_back_to_name_text_and_id():
    assert catalog_of(item_id=[1, 2], title=["a", None], brand=["x", "y" * 100]).titles == ("a", "y" * 80)
    assert catalog_of(item_id=[1, 2], name=["a", "b"], brand=["x", "y"]).titles == ("a", "b")
    assert catalog_of(item_id=[1, 2]).titles == ("1", "2")


def test_tie_breakers_depend_on_id_and_seed_but_not_on_the_row():
    first, second = catalog_of(item_id=["a", "b", "c"]), catalog_of(item_id=["c", "a", "b"])
    assert first.tie_breakers(1).tolist() == second.tie_breakers(1)[[1, 2, 0]].tolist()
    assert first.tie_breakers(1).tolist() != first.tie_breakers(2).tolist()
    assert len(set(first.tie_breakers(1).tolist())) == 3
    assert first.tie_breakers(1).tolist() == [17548568729252930709, 12798115917402520001, 1785977949505427124]


def test_a_saved_catalog_is_loaded_alike(tmp_path):
    catalog = catalog_of(title=["a", None], item_id=["x", "y"], tags=[["p", "q"], []])
    catalog.save(tmp_path)
    back = Catalog.load(tmp_path, CONFIG)
    assert back.table.equals(catalog.table)
    assert back.texts == catalog.texts
    assert back.item_ids.tolist() == ["x", "y"]


def test_long_texts_are_cut_and_counted():
    catalog = catalog_of(item_id=[1, 2], title=["x" * 100_000, "y"])
    assert len(catalog.texts[0]) == CONFIG.max_text_characters
    assert catalog.num_cut_texts == 1


def test_importing_the_chapter_loads_no_heavy_library():
    modules = ["audit", "catalog", "interactions", "item_texts", "sources", "splits", "tables", "timestamps"]
    heavy = ["torch", "pandas", "polars", "sklearn", "scipy", "duckdb", "transformers"]
    code = f"import sys\n{''.join(f'import cobrarec.data.{name};' for name in modules)}\n"
    code += f"assert not [name for name in {heavy} if name in sys.modules], 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_id_is_in_the_catalog_in_its_own_type_alone():
    numbers, texts = catalog_of(item_id=[0, 1, 7]), catalog_of(item_id=["7", "a"])
    assert [item in numbers for item in (7, np.int64(7), 8, "7", 7.0, True, None, [7])] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
    ]
    assert [item in texts for item in ("7", np.str_("a"), 7, "b")] == [True, True, False, False]
