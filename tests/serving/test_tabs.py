import json

import pytest
from small_page import answer, deep_artifact, desk_over, popularity_run
from small_server import TOKEN, item_ids

gr = pytest.importorskip("gradio", reason="the page needs gradio")

from cobrarec.serving.page.tabs import PageTabs  # noqa: E402
from cobrarec.serving.page.taken import Taken, taken_ids  # noqa: E402

IDS = item_ids()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with desk_over(deep_artifact(tmp_path_factory.mktemp("tabs")), users=True) as desk:
        yield PageTabs(desk)


def pressed(page, act, value, history=None, token=None):
    """What the press of a button changes, by the name of the part."""
    event = gr.EventData(None, {"act": act, "value": value if isinstance(value, str) else json.dumps(value)})
    dials = [dial.default for dial in page.desk.dials]
    changed = answer(page._act((history or Taken()).value(), token, event, *dials))
    names = {getattr(page, name): name for name in ("history", "taken", "listed", "tree", "landed", "tabs", "said")}
    return {names[part]: value for part, value in changed.items()}


def test_no_event_is_queued_or_open_to_others(page):
    for event in page.blocks.config["dependencies"]:
        assert event["queue"] is False
        assert event["api_visibility"] == "private"
    assert not page.blocks.config["connect_heartbeat"]
    assert page.blocks.config["analytics_enabled"] is False


def test_every_control_has_a_label(page):
    labelled = [part["props"] for part in page.blocks.config["components"] if part["type"] in ("textbox", "slider", "checkbox", "button")]
    assert len(labelled) >= 15
    assert all(props.get("label") or props.get("value") for props in labelled)


def test_adding_shows_history_list_and_a_word(page):
    changed = pressed(page, "add", json.dumps(IDS[3]))
    assert set(changed) == {"history", "taken", "listed", "said"}
    assert changed["history"] == taken_ids([IDS[3]]).value()


def test_a_bucket_opens_in_the_tree_and_a_fitting_history_in_the_lists(page):
    codes = page.desk.service.recommender.engine.codes[0].tolist()
    assert pressed(page, "bucket", codes)["tabs"].selected == "tree"
    assert pressed(page, "try", taken_ids(IDS[:2]).value())["tabs"].selected == "lists"


def test_nonsense_is_answered_in_a_word(page):
    assert set(pressed(page, "add", "{")) == {"said"}
    assert set(pressed(page, "add", "gone")) == {"said"}


def test_the_first_view_is_whole(page):
    history, listed, tree, card, new_id = answer(page._first(Taken().value(), *[dial.default for dial in page.desk.dials]))
    assert "Empty" in history
    assert listed.count("<li") >= 10
    assert "All semantic IDs" in tree
    assert "What is served" in card
    assert new_id == page.desk.next_id()


def test_an_item_is_put_and_the_next_id_offered_and_a_refused_one_kept(page):
    none = [None] * (len(page.names) - 1)
    landed, next_id = answer(page._put(None, "new-1", None, "Tea", *none))
    assert "Remove it again" in landed
    assert next_id == "new-2"
    landed, next_id = answer(page._put(None, "new-1", None, "Tea", *none))
    assert "has an item" in landed
    assert "removed" in pressed(page, "remove", json.dumps("new-1"))["landed"]


def test_a_user_replaces_the_history_and_an_unknown_one_leaves_it(page):
    value, panel, said = answer(page._take(page.desk.users.any_id(), True))
    assert value["items"]
    assert "Held back" in panel
    assert "one held back" in said
    assert answer(page._take("nobody", True))[2].startswith("<p")


def test_the_token_is_asked_for_where_there_is_one(tmp_path):
    with desk_over(tmp_path, token=TOKEN) as desk:
        tabs = PageTabs(desk)
        assert tabs.token.visible
        assert tabs.token.type == "password"
    with desk_over(tmp_path / "artifact", read_only=True) as desk:
        tabs = PageTabs(desk)
        assert not tabs.token.visible
        assert not tabs.put.interactive


def test_a_ranker_without_a_network_has_no_dials():
    with desk_over(popularity_run() / "artifact") as desk:
        assert PageTabs(desk).sliders == []
