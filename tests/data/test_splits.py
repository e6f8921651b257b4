"""Splits: who is trained on what, who is tested on what, and nothing in two places."""

import numpy as np
import pytest

from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut, split_histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import ConfigError, DataError

HISTORIES = Histories.from_lists([[0, 1, 2, 3], [4], [5, 6], [7, 8, 9], []], user_ids=list("abcde"))


def lists(histories: Histories) -> list:
    return [histories.of(user).tolist() for user in range(histories.num_users)]


def targets(held_out: HeldOut) -> list:
    return [held_out.targets_of(user).tolist() for user in range(held_out.num_users)]


def test_last_two_holds_out_the_last_two():
    split = split_histories(HISTORIES, "last-two")
    assert lists(split.train) == [[0, 1], [4], [5, 6], [7], []]
    assert (lists(split.valid.histories), targets(split.valid)) == ([[0, 1], [7]], [[2], [8]])
    assert (lists(split.test.histories), targets(split.test)) == ([[0, 1, 2], [7, 8]], [[3], [9]])
    assert split.valid.histories.user_ids.tolist() == split.test.histories.user_ids.tolist() == ["a", "d"]
    assert (split.num_users, split.num_train_only_users) == (5, 3)


def test_what_lies_before_the_test_is_training_and_validation_together():
    assert lists(split_histories(HISTORIES, "last-two").before_test) == [[0, 1, 2], [4], [5, 6], [7, 8], []]
    assert split_histories(HISTORIES, "none").before_test is None
    timed = Histories.from_lists([[0, 1, 2, 3], [4, 5, 6]], timestamps=[[1, 2, 8, 9], [3, 7, 10]])
    split = split_histories(timed, "time:0.7")
    assert (lists(split.train), lists(split.before_test)) == ([[0, 1], [4]], [[0, 1, 2], [4, 5]])
    assert lists(split.test.histories) == [[0, 1, 2], [4, 5]]


def test_last_two_works_on_views():
    view = HISTORIES.select(np.array([3, 0])).last(3)
    split = split_histories(view, "last-two")
    assert lists(split.train) == [[7], [1]]
    assert targets(split.test) == [[9], [3]]


def test_no_held_out_item_is_seen_through_the_training_view():
    distinct = Histories.from_lists([np.arange(10 * user, 10 * user + 5) for user in range(20)])
    split = split_histories(distinct, "last-two")
    held_out = np.concatenate([split.valid.target_rows, split.test.target_rows])
    assert not np.isin(held_out, split.train.compact().rows).any()
    assert not split.train.item_counts(200)[held_out].any()


def test_none_trains_on_everything():
    split = split_histories(HISTORIES, "none")
    assert lists(split.train) == lists(HISTORIES)
    assert split.valid is None
    assert split.test is None


@pytest.mark.parametrize("name", ["last-two", "none", "time:0.9"])
def test_without_a_user_of_three_nothing_is_split(name):
    with pytest.raises(DataError, match="No user has 3 interactions"):
        split_histories(Histories.from_lists([[0, 1], [2]]), name)


def test_held_out_users_are_selected_with_their_targets():
    held_out = HeldOut(HISTORIES.select(np.array([0, 1, 3])), np.array([0, 2, 3, 5]), np.array([5, 6, 7, 8, 9], np.int32))
    chosen = held_out.select(np.array([2, 0]))
    assert targets(chosen) == [[8, 9], [5, 6]]
    assert lists(chosen.histories) == [[7, 8, 9], [0, 1, 2, 3]]
    assert targets(held_out.select(np.array([False, True, False]))) == [[7]]


TIMED = Histories.from_lists(
    [[0, 1, 2, 0, 3, 3, 4], [5, 6], [7, 7, 8], [9] * 8],
    timestamps=[[0, 1, 12, 13, 17, 18, 19], [16, 17], [10, 18, 18], [0, 1, 2, 3, 4, 5, 6, 7]],
)


def test_time_cuts_all_users_at_the_same_moments():
    split = split_histories(TIMED, "time:0.8")
    start, end = split.cut_times
    assert (start, end) == (13, 18)
    assert lists(split.train) == [[0, 1, 2], [7], [9] * 8]
    assert (lists(split.valid.histories), targets(split.valid)) == ([[0, 1, 2]], [[3]])
    assert lists(split.test.histories) == [[0, 1, 2, 0, 3], [7]]
    assert targets(split.test) == [[4], [8]]
    assert split.num_train_only_users == 2


def slow_targets(histories: Histories, start: float, end: float) -> dict:
    found = {}
    for user in range(histories.num_users):
        pairs = list(zip(histories.of(user).tolist(), histories.times_of(user).tolist(), strict=True))
        before = [row for row, time in pairs if time < start]
        later = list(dict.fromkeys(row for row, time in pairs if start <= time < end and row not in before))
        if before and later:
            found[histories.user_ids[user]] = (before, later)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_time_splits_agree_with_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 15, size=40)
    histories = Histories.from_lists(
        [rng.integers(12, size=n) for n in lengths], timestamps=[np.sort(rng.integers(100, size=n)) for n in lengths]
    )
    split = split_histories(histories, "time:0.85")
    start, end = split.cut_times
    for held_out, first, last in ((split.valid, start, end), (split.test, end, np.inf)):
        ids = held_out.histories.user_ids.tolist()
        fast = {user: (lists(held_out.histories)[n], targets(held_out)[n]) for n, user in enumerate(ids)}
        assert fast == slow_targets(histories, first, last)
    assert split.train.timestamps[split.train.places()].max() < start


def test_time_splits_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="needs a column timestamp"):
        split_histories(HISTORIES, "time:0.9")
    with pytest.raises(ConfigError, match="more than 0.5"):
        split_histories(TIMED, "time:0.5")
    with pytest.raises(ConfigError, match="Unknown split 'half'"):
        split_histories(TIMED, "half")
    backwards = Histories.from_lists([[0, 1, 2]], timestamps=[[3, 2, 1]])
    with pytest.raises(DataError, match="orders some history against its timestamps"):
        split_histories(backwards, "time:0.9")
    unknown = Histories.from_lists([[0, 1, 2]], timestamps=[[1, UNKNOWN_TIME, 3]])
    with pytest.raises(DataError, match="1 timestamps are null"):
        split_histories(unknown, "time:0.9")
    at_once = Histories.from_lists([[0, 1, 2]], timestamps=[[1, 1, 1]])
    with pytest.raises(DataError, match="leaves no user"):
        split_histories(at_once, "time:0.9")
