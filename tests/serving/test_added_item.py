import pyarrow as pa
import pytest
from small_page import words_of
from small_server import artifact_in, item_ids

from cobrarec.artifact import open_live_catalog
from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.page.added_item import fields_of, filled_in, free_id, landing, landing_panel
from small_run import small_world

CATALOG = Catalog.from_table(small_world()[0], DataConfig())
TYPED = Catalog.from_table(
    pa.table(
        {"item_id": [4, 9], "title": ["a", "b"], "price": [1.5, 2.0], "tags": [["x"], ["y"]], "sizes": [[1], [2]], "new": [True, False]}
    ),
    DataConfig(),
)


def test_every_attribute_has_a_field_unless_there_are_too_many():
    assert fields_of(CATALOG) == ("title", "series", "categories", "description")
    wide = pa.table({"item_id": [1, 2], **{f"c{number}": ["a", "b"] for number in range(13)}})
    assert fields_of(Catalog.from_table(wide, DataConfig())) == ()


def test_fields_become_values_of_the_columns():
    fields = {"title": "T", "price": "3", "tags": "red, blue", "sizes": "[1, 2]", "new": "true"}
    row = filled_in("12", fields, None, TYPED).to_pylist()[0]
    assert row == {"item_id": 12, "title": "T", "price": 3.0, "tags": ["red", "blue"], "sizes": [1, 2], "new": True}
    assert filled_in("12", {"title": None, "tags": '["a, b"]', "price": " "}, "", TYPED).to_pylist() == [{"item_id": 12, "tags": ["a, b"]}]


def test_json_stands_for_the_fields_and_may_name_the_id():
    assert filled_in("", {"title": "left aside"}, '{"item_id": 77, "title": "J"}', TYPED).to_pylist() == [{"item_id": 77, "title": "J"}]
    assert filled_in("78", {}, '{"item_id": 77, "title": "J"}', TYPED).to_pylist() == [{"item_id": 78, "title": "J"}]


@pytest.mark.parametrize(
    ("item_id", "fields", "as_json", "told"),
    [
        ("", {"title": "T"}, None, "needs an id that the catalog lacks, such as 10"),
        ("x", {"title": "T"}, None, "is not an integer"),
        ("12", {}, None, "says nothing"),
        ("12", {"title": "   "}, None, "says nothing"),
        ("9", {"title": "T"}, None, "has an item 9 already"),
        ("12", {"price": "cheap"}, None, "price holds double in the catalog, and 'cheap' is none; write it as JSON, such as 12.5"),
        ("12", {"sizes": '["a"]'}, None, "as sizes, where the catalog holds lists of whole numbers"),
        ("12", {}, "{", "That is no JSON"),
        ("12", {}, "[1]", "That is a JSON list"),
        ("12", {}, '{"color": "red"}', "which the catalog lacks"),
        ("", {}, '{"item_id": null, "title": "T"}', "needs an id"),
    ],
)
def test_what_cannot_be_an_item_is_refused_in_one_sentence(item_id, fields, as_json, told):
    with pytest.raises(DataError) as refused:
        filled_in(item_id, fields, as_json, TYPED)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_free_id_is_one_of_the_catalogs_type():
    assert free_id(TYPED) == "10"
    assert free_id(CATALOG) == "new-1"


def test_an_item_lands_among_those_that_say_the_same_and_in_the_list_of_who_took_them(tmp_path):
    live = open_live_catalog(artifact_in(tmp_path), "test")
    words = TypicalWords.of(live.recommender.catalog.texts, live.recommender.semantic_ids)
    row = small_world()[0].to_pylist()[7]
    live.put(filled_in("new", {}, '{"title": "' + row["title"] + '", "series": "' + row["series"] + '"}', live.recommender.catalog))
    landed = landing(live.recommender, "new")
    assert len(landed.nearest) == 5
    assert landed.nearest[0].similarity >= landed.nearest[-1].similarity
    assert landed.fitting == [item.item_id for item in landed.nearest[:3]]
    ranked = [item.item_id for item in live.recommender.recommend([landed.fitting], 48)[0]]
    assert landed.place == ranked.index("new") + 1
    forgetful = live.recommender.with_settings(memory_weight=0.0)
    assert landed.place_unremembered == [item.item_id for item in forgetful.recommend([landed.fitting], 48)[0]].index("new") + 1
    panel = words_of(landing_panel(landed, words.path))
    assert f"at place {landed.place_unremembered} without the memory of transitions" in panel
    for told in (row["title"], f"at place {landed.place}", "Try that history", "See its bucket", "Remove it again"):
        assert told in panel
    assert set(landed.fitting) <= set(item_ids())
    live.close()
