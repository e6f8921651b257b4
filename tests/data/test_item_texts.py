"""Texts of items: by default from every column, or by a template."""

import datetime

import pyarrow as pa
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.item_texts import full_texts, item_texts
from cobrarec.errors import ConfigError

TABLE = pa.table(
    {
        "item_id": [1, 2, 3],
        "title": ["Rose  soap\n", None, None],
        "brand": ["Flora Inc.", "Acme", None],
        "categories": [["Bath", None, "Soap"], [], None],
        "price": [9.99, 10.0, float("nan")],
        "early_access": [True, False, None],
    }
)


def test_the_default_text_joins_all_columns_and_leaves_nulls_out():
    assert full_texts(TABLE) == ["Rose soap. Flora Inc. Bath, Soap. 9.99. early access", "Acme. 10", ""]


def test_none_and_nan_never_appear():
    assert not any("none" in text.lower() or "nan" in text.lower() for text in full_texts(TABLE))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{title}, by {brand}", ["Rose soap, by Flora Inc.", "by Acme", ""]),
        ("Title: {title}. Brand: {brand}", ["Title: Rose soap. Brand: Flora Inc.", "Brand: Acme", ""]),
        ("{brand} ({price})", ["Flora Inc. (9.99)", "Acme (10)", ""]),
        ("{item_id}", ["1", "2", "3"]),
    ],
)
def test_in_a_template_a_null_takes_the_words_before_it_along(template, expected):
    assert full_texts(TABLE, template) == expected


@pytest.mark.parametrize("template", ["{titel}", "{title", "{}", "{title:>9}", "{title!r}", "{title.upper}", "all alike"])
def test_a_template_that_does_not_fit_is_refused(template):
    with pytest.raises(ConfigError, match="text_template"):
        full_texts(TABLE, template)


def test_a_wrong_template_is_told_the_columns_that_exist():
    with pytest.raises(ConfigError, match=r"\{titel\}; expected one of .*title, brand"):
        full_texts(TABLE, "{titel}")


def test_dates_structs_and_nested_lists_are_rendered():
    table = pa.table(
        {
            "released": [datetime.date(2012, 3, 4)],
            "seen": [datetime.datetime(2012, 3, 4)],
            "size": [{"width": 2, "unit": "cm"}],
            "paths": [[["Beauty", "Hair"], ["Gifts"]]],
        }
    )
    assert full_texts(table) == ["2012-03-04. 2012-03-04. 2, cm. Beauty, Hair, Gifts"]


def test_bytes_and_vectors_carry_no_text():
    table = pa.table({"title": ["a"], "image": [b"\x00\x01"], "embedding": [[0.25, 0.5]], "nothing": pa.nulls(1)})
    assert full_texts(table) == ["a"]


def test_texts_are_cut():
    table = pa.table({"item_id": [1], "title": ["x" * 100_000]})
    assert item_texts(table, DataConfig(max_text_characters=50)) == ["x" * 50]


def test_a_table_of_ids_alone_has_empty_texts():
    assert full_texts(pa.table({"item_id": [1, 2]})) == ["", ""]
