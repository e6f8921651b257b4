import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.data.table_stream import write_tables
from cobrarec.data.tables import read_table, write_table
from cobrarec.errors import DataError

TABLE = pa.table({"user_id": ["u", "v", "é, w"], "rank": [1, 2, None], "score": [0.5, 1e-9, 2.0]})


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".ndjson"])
def test_pieces_make_the_table_that_they_are_pieces_of(suffix, tmp_path):
    streamed, whole = tmp_path / f"streamed{suffix}", tmp_path / f"whole{suffix}"
    write_tables((TABLE.slice(start, 1) for start in range(3)), streamed)
    write_table(TABLE, whole)
    assert read_table(streamed, "table").equals(read_table(whole, "table"))
    assert suffix == ".parquet" or streamed.read_bytes() == whole.read_bytes()


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    write_tables([TABLE.slice(0, 0)], tmp_path / "t.parquet")
    assert pq.read_schema(tmp_path / "t.parquet") == TABLE.schema


def test_nothing_is_left_of_a_table_that_breaks_off(tmp_path):
    def pieces():
        yield TABLE
        raise KeyboardInterrupt

    (tmp_path / "t.csv").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_tables(pieces(), tmp_path / "t.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("t.csv", "before")]
    with pytest.raises(DataError, match="suffix"):
        write_tables([TABLE], tmp_path / "t.txt")
