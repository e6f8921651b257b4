import numpy as np
import pytest

from cobrarec.data.interactions import Histories
from cobrarec.retrieval import popular_items
from cobrarec.retrieval.list_engine import Request
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommendations import FILL, POPULAR

POPULAR_ITEMS = PopularItems.of(np.array([3, 2, 2, 1, 0, 0]), np.arange(6))


def lists_of(rows, k):
    """Ranked lists that hold `rows`, with log scores -1, -2, ..."""
    ranked = Request(k, explain=True).empty_lists(len(rows))
    for user, listed in enumerate(rows):
        ranked.rows[user, : len(listed)] = listed
        ranked.log_scores[user, : len(listed)] = -1.0 - np.arange(len(listed))
        ranked.sources[user, : len(listed)] = 0
    return ranked


def test_the_scores_are_shares_with_each_item_counted_once_more():
    ranked = POPULAR_ITEMS.lists(Histories.from_lists([[], [0, 2]]), Request(3, explain=True))
    assert ranked.rows.tolist() == [[0, 1, 2], [1, 3, 4]]
    assert ranked.scores[0] == pytest.approx([4 / 14, 3 / 14, 3 / 14], rel=1e-4)
    assert (ranked.sources == POPULAR).all()
    assert ranked.explanations.terms["popularity"].tolist() == ranked.log_scores.tolist()
    assert np.isnan(ranked.explanations.terms["fill"]).all()
    assert POPULAR_ITEMS.lists(Histories.from_lists([[0, 2]]), Request(2), include_history=True).rows.tolist() == [[0, 1]]


def test_equally_popular_items_come_in_the_order_of_their_ranks():
    assert PopularItems.of(np.array([1, 1, 1]), np.array([2, 0, 1])).order.tolist() == [1, 2, 0]


def test_filling_keeps_what_is_listed_lists_nothing_twice_and_ranks_below():
    ranked = lists_of([[5, 0], [], [3, 2, 1, 0]], 4)
    POPULAR_ITEMS.fill(ranked, Histories.from_lists([[1], [0], [4]]), Request(4, explain=True))
    assert ranked.rows.tolist() == [[5, 0, 2, 3], [1, 2, 3, 4], [3, 2, 1, 0]]
    assert ranked.log_scores[0, :2].tolist() == [-1, -2]
    assert ranked.log_scores[0, 2] == pytest.approx(-2 + np.log(3 / 14) - 1e-5, abs=1e-5)
    assert (np.diff(ranked.log_scores, axis=1) <= 0).all()
    assert ranked.sources[0].tolist() == [0, 0, FILL, FILL]
    assert ranked.explanations.terms["fill"][0, 2:].tolist() == ranked.log_scores[0, 2:].tolist()


def test_filters_are_obeyed_and_lists_end_where_nothing_is_left():
    allowed = np.array([False, True, False, True, False, False])
    ranked = POPULAR_ITEMS.lists(Histories.from_lists([[], [1]]), Request(4, allowed=allowed))
    assert ranked.rows.tolist() == [[1, 3, -1, -1], [3, -1, -1, -1]]
    assert np.isneginf(ranked.log_scores[ranked.rows < 0]).all()
    assert (ranked.sources[ranked.rows < 0] == -1).all()
    nothing = POPULAR_ITEMS.lists(Histories.from_lists([[], [1]]), Request(2, allowed=np.zeros(6, dtype=bool)))
    assert (nothing.rows == -1).all()


def test_batches_of_users_change_nothing(monkeypatch):
    generator = np.random.default_rng(1)
    histories = Histories.from_lists([generator.integers(0, 6, generator.integers(0, 6)) for _ in range(20)])
    whole = POPULAR_ITEMS.lists(histories, Request(4)).rows
    monkeypatch.setattr(popular_items, "_USERS_PER_BATCH", 3)
    assert POPULAR_ITEMS.lists(histories, Request(4)).rows.tolist() == whole.tolist()
