import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec import pipeline
from cobrarec.cli.lists import list_records, read_ids, read_where, why_text
from cobrarec.errors import DataError
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def recommender(tmp_path_factory):
    items, interactions = small_world()
    numbers = {item: number for number, item in enumerate(items["item_id"].to_pylist())}
    items = items.set_column(0, "item_id", pa.array([numbers[item] for item in items["item_id"].to_pylist()]))
    column = interactions.schema.names.index("item_id")
    interactions = interactions.set_column(column, "item_id", pa.array([numbers[item] for item in interactions["item_id"].to_pylist()]))
    return pipeline.fit(items, interactions, tmp_path_factory.mktemp("lists") / "run", small_config(training={"num_epochs": 1}))


def test_no_users_make_no_records():
    assert list_records([]) == []


def test_ids_from_words_and_files_become_the_catalogs_own(recommender, tmp_path):
    (tmp_path / "a.txt").write_text("3\n\n4\n")
    (tmp_path / "b.csv").write_text("item_id\n5\n")
    pq.write_table(pa.table({"item_id": [6]}), tmp_path / "c.parquet")
    words = ["2", *(str(tmp_path / name) for name in ("a.txt", "b.csv", "c.parquet"))]
    assert read_ids(words, recommender) == [2, 3, 4, 5, 6]
    assert read_ids([], recommender) is None


def test_words_that_are_no_ids_are_refused(recommender, tmp_path):
    with pytest.raises(DataError, match="'x'"):
        read_ids(["x"], recommender)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_ids([str(tmp_path / "bad.txt")], recommender)


def test_why_is_told_in_one_line():
    why = {"beam_probability": 0.25, "cosine": 0.5, "nearest_history_item": 3, "terms": {"beam": -1.5, "similarity": -1, "memory": 2.004}}
    told = "ID 1-2, P(ID) 0.25, cosine 0.50, log score beam -1.50 similarity -1.00 memory +2.00, near Three"
    assert why_text({"semantic_id": (1, 2), "why": why}, {3: "Three"}) == told
    named = {"semantic_id": (1, 2), "why": why, "id_words": (("Monster High", "Doll"), ())}
    assert why_text(named, {3: "Three"}) == told.replace("ID 1-2", "ID 1 (Monster High, Doll) 2")
    alone = why | {"terms": {"beam": -0.0, "similarity": -0.0, "direct": -3.0}}  # the cascade has no share
    assert why_text({"semantic_id": (1, 2), "why": alone}, {}) == "ID 1-2, log score direct -3.00, near 3"
    nothing = {"beam_probability": None, "cosine": None, "nearest_history_item": None, "terms": {}}
    assert why_text({"semantic_id": (), "why": nothing}, {}) == ""
    assert why_text({"semantic_id": (1,), "why": None}, {}) == ""


@pytest.mark.parametrize("word", ["nosuch.csv", "nosuch.txt", "some/where", "."])
def test_a_word_that_looks_like_a_file_and_is_none_is_refused(recommender, word):
    with pytest.raises(DataError, match="neither a file nor an item's id"):
        read_ids([word], recommender)


def test_conditions_are_read_from_json():
    assert read_where(None) is None
    assert read_where('{"brand": ["X", "Y"], "price": {"max": 9}}') == {"brand": ["X", "Y"], "price": {"max": 9}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("brand=X", "--where is no JSON .*character 1 of 'brand=X'"),
        ('{"brand": "X"', "--where is no JSON"),
        ('["brand"]', "no JSON object"),
        ('{"brand": "X", "brand": "Y"}', "the key 'brand' twice"),
        ('{"price": {"max": 1, "max": 2}}', "the key 'max' twice"),
    ],
)
def test_conditions_that_are_no_json_object_are_refused(text, words):
    with pytest.raises(DataError, match=words):
        read_where(text)
