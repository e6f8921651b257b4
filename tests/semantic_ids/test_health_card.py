import json

import numpy as np
import pytest

from cobrarec.data.interactions import Histories
from cobrarec.errors import CollapseError
from cobrarec.semantic_ids.health_card import HealthCard, check_collapse, perplexity, same_bucket_share
from cobrarec.semantic_ids.semantic_ids import SemanticIds


def card(codes: object, codebook_size: int, train: Histories | None = None, text_codes: object = None, num_alike: int = 0) -> HealthCard:
    array = np.asarray(codes, np.int32)
    ids = SemanticIds.from_codes(array, codebook_size)
    other = array if text_codes is None else np.asarray(text_codes, np.int32)
    return HealthCard.of(
        ids, train or Histories.from_lists([[0]]), 0.5, other, np.ones(len(array), np.bool_), np.arange(len(array)) < num_alike
    )


def test_the_card_counts_codes_ids_and_buckets() -> None:
    made = card([[0, 0], [0, 0], [0, 1], [2, 1]], 4)
    assert made.used_codes == (2, 2)
    assert made.num_ids == 3
    assert made.distinct_id_share == 0.75
    assert made.alone_share == 0.5
    assert made.largest_bucket == 2
    assert made.bucket_quantiles[0] == 1
    assert made.bucket_quantiles[-1] == 2
    assert made.perplexity[1] == pytest.approx(2)


def test_perplexity_is_the_number_of_codes_when_all_are_used_alike() -> None:
    assert perplexity(np.array([3, 3, 0, 3])) == pytest.approx(3)
    assert perplexity(np.array([5, 0])) == pytest.approx(1)


def test_text_only_agreement_is_per_level_and_for_the_whole_id() -> None:
    made = card([[0, 0], [1, 1], [2, 2], [3, 3]], 4, text_codes=[[0, 0], [1, 0], [0, 2], [0, 0]])
    assert made.text_only_level_agreement == (0.5, 0.5)
    assert made.text_only_agreement == 0.25


def test_transitions_within_a_bucket_are_counted() -> None:
    ids = SemanticIds.from_codes(np.array([[0], [0], [1]], np.int32), 2)
    assert same_bucket_share(ids, Histories.from_lists([[0, 1, 2], [2, 2]])) == pytest.approx(2 / 3)
    assert same_bucket_share(ids, Histories.from_lists([[0]])) is None


def test_a_level_that_uses_less_than_a_quarter_of_its_codes_has_collapsed() -> None:
    codes = np.zeros((90, 2), np.int32)
    codes[:, 0] = np.arange(90) % 16
    codes[:, 1] = np.arange(90) // 16 % 3
    assert card(codes, 16).collapse_reasons == ("level 1 uses 3 of 16 codes (fewer than 25%)",)
    codes[0, 1] = 3
    assert card(codes, 16).collapse_reasons == ()


def test_codes_beyond_the_number_of_items_are_not_asked_for() -> None:
    assert card(np.arange(4)[:, None] // 2, 256).collapse_reasons == ()


@pytest.mark.parametrize(("num_items", "crowd", "collapsed"), [(101, 21, True), (105, 21, False), (100, 60, False)])
def test_one_id_with_more_than_a_fifth_of_over_100_items_has_collapsed(num_items: int, crowd: int, collapsed: bool) -> None:
    codes = np.arange(num_items, dtype=np.int32)[:, None]
    codes[:crowd] = 0
    assert bool(card(codes, num_items).collapse_reasons) == collapsed


@pytest.mark.parametrize(("crowd", "collapsed"), [(75, False), (76, True)])
def test_where_few_ids_were_asked_for_one_may_hold_twice_the_mean(crowd: int, collapsed: bool) -> None:
    codes = np.arange(150, dtype=np.int32)[:, None] % 4
    codes[:, 0][np.argsort(codes[:, 0], kind="stable")[:crowd]] = 0
    assert bool(card(codes, 4).collapse_reasons) == collapsed


def test_items_that_nothing_tells_apart_may_share_an_id() -> None:
    codes = np.arange(200, dtype=np.int32)[:, None]
    codes[:90] = 0
    assert card(codes, 200).collapse_reasons == ("one ID holds 90 of 200 items (45%, more than 20%)",)
    made = card(codes, 200, num_alike=70)
    assert (made.largest_bucket, made.largest_told_bucket, made.num_alike_items) == (90, 20, 70)
    assert made.collapse_reasons == ()
    assert any("70 items have the text of another" in line for line in made.lines())


def test_where_items_that_differ_share_an_id_those_that_do_not_are_no_excuse() -> None:
    codes = np.arange(300, dtype=np.int32)[:, None]
    codes[:130] = 0
    assert card(codes, 300, num_alike=90).collapse_reasons == ()
    assert card(codes, 300, num_alike=80).collapse_reasons == ("one ID holds 50 of 220 items that differ (23%, more than 20%)",)


def test_fewer_different_items_than_codes_are_no_collapse_but_a_single_one_is() -> None:
    codes = np.zeros((200, 1), np.int32)
    codes[:20, 0] = np.arange(20)
    assert card(codes, 128, num_alike=0).collapse_reasons[0] == "level 0 uses 20 of 128 codes (fewer than 25%)"
    assert card(codes[::-1].copy(), 128, num_alike=180).collapse_reasons == ()
    assert card(np.zeros((200, 1), np.int32), 16, num_alike=199).collapse_reasons == ("to the quantizer all items are the same",)


def test_without_levels_nothing_collapses() -> None:
    made = card(np.zeros((500, 0), np.int32), 8)
    assert made.collapse_reasons == ()
    assert "No semantic IDs" in made.lines()[0]


def test_collapse_is_refused_with_the_ways_out_unless_allowed() -> None:
    made = card(np.zeros((200, 1), np.int32), 16)
    with pytest.raises(CollapseError, match=r"one ID holds 200 of 200 items .*--allow-collapse"):
        check_collapse(made, allow=False)
    check_collapse(made, allow=True)
    assert any(line.startswith("COLLAPSED") for line in made.lines())
    check_collapse(card(np.arange(16)[:, None], 16), allow=False)


def test_the_card_is_json_and_words() -> None:
    made = card([[0], [1], [1]], 2, Histories.from_lists([[0, 1]]))
    back = json.loads(json.dumps(made.to_dict()))
    assert back["num_ids"] == 2
    assert back["collapse_reasons"] == []
    assert any("training transitions" in line for line in made.lines())
