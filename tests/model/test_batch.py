import numpy as np
import pytest
from small_models import NUM_ITEMS, histories, semantic_ids

from cobrarec.data.interactions import Histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.model.batch import (
    NUM_DAY_GAPS,
    NUM_MONTHS,
    Sampling,
    batches_by_length,
    collate,
    day_gap_bucket,
    month_bucket,
    training_batch,
    training_windows,
)

DAY = 86_400


@pytest.mark.parametrize("max_history", [1, 2, 5, 6])
def test_every_item_but_the_first_is_a_target_once_with_half_a_window_before_it(max_history):
    lengths = [0, 1, 2, 3, 6, 7, 8, 13, 40]
    train = histories(lengths=[min(n, 40) for n in lengths])
    windows = training_windows(train, max_history)
    seen = []
    for start, end, first in zip(windows.starts, windows.ends, windows.first_target, strict=True):
        assert 2 <= end - start <= max_history + 1
        assert start < first < end
        user = np.searchsorted(train.ends, start, side="right")
        assert train.starts[user] <= start
        assert end <= train.ends[user]
        for target in range(first, end):
            assert target - start >= min((max_history + 1) // 2, target - train.starts[user])
        seen += range(first, end)
    expected = [place for a, b in zip(train.starts, train.ends, strict=True) for place in range(a + 1, b)]
    assert sorted(seen) == expected
    assert windows.num_targets.sum() == len(expected)


def test_a_history_that_fits_is_one_window():
    windows = training_windows(histories(lengths=[7]), 6)
    assert (windows.starts.tolist(), windows.ends.tolist(), windows.first_target.tolist()) == ([0], [7], [1])


def test_batches_hold_every_window_once_and_similar_lengths():
    train = Histories.from_lists([np.zeros(n, int) for n in np.random.default_rng(0).integers(2, 20, size=500)])
    windows = training_windows(train, 30)
    batches = batches_by_length(windows, 200, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == list(range(len(windows)))
    sizes = [int(windows.num_targets[batch].sum()) for batch in batches]
    assert max(sizes) < 1.2 * 200
    assert min(sizes) > 0.8 * 200
    lengths = (windows.ends - windows.starts)[batches[0]]
    assert lengths.max() - lengths.min() <= 3
    assert [b.tolist() for b in batches] == [b.tolist() for b in batches_by_length(windows, 200, np.random.default_rng(0))]
    assert [b.tolist() for b in batches] != [b.tolist() for b in batches_by_length(windows, 200, np.random.default_rng(1))]


def test_no_window_gives_no_batch():
    assert batches_by_length(training_windows(histories(lengths=[1, 0]), 6), 10, np.random.default_rng(0)) == []


def test_a_batch_is_padded_on_the_right_and_marks_its_targets():
    train = Histories.from_lists([[5, 6], [7, 8, 9, 10]])
    windows = training_windows(train, 2)
    batch = training_batch(train, windows, np.arange(len(windows)), Sampling(semantic_ids(), True), np.random.default_rng(0))
    assert batch.rows.tolist() == [[5, 6, 0], [7, 8, 9], [8, 9, 10]]
    assert batch.mask.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert batch.is_target.tolist() == [[False, True, False], [False, True, True], [False, False, True]]
    assert batch.lengths.tolist() == [2, 3, 3]
    assert batch.num_targets == 4
    assert batch.encoded_rows.tolist() == list(range(NUM_ITEMS))
    assert (batch.encoded_rows[batch.index][batch.mask] == batch.rows[batch.mask]).all()


def test_only_distinct_items_and_negatives_are_encoded():
    train, ids = Histories.from_lists([[5, 6, 5], [6, 7]]), semantic_ids()
    windows = training_windows(train, 5)
    plain = training_batch(train, windows, np.arange(2), Sampling(ids, False), np.random.default_rng(0))
    assert plain.encoded_rows.tolist() == [5, 6, 7]
    drawn = training_batch(train, windows, np.arange(2), Sampling(ids, False, num_uniform=20), np.random.default_rng(0))
    assert len(drawn.drawn) == 20
    assert set(drawn.encoded_rows.tolist()) == {5, 6, 7} | set(drawn.encoded_rows[drawn.drawn].tolist())
    assert (drawn.encoded_rows[drawn.index][drawn.mask] == drawn.rows[drawn.mask]).all()


def test_negatives_drawn_in_buckets_bear_the_id_of_a_target():
    train, ids = Histories.from_lists([[5, 6, 9]]), semantic_ids()
    windows = training_windows(train, 5)
    batch = training_batch(train, windows, np.arange(1), Sampling(ids, False, num_in_bucket=500), np.random.default_rng(0))
    beside_targets = {row for target in (6, 9) for row in ids.bucket(int(ids.id_of_row[target])).tolist()}
    assert set(batch.encoded_rows.tolist()) == beside_targets | {5}
    assert len(batch.drawn) == 0


def test_collate_reads_the_last_items_and_predicts_nothing():
    batch = collate(Histories.from_lists([[1, 2, 3, 4], [5], []]), None, 3)
    assert batch.rows.tolist() == [[2, 3, 4], [5, 0, 0], [0, 0, 0]]
    assert batch.mask.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert not batch.is_target.any()
    assert collate(Histories.from_lists([[1, 2], [5]]), np.array([1]), 3).rows.tolist() == [[5]]
    assert collate(Histories.from_lists([[]]), None, 3).rows.tolist() == [[0]]


def test_times_become_buckets_of_day_gaps_and_months():
    seconds = np.array([[0, 0, DAY - 1, 3 * DAY, 40 * DAY, 100_000 * DAY]])
    assert day_gap_bucket(seconds).tolist() == [[0, 1, 1, 2, 6, NUM_DAY_GAPS - 1]]
    assert month_bucket(np.array([-5, 0, 31 * DAY - 1, 31 * DAY, 10**11])).tolist() == [1, 1, 1, 2, NUM_MONTHS - 1]


def test_an_unknown_time_has_no_bucket_and_gives_none_to_the_item_after_it():
    seconds = np.array([[0, UNKNOWN_TIME, 5 * DAY, 6 * DAY]])
    assert day_gap_bucket(seconds).tolist() == [[0, 0, 0, 2]]
    assert month_bucket(seconds).tolist() == [[1, 0, 1, 1]]


def test_times_of_padding_are_unknown_and_absent_times_stay_absent():
    times = [[0, 5 * DAY], [DAY, DAY, DAY]]
    batch = collate(Histories.from_lists([[1, 2], [3, 4, 5]], timestamps=times), None, 3)
    assert batch.day_gap.tolist() == [[0, 3, 0], [0, 1, 1]]
    assert batch.month.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert collate(Histories.from_lists([[1, 2]]), None, 3).month is None


def test_times_of_a_share_of_the_windows_are_hidden_in_training():
    train = Histories.from_lists([[1, 2, 3]] * 400, timestamps=[[DAY, 2 * DAY, 3 * DAY]] * 400)
    windows = training_windows(train, 5)

    def hidden(share):
        sampling = Sampling(semantic_ids(), True, time_dropout=share)
        batch = training_batch(train, windows, np.arange(400), sampling, np.random.default_rng(0))
        assert (batch.month == 0).all(1).tolist() == (batch.month == 0).any(1).tolist() == (batch.day_gap == 0).all(1).tolist()
        return (batch.month == 0).all(1).double().mean()

    assert hidden(0.0) == 0
    assert 0.2 < hidden(0.3) < 0.4
    assert hidden(1.0) == 1


def test_a_batch_moves_whole():
    batch = collate(Histories.from_lists([[1, 2]]), None, 3).to("meta")
    assert batch.rows.device.type == batch.mask.device.type == batch.encoded_rows.device.type == "meta"
    assert batch.day_gap is None
