"""Reading and writing tables: what comes back, and what is refused with which words."""

import io
import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.data.tables import id_array, id_column, read_table, require_columns, write_beside, write_table
from cobrarec.errors import DataError

TABLE = pa.table({"item_id": ["007", "b, c", None], "price": [1.5, None, 2.0]})


def read_text(tmp_path, name: str, content: str | bytes) -> pa.Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, "items table")


def test_csv_is_text_and_007_stays_007(tmp_path):
    table = read_text(tmp_path, "a.csv", "item_id,year\n007,1995\n8,2001\n")
    assert table.to_pydict() == {"item_id": ["007", "8"], "year": ["1995", "2001"]}


def test_csv_with_quotes_line_breaks_and_a_byte_order_mark_is_read(tmp_path):
    table = read_text(tmp_path, "a.csv", '\ufeffitem_id,title\n1,"a ""b"", c\nd"\n2,5" pipe\n3,NA\n4,""\n5,\n')
    assert table["title"].to_pylist() == ['a "b", c\nd', '5" pipe', "NA", None, None]


def test_csv_keeps_the_order_of_the_file(tmp_path):
    numbers = [str(n) for n in np.random.default_rng(0).permutation(200_000)]
    table = read_text(tmp_path, "a.csv", "n,m\n" + "".join(f"{n},x\n" for n in numbers))
    assert table["n"].to_pylist() == numbers


def test_csv_columns_without_a_name_are_dropped(tmp_path):
    assert read_text(tmp_path, "a.csv", ",item_id\n0,a\n1,b\n").to_pydict() == {"item_id": ["a", "b"]}


def test_file_names_with_wildcards_are_names(tmp_path):
    read_text(tmp_path, "a1.csv", "x,y\n1,2\n")
    assert read_text(tmp_path, "a[1]*.csv", "item_id,y\n1,2\n").schema.names == ["item_id", "y"]


def test_very_long_texts_are_read(tmp_path):
    long = "word " * 1_000_000
    assert read_text(tmp_path, "a.csv", f"item_id,text\n1,{long}\n")["text"][0].as_py() == long
    assert read_text(tmp_path, "a.jsonl", f'{{"item_id": 1, "text": "{long}"}}\n')["text"][0].as_py() == long


def test_json_lines_keep_types_and_dates_stay_text(tmp_path):
    table = read_text(tmp_path, "a.jsonl", '{"item_id": 7, "title": "2012-01-01", "tags": ["2012-01-01"]}\n{"item_id": 8}\n')
    assert table.to_pylist() == [
        {"item_id": 7, "title": "2012-01-01", "tags": ["2012-01-01"]},
        {"item_id": 8, "title": None, "tags": None},
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "empty"),
        ("a.parquet", "", "empty"),
        ("a.csv", "\n\n", "no header"),
        ("a.csv", "a,b,a\n1,2,3\n", "column a more than once"),
        ("a.csv", "a,b\n1,2\n3\n", "line: 3: Expected Number of Columns: 2 Found: 1"),
        ("a.csv", "a,b\n1,2,3\n", "Found: 3"),
        ("a.csv", 'a,b\n1,"cut o', "line: 2: Value with unterminated quote"),
        ("a.csv", b"a,b\n" + b"1,2\n" * 100_000 + b"1,caf\xe9\n", "line: 100002: Invalid unicode"),
        ("a.csv", b"caf\xe9,b\n1,2\n", "not CSV in UTF-8"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "not CSV in UTF-8"),
        ("a.jsonl", '{"a": 1}\n{"a": 2', "cut off"),
        ("a.jsonl", '{"a": 1}\n{"a": "x"}\n', "changed from number to string"),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "specified twice"),
        ("a.jsonl", '[{"a": 1}]', "cannot be read"),
        ("a.jsonl", b'{"a": "caf\xe9"}\n', "not UTF-8"),
        ("a.jsonl", "\n\n", "no JSON object"),
        ("a.parquet", "not parquet at all", "cut off or not what its suffix says"),
        ("a.xlsx", "x", "suffix .xlsx, expected one of .parquet"),
        ("a", "x", "suffix (none)"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(tmp_path, name, content, words):
    with pytest.raises(DataError) as caught:
        read_text(tmp_path, name, content)
    message = str(caught.value)
    assert words in message
    assert str(tmp_path / name) in message
    assert "\n" not in message


def test_a_cut_off_parquet_file_is_refused(tmp_path):
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer)
    for size in (4, 20, len(buffer.getvalue()) - 1):
        with pytest.raises(DataError, match="cut off"):
            read_text(tmp_path, "a.parquet", buffer.getvalue()[:size])


def test_a_damaged_parquet_page_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"item_id": pa.array([f"item {n}" for n in range(1000)])})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[60:100] = b"\0" * 40
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path, "items table")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "none.parquet", "items table")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path, "items table")


