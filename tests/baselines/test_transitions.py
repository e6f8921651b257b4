"""Transition counts agree with a slow loop, are chosen on validation and see the training prefixes alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from baselines.slow_counts import transition_lists
from cobrarec.baselines import transitions
from cobrarec.baselines.transitions import TransitionCounts, choose_transitions, without_history
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut, split_histories
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.retrieval.list_engine import Request
from cobrarec.retrieval.recommendations import SOURCES

NUM_ITEMS = 9
LISTS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=9), min_size=1, max_size=6)
TIES = np.random.default_rng(5).permutation(NUM_ITEMS).astype(np.uint64)


@settings(max_examples=100, deadline=None)
@given(LISTS, LISTS, st.integers(1, NUM_ITEMS), st.integers(1, 10), st.integers(1, 10))
def test_lists_agree_with_a_slow_loop(train: list[list[int]], histories: list[list[int]], k: int, window: int, last: int) -> None:
    ranker = TransitionCounts.fit(Histories.from_lists(train), NUM_ITEMS, TIES, window, last)
    ours = ranker.rank(Histories.from_lists(histories), k).rows
    wanted = [rows + [-1] * (k - len(rows)) for rows in transition_lists(train, histories, TIES, k, window, last)]
    assert ours.tolist() == wanted


def test_the_history_stays_in_the_lists_where_that_is_asked_for() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1, 0, 1]]), 3, TIES[:3], window=1)
    history = Histories.from_lists([[0]])
    assert ranker.rank(history, 1).rows.tolist() == [[1]]
    history = Histories.from_lists([[1, 0]])
    assert ranker.rank(history, 1).rows.tolist() == [[2]]
    assert ranker.with_settings(include_history=True).rank(history, 1).rows.tolist() == [[1]]


def test_chunks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    histories = Histories.from_lists([generator.integers(0, NUM_ITEMS, generator.integers(0, 9)) for _ in range(40)])
    ranker = TransitionCounts.fit(histories, NUM_ITEMS, TIES)
    whole = ranker.rank(histories, 4)
    monkeypatch.setattr(transitions, "_SCORES_PER_CHUNK", 20)
    assert ranker.users_per_chunk() < 4
    parted = ranker.rank(histories, 4)
    assert parted.rows.tolist() == whole.rows.tolist()
    assert parted.log_scores.tolist() == whole.log_scores.tolist()


def test_the_scores_are_shares_and_filled_items_lie_below() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1], [0, 1], [0, 2], [3, 4]]), 6, np.arange(6, dtype=np.uint64), window=1)
    (ranked,) = ranker.lists(Histories.from_lists([[0]]), Request(5))
    assert ranked.rows.tolist() == [[1, 2, 3, 4, 5]]
    assert ranked.scores[0, :2] == pytest.approx([2 / 3, 1 / 3], rel=1e-4)
    assert [SOURCES[number] for number in ranked.sources[0]] == ["counts", "counts", "fill", "fill", "fill"]
    assert (np.diff(ranked.log_scores[0]) <= 0).all()
    assert ranked.log_scores[0, 2] < ranked.log_scores[0, 1]


def test_filters_strike_out_and_move_no_other_score() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1], [0, 1], [0, 2]]), 4, np.arange(4, dtype=np.uint64), window=1)
    allowed = np.array([True, False, True, True])
    (ranked,) = ranker.with_config(RetrievalConfig(fill=False)).lists(Histories.from_lists([[0]]), Request(3, allowed=allowed))
    assert ranked.rows.tolist() == [[2, -1, -1]]
    assert ranked.scores[0, 0] == pytest.approx(1 / 3, rel=1e-4)


def test_without_fill_lists_end_where_nothing_was_counted() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1]]), 4, TIES[:4], window=1).with_config(RetrievalConfig(fill=False))
    assert ranker.rank(Histories.from_lists([[0], [3]]), 3).rows.tolist() == [[1, -1, -1], [-1, -1, -1]]


def test_the_history_is_struck_out_however_often_an_item_was_taken() -> None:
    scores = sparse.csr_array(np.array([[0.5, 0.25, 2.0], [1.0, 0.0, 3.0]]))
    left = without_history(scores, Histories.from_lists([[0, 2, 2, 0, 2], []]))
    assert left.toarray().tolist() == [[0, 0.25, 0], [1, 0, 3]]
    assert left.nnz == 3


def test_the_reason_is_the_item_that_was_counted_most() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 2], [0, 2], [1, 2], [1, 3]]), 5, TIES[:5], window=1)
    assert ranker.nearest(np.array([0, 1]), np.array([2, 3, 4])).tolist() == [1, 1, -1]
    assert ranker.nearest(np.array([1, 0]), np.array([2, 3])).tolist() == [0, 1]


def test_a_user_without_history_gets_popular_items() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1, 1]]), 3, TIES[:3])
    assert ranker.rank(Histories.from_lists([[]]), 2).rows.tolist() == [[1, 0]]


def test_no_user_at_all_gives_no_list() -> None:
    ranker = TransitionCounts.fit(Histories.from_lists([[0, 1, 1]]), 3, TIES[:3])
    assert ranker.rank(Histories.from_lists([]), 2).rows.shape == (0, 2)


def skipping_world(num_users: int, num_items: int) -> Histories:
    """Every user walks through the items in steps of 2: what counts lies two places before the target, never one."""
    generator = np.random.default_rng(3)
    lists = []
    for _ in range(num_users):
        one, other = generator.integers(0, num_items, 2).tolist()
        lists.append([value for place in range(5) for value in ((one + place) % num_items, (other + 7 * place) % num_items)])
    return Histories.from_lists(lists)


def test_the_window_and_the_last_items_are_chosen_on_validation() -> None:
    split = split_histories(skipping_world(300, 50), "last-two")
    assert split.valid is not None
    ties = np.random.default_rng(0).permutation(50).astype(np.uint64)
    chosen = choose_transitions(split.train, split.valid, ties, windows=(1, 3), lasts=(1, 3))
    scores = {
        (window, last): evaluate(TransitionCounts.fit(split.train, 50, ties, window, last), split.valid, [10], 50)["ndcg@10"]
        for window in (1, 3)
        for last in (1, 3)
    }
    assert (chosen.memory.window, chosen.memory.last) == max(scores, key=lambda setting: scores[setting])
    assert chosen.memory.window == 3


def test_nothing_held_out_is_counted() -> None:
    histories = skipping_world(60, 50)
    other = histories.rows.copy()
    other[histories.ends - 1] = 49
    other[histories.ends - 2] = 48
    changed = Histories(histories.user_ids, histories.starts, histories.ends, other)
    ties = np.arange(50, dtype=np.uint64)
    one, two = (TransitionCounts.fit(split_histories(h, "last-two").train, 50, ties) for h in (histories, changed))
    np.testing.assert_array_equal(one.memory.counts.toarray(), two.memory.counts.toarray())
    np.testing.assert_array_equal(one.popular.order, two.popular.order)


def test_no_settings_to_choose_from_is_an_error() -> None:
    held_out = HeldOut(Histories.from_lists([[0]]), np.array([0, 1]), np.array([1], dtype=np.int32))
    with pytest.raises(ValueError, match="No settings"):
        choose_transitions(Histories.from_lists([[0, 1]]), held_out, TIES[:3], windows=())
