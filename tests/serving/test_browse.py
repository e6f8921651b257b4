from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest
from small_server import fitted_run, item_ids

from cobrarec.artifact import load_artifact
from cobrarec.config import DataConfig
from cobrarec.errors import DataError
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.live_catalog import apply_changes
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.browse import IdBrowser, item_card, parse_prefix, plain, search_items


@pytest.fixture(scope="module")
def recommender():
    return load_artifact(fitted_run() / "artifact")


def test_all_words_must_be_there_in_any_order_and_case(recommender):
    catalog = recommender.catalog
    word = catalog.titles[5].split()[0]
    expected = [row for row in range(48) if word.casefold() in f"{catalog.texts[row]} {catalog.item_ids[row]}".casefold()]
    num_found, items = search_items(recommender, word.upper(), 100)
    assert num_found == len(expected)
    assert {item["item_id"] for item in items} == set(catalog.item_ids[expected])
    assert search_items(recommender, f"{word} zzzz", 5) == (0, [])
    assert search_items(recommender, item_ids()[7], 5)[1][0]["item_id"] == item_ids()[7], "an id is a word too"
    with pytest.raises(DataError, match="no words"):
        search_items(recommender, " ", 5)


def test_half_a_surrogate_pair_is_in_no_text(recommender):
    assert search_items(recommender, "\ud800", 5) == (0, [])


def test_removed_items_are_not_found(recommender):
    less = apply_changes(recommender, [ItemChange(recommender.catalog.table.select(["item_id"]).take(pa.array([7])))], DataConfig())
    assert search_items(less, item_ids()[7], 5) == (0, [])
    assert not item_card(less, item_ids()[7])["is_listed"]


def test_a_branch_counts_what_lies_below_it(recommender):
    browser = IdBrowser(TypicalWords.of(recommender.catalog.texts, recommender.semantic_ids))
    root = browser.branch(recommender, [])
    assert [child["num_items"] for child in root["children"]] == sorted((child["num_items"] for child in root["children"]), reverse=True)
    for child in root["children"]:
        below = browser.branch(recommender, child["prefix"])
        rows = np.flatnonzero((recommender.semantic_ids.codes == child["prefix"]).all(1))
        assert below["num_items"] == len(rows)
        assert {item["item_id"] for item in below["items"]} <= set(recommender.catalog.item_ids[rows])
        assert below["words"]
    assert browser.branch(recommender, [0, 0]) is None
    assert browser.branch(recommender, [10**6]) is None


@pytest.mark.parametrize(("text", "codes"), [("", []), ("12", [12]), ("0-7-3", [0, 7, 3])])
def test_prefixes_are_codes_with_hyphens(text, codes):
    assert parse_prefix(text) == codes


@pytest.mark.parametrize("text", ["-1", "a", "1--2", "1-", "٣", "9" * 12, "-".join(["1"] * 40)])
def test_anything_else_is_no_prefix(text):
    with pytest.raises(DataError, match="codes with a hyphen between"):
        parse_prefix(text)


def test_values_of_tables_become_json():
    assert plain(float("nan")) is None
    assert plain(np.int64(3)) == 3
    assert plain({"a": [date(2026, 1, 2), float("inf")]}) == {"a": ["2026-01-02", None]}
    assert plain(datetime(2026, 1, 2, 3)) == "2026-01-02T03:00:00"
    assert plain(b"x") == "b'x'"
