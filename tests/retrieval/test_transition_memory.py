"""The counts and the scores agree with a slow loop, in whatever parts they are counted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.slow_counts import transition_counts
from cobrarec.data.interactions import Histories
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval import transition_memory
from cobrarec.retrieval.stand_ins import StandIns
from cobrarec.retrieval.transition_memory import TransitionMemory, recent_items
from cobrarec.semantic_ids import collaborative

NUM_ITEMS = 9
LISTS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=9), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(LISTS, LISTS, st.integers(1, 10), st.integers(1, 10), st.sampled_from([0.0, 0.5, 1.0]))
def test_counts_and_scores_agree_with_a_slow_loop(
    train: list[list[int]], histories: list[list[int]], window: int, last: int, reverse: float
) -> None:
    memory = TransitionMemory.fit(Histories.from_lists(train), NUM_ITEMS, window, last, reverse)
    slow = transition_counts(train, window)
    expected = np.array([[slow[a][b] + reverse * slow[b][a] for b in range(NUM_ITEMS)] for a in range(NUM_ITEMS)])
    np.testing.assert_allclose(memory.counts.toarray(), expected)
    scores = memory.scores(Histories.from_lists(histories))
    assert (scores.data > 0).all()
    assert np.diff(scores.indptr).max(initial=0) <= memory.most_scored
    for user, history in enumerate(histories):
        wanted = sum((expected[a] / place for place, a in enumerate(reversed(history[-last:]), start=1)), np.zeros(NUM_ITEMS))
        np.testing.assert_allclose(scores.toarray()[user], wanted)


def test_a_log_score_gains_the_log_of_ten_times_the_count_and_nothing_where_none_was_counted() -> None:
    memory = TransitionMemory.fit(Histories.from_lists([[0, 1, 2], [2, 0]]), 5, window=2, last=2)
    histories = Histories.from_lists([[2, 0], [4], [1, 0]])
    users, rows = np.repeat(np.arange(3), 5), np.tile(np.arange(5), 3)
    expected = np.log(1 + 10 * memory.scores(histories).toarray())[users, rows]
    np.testing.assert_allclose(memory.log_scores_at(histories, users, rows), expected)
    assert expected.max() > 0
    nothing = memory.log_scores_at(Histories.from_lists([[4]]), np.zeros(2, np.int64), np.arange(2))
    assert nothing.tolist() == [0, 0]


@pytest.mark.parametrize("table_size", [1, 5, 11, 1 << 22])
def test_log_scores_are_looked_up_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch, table_size: int) -> None:
    monkeypatch.setattr(transition_memory, "TABLE_SIZE", table_size)
    memory = TransitionMemory.fit(Histories.from_lists([[0, 1, 2], [2, 0], [1, 3, 0]]), 4).with_num_items(5)
    memory = memory.with_stand_ins(np.array([4]), StandIns(np.array([[0, 3]]), np.float32([[0.5, 0.5]])))
    histories = Histories.from_lists([[2, 0], [3], [], [1, 0, 4], [4], [2]])
    users, rows = np.array([0, 0, 0, 0, 0, 1, 1, 3, 3, 3, 5, 5, 5]), np.array([4, 3, 2, 1, 0, 0, 4, 2, 2, 4, 0, 1, 4])
    expected = np.log(1 + 10 * memory.scores(histories).toarray())[users, rows]
    assert (expected > 0).sum() > 5
    np.testing.assert_allclose(memory.log_scores_at(histories, users, rows), expected)


def test_counting_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    histories = Histories.from_lists([generator.integers(0, NUM_ITEMS, generator.integers(0, 9)) for _ in range(40)])
    whole = TransitionMemory.fit(histories, NUM_ITEMS)
    monkeypatch.setattr(collaborative, "_PAIRS_PER_PART", 13)
    np.testing.assert_array_equal(TransitionMemory.fit(histories, NUM_ITEMS).counts.toarray(), whole.counts.toarray())


def test_an_item_without_counts_has_its_shares_in_those_of_others() -> None:
    memory = TransitionMemory.fit(Histories.from_lists([[0, 1, 2], [2, 0], [1, 0]]), 4, window=2, last=3).with_num_items(6)
    memory = memory.with_stand_ins(
        np.array([3, 4, 5]), StandIns(np.array([[1, 1], [1, 2], [0, 0]]), np.float32([[0, 0], [0.25, 0.75], [0, 0]]))
    )
    memory = memory.with_stand_ins(np.array([5]), StandIns(np.array([[0, 2]]), np.float32([[1, 0]])))
    share = np.eye(6)
    share[3:] = 0
    share[4, [1, 2]], share[5, 0] = [0.25, 0.75], 1
    expected = share @ memory.counts.toarray() @ share.T
    histories = Histories.from_lists([[0, 4, 1], [5], [3], [], [2, 5]])
    for user, history in enumerate([[0, 4, 1], [5], [3], [], [2, 5]]):
        wanted = sum((expected[a] / place for place, a in enumerate(reversed(history[-3:]), start=1)), np.zeros(6))
        np.testing.assert_allclose(memory.scores(histories).toarray()[user], wanted)
    assert expected[0, 4] > 0
    users, rows = np.repeat(np.arange(5), 6), np.tile(np.arange(6), 5)
    logs = np.log(1 + 10 * memory.scores(histories).toarray())[users, rows]
    np.testing.assert_allclose(memory.log_scores_at(histories, users, rows), logs)
    again = memory.with_stand_ins(np.array([4]), StandIns(np.array([[0]]), np.float32([[0]])))
    assert again.scores(Histories.from_lists([[0]])).toarray()[0, 4] == 0, "shares are replaced, not added"


def test_all_items_but_the_known_ones_get_stand_ins() -> None:
    items = ItemVectors(torch.tensor([[1.0, 0], [0, 1], [0.9, 0.1]]), torch.zeros(3), torch.zeros(3))
    memory = TransitionMemory.fit(Histories.from_lists([[1, 0], [0, 1, 0]]), 3)
    assert memory.with_unknown_items(items, np.array([True, True, True])) is memory
    counts = memory.with_unknown_items(items, np.array([True, True, False])).scores(Histories.from_lists([[1]])).toarray()[0]
    assert counts[2] > 0.8 * counts[0]


@pytest.mark.parametrize("shares", [False, True])
def test_the_arrays_hold_everything(shares: bool) -> None:
    memory = TransitionMemory.fit(Histories.from_lists([[0, 1, 2], [2, 0]]), 4, window=3, last=2, reverse=0.25)
    if shares:
        memory = memory.with_stand_ins(np.array([3]), StandIns(np.array([[0, 1]]), np.float32([[0.5, 0.5]])))
    again = TransitionMemory.from_arrays(memory.arrays())
    assert (again.window, again.last, again.reverse) == (3, 2, 0.25)
    np.testing.assert_array_equal(again.counts.toarray(), memory.counts.toarray())
    histories = Histories.from_lists([[0, 3], [1]])
    np.testing.assert_array_equal(again.scores(histories).toarray(), memory.scores(histories).toarray())


def test_damaged_arrays_are_refused() -> None:
    arrays = TransitionMemory.fit(Histories.from_lists([[0, 1, 2], [2, 0]]), 4).arrays()
    with pytest.raises(ValueError):
        TransitionMemory.from_arrays({**arrays, "indices": arrays["indices"] + 4})
    shares = {f"share_{name}": array for name, array in TransitionMemory.fit(Histories.from_lists([[0, 1]]), 2).arrays().items()}
    with pytest.raises(ValueError, match="shares of 2 items"):
        TransitionMemory.from_arrays({**arrays, **shares})
    with pytest.raises(KeyError):
        TransitionMemory.from_arrays({name: array for name, array in arrays.items() if name != "settings"})


def test_the_predecessor_is_the_item_that_adds_most_and_the_latest_of_equals() -> None:
    memory = TransitionMemory.fit(Histories.from_lists([[0, 3], [0, 3], [0, 3], [1, 3], [2, 4]]), 6, window=1)
    assert memory.best_predecessors(np.array([0, 1]), np.array([3, 4, 5])).tolist() == [0, -1, -1]
    assert memory.best_predecessors(np.array([1, 0, 1]), np.array([3])).tolist() == [0]
    assert memory.with_last(1).best_predecessors(np.array([0, 1]), np.array([3])).tolist() == [1]
    assert memory.best_predecessors(np.array([1, 1]), np.array([3])).tolist() == [1]


def test_recent_items_count_their_places_from_the_end() -> None:
    users, rows, from_end = recent_items(Histories.from_lists([[5, 6, 7], [], [8]]), 2)
    assert users.tolist() == [0, 0, 2]
    assert rows.tolist() == [6, 7, 8]
    assert from_end.tolist() == [2, 1, 1]
