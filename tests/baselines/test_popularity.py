"""Popularity lists agree with a slow loop."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.slow_counts import popular_lists
from cobrarec.baselines.popularity import Popularity
from cobrarec.data.interactions import Histories

NUM_ITEMS = 9
LISTS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=7), min_size=1, max_size=6)
TIES = np.random.default_rng(5).permutation(NUM_ITEMS).astype(np.uint64)


def padded(rows: list[int], k: int) -> list[int]:
    return rows + [-1] * (k - len(rows))


@settings(max_examples=100, deadline=None)
@given(LISTS, LISTS, st.integers(1, NUM_ITEMS), st.booleans())
def test_lists_are_the_most_frequent_items_that_the_history_lacks(
    train: list[list[int]], histories: list[list[int]], k: int, masked: bool
) -> None:
    ranker = Popularity.fit(Histories.from_lists(train), NUM_ITEMS, TIES).with_settings(include_history=not masked)
    ours = ranker.rank(Histories.from_lists(histories), k).rows
    assert ours.tolist() == [padded(rows, k) for rows in popular_lists(train, histories, TIES, k, masked)]


def test_equally_popular_items_come_in_the_order_of_the_tie_breakers() -> None:
    ranker = Popularity.fit(Histories.from_lists([[0, 1, 2, 3]]), 4, np.array([3, 1, 2, 0], dtype=np.uint64))
    assert ranker.rank(Histories.from_lists([[]]), 4).rows.tolist() == [[3, 1, 2, 0]]


def test_a_k_above_the_catalog_gives_shorter_lists() -> None:
    ranker = Popularity.fit(Histories.from_lists([[0, 1, 1]]), 3, TIES[:3])
    assert ranker.rank(Histories.from_lists([[1]]), 10).rows.tolist() == [[0, 2, -1]]


def test_no_item_of_the_history_is_a_reason() -> None:
    ranker = Popularity.fit(Histories.from_lists([[0, 1, 1]]), 3, TIES[:3])
    assert ranker.nearest(np.array([1]), np.array([0, 2])).tolist() == [-1, -1]
