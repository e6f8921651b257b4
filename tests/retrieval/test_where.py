"""`where`: the mask is that of a slow reference, item by item, and what cannot be met is refused."""

import math
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.retrieval.where import rows_where

TABLE = pa.table(
    {
        "item_id": ["a", "b", "c", "d"],
        "brand": ["X", "Y", None, "X"],
        "categories": [["toys", "red"], ["red"], None, []],
        "price": [1.0, 9.5, None, float("nan")],
        "stock": pa.array([5, 0, None, 2**53 + 1], pa.int64()),
        "is_new": [True, False, None, True],
        "released": pa.array([date(2020, 1, 1), date(2020, 1, 31), None, date(2021, 6, 1)], pa.date32()),
        "seen": pa.array([datetime(2020, 1, 1), datetime(2020, 1, 31, 18, 30), None, datetime(2021, 6, 1)], pa.timestamp("us", "UTC")),
        "text_price": ["1", " 9.50", None, "30"],
        "text_date": ["2020-01-01", "2020-01-31", None, "2021-06-01"],
        "sizes": pa.array([[1, 2], None, [3, 4], [2, 9]], pa.list_(pa.int64(), 2)),
        "nothing": pa.nulls(4),
        "vector": [{"x": 1}] * 4,
    }
)
CATALOG = Catalog.from_table(TABLE, DataConfig(text_template="{item_id}"))


def met(**where):
    return "".join(CATALOG.item_ids[rows_where(CATALOG, where)])


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ({"brand": "X"}, "ad"),
        ({"brand": ["X", "Y"]}, "abd"),
        ({"brand": "x"}, ""),
        ({"item_id": ["a", "c", "nowhere"]}, "ac"),
        ({"categories": "red"}, "ab"),
        ({"categories": ["toys", "blue"]}, "a"),
        ({"sizes": 2}, "ad"),
        ({"sizes": {"min": 4}}, "cd"),
        ({"price": {"min": 1, "max": 9.5}}, "ab"),
        ({"price": {"max": 1}}, "a"),
        ({"price": 9.5, "brand": ["X", "Y"]}, "b"),
        ({"price": 9.5, "brand": "X"}, ""),
        ({"stock": 0.0}, "b"),
        ({"stock": 0.5}, ""),
        ({"stock": {"min": 0.5}}, "ad"),
        ({"stock": 2**53 + 1}, "d"),
        ({"stock": {"max": math.inf}}, "abd"),
        ({"stock": [10**30, 5]}, "a"),
        ({"stock": {"min": -(10**30), "max": 10**30}}, "abd"),
        ({"stock": np.int32(5)}, "a"),
        ({"stock": np.array([0, 5])}, "ab"),
        ({"is_new": True}, "ad"),
        ({"is_new": [True, False]}, "abd"),
        ({"text_price": 9.5}, "b"),
        ({"text_price": {"min": 2, "max": 30}}, "bd"),
        ({"text_price": "30"}, "d"),
        ({"text_price": ["30", 1]}, "ad"),
        ({"released": "2020-01-31"}, "b"),
        ({"released": date(2020, 1, 1)}, "a"),
        ({"released": "2020-01-31T10:00"}, ""),
        ({"released": {"min": "2020-01-31T10:00"}}, "d"),
        ({"released": {"min": "2020-01-02", "max": "2021-06-01"}}, "bd"),
        ({"seen": "2020-01-31T18:30"}, "b"),
        ({"seen": "2020-01-31T19:30+01:00"}, "b"),
        ({"seen": {"max": "2020-01-31T18:29:59"}}, "a"),
        ({"seen": {"min": datetime(2020, 2, 1, tzinfo=UTC)}}, "d"),
        ({"text_date": {"max": "2020-12-31"}}, "ab"),
        ({"text_date": date(2020, 1, 31)}, "b"),
        ({"nothing": 1}, ""),
        ({"nothing": {"min": "2020-01-01"}}, ""),
    ],
)
def test_conditions_mean_what_they_say(where, items):
    assert met(**where) == items


def test_a_date_without_a_time_stands_for_its_whole_day():
    assert met(seen="2020-01-31") == "b"
    assert met(seen={"max": "2020-01-31"}) == "ab"
    assert met(seen={"min": "2020-01-31", "max": "2020-01-31"}) == "b"