def test_a_path_with_equal_signs_adds_no_column(tmp_path):
    path = tmp_path / "year=2012" / "a.parquet"
    write_table(TABLE, path)
    assert read_table(path, "items table").schema.names == ["item_id", "price"]


def test_pandas_polars_and_arrow_tables_are_read_alike():
    columns = {"item_id": [1, 2], "title": ["a", None], "tags": [["x", "y"], []]}
    expected = pa.table(columns).to_pylist()
    for source in (pa.table(columns), pd.DataFrame(columns), pl.DataFrame(columns), pl.DataFrame(columns).lazy()):
        assert read_table(source, "items table").to_pylist() == expected


def test_categorical_columns_are_decoded():
    frame = pd.DataFrame({"item_id": pd.Categorical(["a", "b", "a"])})
    column = id_column(read_table(frame, "items table"), "item_id", "items table")
    assert column.to_pylist() == ["a", "b", "a"]
    polars = pl.DataFrame({"item_id": ["a", "b"]}, schema={"item_id": pl.Categorical})
    assert id_column(read_table(polars, "items table"), "item_id", "items table").to_pylist() == ["a", "b"]


def test_the_index_of_a_pandas_table_is_no_column():
    assert read_table(pd.DataFrame({"item_id": [1]}, index=[5]), "items table").schema.names == ["item_id"]


def test_double_columns_in_memory_are_refused():
    with pytest.raises(DataError, match="column a more than once"):
        read_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "items table")
    with pytest.raises(DataError, match="column a more than once"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), "items table")


def test_mixed_types_and_strange_objects_are_refused():
    with pytest.raises(DataError, match="mix types"):
        read_table(pd.DataFrame({"item_id": [1, "a"]}), "items table")
    with pytest.raises(DataError, match="is a dict; expected a path"):
        read_table({"item_id": [1]}, "items table")


def test_missing_columns_are_named_with_those_that_exist():
    with pytest.raises(DataError, match="lacks the column user_id and item_id; its columns are: a, b"):
        require_columns(pa.table({"a": [1], "b": [2]}), ["user_id", "item_id"], "interactions table")
    with pytest.raises(DataError, match="separate its fields with commas"):
        require_columns(pa.table({"user_id;item_id": ["1;2"]}), ["item_id"], "interactions table")


def test_null_ids_are_refused_with_their_place():
    with pytest.raises(DataError, match="item_id of the items table has 1 null values, the first in data row 3"):
        id_column(TABLE, "item_id", "items table")


@pytest.mark.parametrize("values", [[1.0, 2.0], [True, False], [b"a", b"b"]])
def test_ids_of_other_types_are_refused(values):
    with pytest.raises(DataError, match="expected integers or strings"):
        id_column(pa.table({"item_id": values}), "item_id", "items table")


def test_ids_beyond_64_bits_are_refused():
    with pytest.raises(DataError, match="as strings"):
        id_column(pa.table({"item_id": pa.array([2**63], pa.uint64())}), "item_id", "items table")


def test_ids_become_int64_or_str():
    small = id_array(id_column(pa.table({"item_id": pa.array([1, 2], pa.int16())}), "item_id", "items table"))
    assert small.dtype == np.int64
    text = id_array(id_column(pa.table({"item_id": ["a", "b"]}), "item_id", "items table"))
    assert text.dtype == object
    assert type(text[0]) is str


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    table = pa.table({"user_id": ["007", 'a "b",\nc', "é"], "rank": [1, 2, 3], "codes": [[1, 2], [], None]})
    path = tmp_path / "deeper" / f"lists{suffix}"
    write_table(table, path)
    back = read_table(path, "lists").to_pydict()
    if suffix == ".csv":
        assert back == {"user_id": table["user_id"].to_pylist(), "rank": ["1", "2", "3"], "codes": ["[1, 2]", "[]", None]}
    else:
        assert back == table.to_pydict()
    assert os.listdir(path.parent) == [path.name]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with write_beside(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_unknown_suffix_is_not_written(tmp_path):
    with pytest.raises(DataError, match=".xlsx, expected one of"):
        write_table(TABLE, tmp_path / "a.xlsx")
    assert os.listdir(tmp_path) == []


def test_lists_come_back_from_csv_and_brackets_that_are_no_lists_stay_text(tmp_path):
    lists = [["Stories", "a, b"], None, ["x"], []]
    table = pa.table({"item_id": list("abcd"), "categories": lists, "title": ["[new]", "[a", "b]", "[1]"]})
    write_table(table, tmp_path / "t.csv")
    read = read_table(tmp_path / "t.csv", "items table")
    assert read["categories"].to_pylist() == lists
    assert read["title"].to_pylist() == ["[new]", "[a", "b]", "[1]"]
