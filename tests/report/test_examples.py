from run_folders import example

from cobrarec.report.examples import LAST_ITEMS, example_cards, title_of


def test_the_item_taken_next_is_marked_in_the_list_and_beside_the_history() -> None:
    html = example_cards([example()])
    assert html.count('<span class="badge hit">taken next</span>') == 1
    assert '<span class="badge hit">in the list</span>' in html


def test_a_miss_is_told() -> None:
    record = example()
    record["items"] = record["items"][1:]
    assert '<span class="badge">not in the list</span>' in example_cards([record])


def test_a_user_without_a_held_out_item_has_no_verdict() -> None:
    html = example_cards([example() | {"target": None}])
    assert "Taken next" not in html
    assert "badge" not in html


def test_every_reason_is_told_in_words() -> None:
    html = example_cards([example("Soap")])
    assert "ID <code>12</code> <bdi>Monster High, Soap</bdi> › <code>3</code> <bdi>Doll</bdi>" in html
    assert "ID <code>1-2</code>" in html  # without words
    assert 'P(ID) <data value="0.25">25 %</data>' in html
    assert 'cosine <data value="0.875">0.88</data>' in html
    assert "nearest in history: <bdi>Soap</bdi>" in html
    assert "fill: ranked below what was found" in html
    assert "log score = beam + similarity" in html
    assert 'log score <data value="-3.0">-3.00</data> = beam <data value="-1.0">-1.00</data> + similarity' in html


def test_the_id_of_what_was_taken_next_is_told_in_words_where_they_are_known() -> None:
    assert "ID <code>12</code> <bdi>Monster High" in example_cards([example() | {"items": []}])
    older = example() | {"items": [], "target": {"item_id": "b", "title": "Taken item"}}
    assert "Taken item" in example_cards([older])
    assert "<code>" not in example_cards([older])


def test_what_has_no_share_in_the_score_is_no_reason() -> None:
    record = example()
    record["items"][0]["why"]["terms"] = {"beam": -0.0, "similarity": -0.0, "direct": -3.0}
    html = example_cards([record | {"items": record["items"][:1]}])
    assert "P(ID)" not in html
    assert "cosine" not in html
    assert "log score = direct<" in html
    assert 'direct <data value="-3.0">-3.00</data>' in html


def test_long_histories_show_their_end_and_count_the_rest() -> None:
    history = [{"item_id": str(n), "title": f"Item {n}"} for n in range(LAST_ITEMS + 5)]
    html = example_cards([example() | {"history": history}])
    assert '<li class="older">5 older</li>' in html
    assert "Item 4<" not in html
    assert "Item 5<" in html


def test_an_item_without_title_is_called_by_its_id() -> None:
    assert title_of({"item_id": 17, "title": None}) == "17"


def test_empty_history_and_empty_list_are_said() -> None:
    html = example_cards([{"user_id": 5, "history": [], "target": None, "items": []}])
    assert "Empty." in html
    assert "Nothing." in html