def test_numbers_are_compared_in_the_columns_own_precision():
    table = pa.table(
        {
            "item_id": ["a", "b"],
            "half": pa.array([0.1, 0.2], pa.float16()),
            "single": pa.array([0.1, 19.99], pa.float32()),
            "exact": pa.array([Decimal("0.10"), Decimal("19.99")], pa.decimal128(9, 2)),
            "zero": [0.0, -0.0],
        }
    )
    catalog = Catalog.from_table(table, DataConfig(text_template="{item_id}"))
    for column in ("single", "exact"):
        assert rows_where(catalog, {column: 19.99}).tolist() == [False, True]
        assert rows_where(catalog, {column: {"max": 0.1}}).tolist() == [True, False]
    assert rows_where(catalog, {"exact": Decimal("19.99")}).tolist() == [False, True]
    assert rows_where(catalog, {"half": {"max": 0.15}}).tolist() == [True, False]
    assert rows_where(catalog, {"zero": 0}).tolist() == rows_where(catalog, {"zero": [-0.0, 7]}).tolist() == [True, True]
    assert rows_where(catalog, {"single": {"max": 10**400}}).all()


def test_columns_of_categories_and_what_polars_hands_over_are_text():
    views = pa.array(["X", "Y", None], pa.string_view())
    tags = pa.ListArray.from_arrays(pa.array([0, 1, 2, 2], pa.int32()), pa.array(["red", "blue"]).dictionary_encode())
    table = pa.table({"item_id": [1, 2, 3], "view": views, "category": pa.array(["X", None, "Y"]).dictionary_encode(), "tags": tags})
    catalog = Catalog(table, ("", "", ""), np.array([1, 2, 3]))
    assert rows_where(catalog, {"view": ["X", "Z"]}).tolist() == [True, False, False]
    assert rows_where(catalog, {"category": "Y"}).tolist() == [False, False, True]
    assert rows_where(catalog, {"tags": "blue"}).tolist() == [False, True, False]
    assert rows_where(catalog, {"item_id": np.array(3)}).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"brnd": "X", "colour": 1}, "names 'brnd', 'colour', which the catalog lacks; its columns are: item_id, brand"),
        ({"price": {"mn": 1}}, "the key 'mn'; expected `min`, `max`"),
        ({"price": {}}, "no bound"),
        ({"price": {"min": 2, "max": 1}}, "the empty range from 2 to 1"),
        ({"released": {"min": "2021-01-01", "max": date(2020, 1, 1)}}, "the empty range"),
        ({"price": {"min": float("nan")}}, "NaN of column price"),
        ({"price": float("nan")}, "NaN"),
        ({"price": {"max": None}}, "null"),
        ({"brand": None}, "null of column brand"),
        ({"brand": ["X", None]}, "null"),
        ({"brand": []}, "an empty list"),
        ({"brand": b"X"}, "expected text, a number"),
        ({"brand": [["X"]]}, "expected text"),
        ({"brand": 5}, "the text|text that does not read as numbers throughout, such as 'X'"),
        ({"brand": {"max": 5}}, "does not read as numbers throughout, such as 'X'"),
        ({"brand": {"max": "2020-01-01"}}, "does not read as dates throughout, such as 'X'"),
        ({"brand": True}, "the boolean True of column brand, which holds .*string; give text"),
        ({"price": "9"}, "the text '9' of column price, which holds double; give a number"),
        ({"price": {"min": "9"}}, "the bound '9' of column price, which holds double; give a number"),
        ({"price": {"min": 1, "max": "9"}}, "from a number .1. to a text .'9'.; give two bounds of a kind"),
        ({"price": True}, "the boolean True of column price"),
        ({"stock": False}, "the boolean False"),
        ({"is_new": 1}, "the number 1 of column is_new, which holds bool; give true or false"),
        ({"is_new": {"min": False}}, "which holds bool; give true or false"),
        ({"released": "last year"}, "'last year' of column released, which holds dates; give an ISO date"),
        ({"released": 2020}, "the number 2020 of column released, which holds date32.*; give an ISO date"),
        ({"categories": 1}, "does not read as numbers"),
        ({"vector": "x"}, "which holds struct.*; name another column"),
    ],
)
def test_what_no_item_can_meet_is_refused_with_the_reason(where, words):
    with pytest.raises(DataError, match=words) as caught:
        rows_where(CATALOG, where)
    assert str(caught.value).startswith("`where` ")


