import pytest
from small_page import popularity_run, words_of
from small_server import fitted_run, item_ids

from cobrarec.artifact import load_artifact
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.page.panels import attributes_line, found_panel, history_panel, list_panel
from cobrarec.serving.page.shown_list import shown_list
from cobrarec.serving.page.taken import Taken, taken_ids

RECOMMENDER = load_artifact(fitted_run() / "artifact")
WORDS = TypicalWords.of(RECOMMENDER.catalog.texts, RECOMMENDER.semantic_ids).path
TITLES = RECOMMENDER.catalog.titles
IDS = item_ids()


def shown(settings=None, taken=None):
    taken = taken or taken_ids(IDS[:3])
    return list_panel(shown_list(RECOMMENDER, taken, settings or {}), taken, WORDS)


def test_a_search_counts_what_it_found_and_offers_it():
    panel = found_panel("dog", 9, [{"item_id": IDS[0], "title": "A <dog>"}])
    assert words_of(panel) == "9 items found, the first 1 shown A &lt;dog&gt; Add"
    assert words_of(found_panel("cat", 0, [])) == "No item has all of these words: cat."


def test_a_history_stands_in_its_order_and_can_be_emptied():
    panel = words_of(history_panel(taken_ids([IDS[2], IDS[0]]), RECOMMENDER.catalog))
    assert panel.index(TITLES[2]) < panel.index(TITLES[0])
    assert "Clear" in panel
    assert "popular in training" in words_of(history_panel(Taken(), RECOMMENDER.catalog))


def test_what_a_user_took_next_is_told_apart_from_the_history():
    panel = words_of(history_panel(Taken(((IDS[0], 5),), "u1", IDS[1]), RECOMMENDER.catalog))
    assert "History of u1" in panel
    assert f"Held back, taken next: {TITLES[1]}" in panel


def test_every_item_of_the_list_says_what_it_is_and_why_it_is_there():
    items = RECOMMENDER.with_settings(direct_weight=0.5).recommend([IDS[:3]], 10, explain=True)[0]
    panel = words_of(shown({"direct_weight": 0.5}))
    for item in items:
        row = RECOMMENDER.catalog.find(item.item_id)
        assert TITLES[row] in panel
        assert f"{item.why.cosine:.2f}" in panel
        assert f"{sum(value for value in item.why.terms.values()):.2f}" in panel
    for word in ("P(ID)", "cosine", "log score", "beam", "similarity", "nearest in the history", "See its bucket", "Take it"):
        assert panel.count(word) >= 10
    assert all(name in panel for named in WORDS(items[0].semantic_id) for name in named)


def test_what_has_no_share_in_the_score_says_so():
    assert words_of(shown({"direct_weight": 1.0, "memory_weight": 0.0})).count("(no share in the score)") == 20
    assert "(no share in the score)" not in words_of(shown({"direct_weight": 0.5}))


def test_turned_dials_say_what_changed():
    panel = words_of(shown({"direct_weight": 0.0, "memory_weight": 0.0, "psi": 0.0}))
    assert "Against the artifact's settings:" in panel.replace("&#x27;", "'")
    assert "distinct ID" in panel
    assert "mean cosine distance of two items" in panel
    assert "Against" not in words_of(shown())


@pytest.mark.parametrize(("place", "told"), [(0, "stands at place 1."), (None, "is not among the ten.")])
def test_whether_the_item_that_was_held_back_is_in_the_list_is_the_first_thing_told(place, told):
    items = RECOMMENDER.recommend([IDS[:3]], 10)[0]
    held_back = items[place].item_id if place is not None else IDS[0]
    panel = words_of(shown(taken=Taken(tuple((item, None) for item in IDS[:3]), "u", held_back)))
    assert told in panel
    assert panel.count("taken next") == (place is not None)


def test_lists_of_what_was_popular_say_so_and_have_no_ids_without_a_network():
    recommender = load_artifact(popularity_run() / "artifact")
    panel = words_of(list_panel(shown_list(recommender, Taken(), {}), Taken(), None))
    assert panel.count("popular in training") == 10
    assert "See its bucket" not in panel


def test_attributes_are_named_and_cut_and_what_says_nothing_is_left_out():
    told = words_of(attributes_line({"title": "T", "brand": None, "sold_in": ["a", "b"], "text": "x " * 200, "n": ""}))
    assert told.startswith("sold in a, b text x x")
    assert told.endswith("…")
    assert attributes_line({"title": "T", "brand": None}) == ""
