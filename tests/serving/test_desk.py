import pytest
from small_page import answer, deep_artifact, desk_over, popularity_run, still, turned_to, words_of
from small_server import TOKEN, item_ids

from cobrarec.errors import DataError
from cobrarec.serving.meters import Meters
from cobrarec.serving.page.desk import OURS, Desk, told
from cobrarec.serving.page.taken import Taken, taken_ids

IDS = item_ids()
FIELDS = {"title": "A brand new item", "series": "The series"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with desk_over(tmp_path_factory.mktemp("desk"), users=True) as desk:
        yield desk


def test_a_search_finds_items_that_hold_every_word(desk):
    title = desk.service.recommender.catalog.titles[0]
    word = title.split()[0]
    assert title in words_of(answer(desk.search(f" {word.upper()}  ")))
    assert words_of(answer(desk.search("zebra zeppelin"))) == "No item has all of these words: zebra zeppelin."
    assert answer(desk.search("  ")) == answer(desk.search(None)) == ""


def test_the_list_follows_the_history_and_the_dials(desk):
    taken = taken_ids(IDS[:3]).value()
    assert "popular in training" in words_of(answer(desk.listed(Taken().value(), still(desk))))
    listed = words_of(answer(desk.listed(taken, still(desk))))
    assert "nearest in the history" in listed
    assert "Against" not in listed
    assert "Against" in words_of(answer(desk.listed(taken, turned_to(desk, direct_weight=0.0, memory_weight=0.0))))


def test_dials_of_another_page_are_answered_in_one_sentence(desk):
    assert words_of(answer(desk.listed(taken_ids(IDS[:3]).value(), [1.0]))).startswith("The page is older")


def test_the_curve_is_drawn_where_tau_has_a_say(desk):
    taken = taken_ids(IDS[:3]).value()
    curve = answer(desk.curve(taken, turned_to(desk, direct_weight=0.0)))
    assert curve.count("<svg") >= 2
    assert "Distinct IDs" in curve
    assert "direct weight is 1" in answer(desk.curve(taken, turned_to(desk, direct_weight=1.0)))
    assert "history is empty" in answer(desk.curve(Taken().value(), still(desk)))


def test_presses_change_the_history_and_say_so(desk):
    longer, said = desk.changed(taken_ids(IDS[:2]), "add", IDS[5])
    assert [item for item, _ in longer.items] == [*IDS[:2], IDS[5]]
    assert "3 items in the history" in said
    assert desk.changed(longer, "drop", 0)[0].items == longer.items[1:]
    assert desk.changed(longer, "clear", None)[0] == Taken()
    assert desk.changed(longer, "try", taken_ids([IDS[7]]).value())[0] == taken_ids([IDS[7]])


@pytest.mark.parametrize(("act", "value"), [("add", "gone"), ("add", ["a"]), ("drop", "x"), ("buy", IDS[0]), (None, None)])
def test_presses_of_no_button_are_refused(desk, act, value):
    with pytest.raises(DataError, match="load the page again"):
        desk.changed(Taken(), act, value)


def test_users_bring_their_histories(desk):
    user = desk.users.any_id()
    taken, said = answer(desk.take_user(user, True))
    assert taken.user == user
    assert "the last one held back" in said
    nobody, said = answer(desk.take_user("nobody", True))
    assert nobody is None
    assert "There is no user &#x27;nobody&#x27;" in said
    assert "Give the id of a user" in answer(desk.take_user(" ", True))[1]


def test_an_item_is_added_shown_and_removed_again(tmp_path):
    with desk_over(tmp_path) as desk:
        meters = Meters()
        desk = Desk(desk.service, None, meters)
        landed = words_of(answer(desk.put(None, "new", FIELDS, None)))
        assert "Remove it again" in landed
        assert "has an item" in answer(desk.put(None, "new", FIELDS, None))
        assert "A brand new item" in words_of(answer(desk.search("brand new")))
        assert "is removed" in answer(desk.remove(None, "new"))
        assert "No item has" in answer(desk.search("brand new"))
        assert "There is no such item" in answer(desk.remove(None, ["new"]))
        assert "removed already" in answer(desk.remove(None, "new"))
        counted = meters.text().decode()
        assert 'cobrarec_item_changes_total{kind="added"} 1.0' in counted
        assert 'cobrarec_item_changes_total{kind="removed"} 1.0' in counted


def test_the_token_guards_changes_here_too(tmp_path):
    with desk_over(tmp_path, token=TOKEN) as desk:
        assert desk.needs_token
        for given in (None, "", "wrong", TOKEN[:-1], "é"):
            assert "need the server&#x27;s token" in answer(desk.put(given, "new", FIELDS, None))
            assert "need the server&#x27;s token" in answer(desk.remove(given, IDS[0]))
        assert "new" not in desk.service.recommender.catalog
        assert "Nearest items" in answer(desk.put(TOKEN, "new", FIELDS, None))


def test_a_server_that_only_reads_says_why(tmp_path):
    with desk_over(tmp_path, read_only=True, token=TOKEN) as desk:
        assert not desk.needs_token
        assert "Items cannot be changed here: this server only reads" in answer(desk.put(TOKEN, "new", FIELDS, None))


def test_the_tree_is_walked_and_nonsense_leads_nowhere(tmp_path):
    with desk_over(deep_artifact(tmp_path)) as desk:
        codes = desk.service.recommender.engine.codes[0].tolist()
        assert desk.service.recommender.catalog.titles[0] in answer(desk.tree(codes))
        for nonsense in (None, "x", {"a": 1}, [[1]], ["0"]):
            assert "All semantic IDs" in answer(desk.tree(nonsense))
        assert "begins with 9" in answer(desk.tree([9, 9, 9]))
        assert "IDs by bucket size" in answer(desk.card())


def test_a_ranker_without_a_network_has_lists_and_says_what_it_lacks():
    with desk_over(popularity_run() / "artifact") as desk:
        assert desk.dials == ()
        assert "popular in training" in answer(desk.listed(Taken().value(), []))
        assert "The ranker popularity has no semantic IDs" in answer(desk.tree([]))
        assert "reads no τ" in answer(desk.curve(Taken().value(), []))
        assert "takes no new items" in answer(desk.put(None, "new", FIELDS, None))


def test_a_model_that_takes_too_long_is_given_up_in_one_sentence(tmp_path):
    with desk_over(tmp_path, time_limit=1e-6) as desk:
        assert "took longer than 1e-06 s; try again" in answer(desk.listed(Taken().value(), still(desk)))


def test_a_fault_of_ours_is_logged_and_shows_no_traceback(caplog):
    async def broken():
        raise ZeroDivisionError("inside")

    assert words_of(answer(told(broken()))) == OURS.replace("'", "&#x27;")
    assert "ZeroDivisionError" in caplog.text