TEXTS = st.sampled_from(["", "X", "x", "Y", "née", "7"])
INTEGERS = st.integers(-3, 3)
FLOATS = st.sampled_from([-1.5, -0.0, 0.0, 0.1, 2.0, 2.5, math.inf])
DAYS = st.integers(-2, 2).map(lambda day: date(2020, 3, 1) + timedelta(days=day))
MOMENTS = st.integers(-60, 60).map(lambda hours: datetime(2020, 3, 1) + timedelta(hours=hours))
COLUMNS = {
    "text": (pa.large_string(), TEXTS, TEXTS),
    "number_text": (pa.string(), INTEGERS.map(str), st.one_of(INTEGERS, FLOATS)),
    "integer": (pa.int32(), INTEGERS, st.one_of(INTEGERS, FLOATS)),
    "float": (pa.float64(), st.one_of(FLOATS, st.just(math.nan)), st.one_of(INTEGERS, FLOATS)),
    "boolean": (pa.bool_(), st.booleans(), st.booleans()),
    "day": (pa.date32(), DAYS, DAYS),
    "moment": (pa.timestamp("ms"), MOMENTS, st.one_of(DAYS, MOMENTS)),
    "texts": (pa.list_(pa.string()), st.lists(st.one_of(st.none(), TEXTS), max_size=3), TEXTS),
    "integers": (pa.large_list(pa.int8()), st.lists(INTEGERS, max_size=3), st.one_of(INTEGERS, FLOATS)),
}


def ends(value):
    """First and last moment, or number, that an asked value stands for."""
    if isinstance(value, datetime):
        return value, value
    if isinstance(value, date):
        first = datetime(value.year, value.month, value.day)
        return first, first + timedelta(days=1) - timedelta(microseconds=1)
    return value, value


def meets(value, condition):
    """One value of one item against one condition, as the words say it."""
    if isinstance(value, list):
        return any(meets(one, condition) for one in value)
    if value is None:
        return False
    if isinstance(condition, list):
        return any(meets(value, one) for one in condition)
    bounds = condition if isinstance(condition, dict) else {"min": condition, "max": condition}
    example = next(iter(bounds.values()))
    if isinstance(value, str) and not isinstance(example, str):
        value = float(value)
    value = ends(value)[0]
    return ("min" not in bounds or value >= ends(bounds["min"])[0]) and ("max" not in bounds or value <= ends(bounds["max"])[1])


@st.composite
def tables_and_conditions(draw):
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True))
    num_items = draw(st.integers(2, 8))
    columns, where = {"item_id": pa.array(range(num_items))}, {}
    for name in names:
        kind, held, asked = COLUMNS[name]
        columns[name] = pa.array(draw(st.lists(st.one_of(st.none(), held), min_size=num_items, max_size=num_items)), kind)
        forms = [asked, st.lists(asked, min_size=1, max_size=3)]
        if name not in ("text", "texts", "boolean"):
            forms.append(st.dictionaries(st.sampled_from(["min", "max"]), asked, min_size=1))
        where[name] = draw(st.one_of(forms))
    return pa.table(columns), where


def is_empty(condition):
    return isinstance(condition, dict) and len(condition) == 2 and ends(condition["min"])[0] > ends(condition["max"])[1]


@settings(max_examples=300, deadline=None)
@given(tables_and_conditions())
def test_the_mask_is_that_of_the_slow_reference(given_both):
    table, where = given_both
    catalog = Catalog.from_table(table, DataConfig(text_template="{item_id}"))
    if any(is_empty(condition) for condition in where.values()):
        with pytest.raises(DataError, match="empty range"):
            rows_where(catalog, where)
        return
    slow = [all(meets(item[name], condition) for name, condition in where.items()) for item in table.to_pylist()]
    assert rows_where(catalog, where).tolist() == slow
    cut = pa.concat_tables([table.slice(1), table.slice(0, 1)])  # in several chunks, with offsets
    moved = Catalog(cut, catalog.texts, catalog.item_ids)
    assert rows_where(moved, where).tolist() == [*slow[1:], slow[0]]


def test_a_million_items_take_less_than_a_second():
    random, num_items = np.random.default_rng(0), 1_000_000
    brands = pa.array([f"brand {number}" for number in range(100)]).take(pa.array(random.integers(0, 100, num_items)))
    tags = pa.ListArray.from_arrays(
        pa.array(np.arange(num_items + 1) * 2, pa.int32()), brands.take(random.integers(0, num_items, 2 * num_items))
    )
    columns = {"item_id": np.arange(num_items), "brand": brands, "tags": tags, "price": random.uniform(0, 100, num_items)}
    catalog = Catalog(pa.table(columns), (), columns["item_id"])
    began = time.process_time()
    mask = rows_where(catalog, {"brand": ["brand 1", "brand 2"], "tags": "brand 3", "price": {"min": 10, "max": 50}})
    assert time.process_time() - began < 1
    assert 0 < mask.sum() < num_items / 50


def test_half_a_surrogate_pair_is_refused_in_words():
    catalog = Catalog.from_table(pa.table({"item_id": ["a", "b"], "title": ["x", "y"]}), DataConfig())
    for condition in ("\ud800", ["x", "a\udfff"], {"min": "\ud800"}):
        with pytest.raises(DataError, match="half a surrogate pair"):
            rows_where(catalog, {"title": condition})
