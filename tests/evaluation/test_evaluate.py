"""Evaluation reads the very lists that a ranker gives."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from cobrarec.baselines.popularity import Popularity
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.errors import DataError
from cobrarec.evaluation.evaluate import evaluate, sample_users
from cobrarec.progress import Progress


@dataclass(frozen=True)
class Lists:
    rows: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Oracle:
    """Lists the history's last item, then the row after it."""

    include_history: bool = False

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> Lists:
        lists = np.full((histories.num_users, 2), -1, dtype=np.int32)
        for user in range(histories.num_users):
            last = histories.of(user)[-1]
            lists[user] = [last, last + 1] if self.include_history else [last + 1, -1]
        return Lists(lists[:, :k])

    def with_settings(self, *, include_history: bool) -> "Oracle":
        return replace(self, include_history=include_history)


def held_out(num_users: int) -> HeldOut:
    rows = np.arange(1, num_users + 1, dtype=np.int32)
    return HeldOut(Histories.from_lists([[user] for user in range(num_users)]), np.arange(num_users + 1), rows)


def test_masked_and_unmasked_lists_are_judged_as_they_are_given() -> None:
    masked = evaluate(Oracle(), held_out(6), [1, 2], 10)
    unmasked = evaluate(Oracle(), held_out(6), [1, 2], 10, protocol="unmasked")
    assert (masked["recall@1"], masked["length@2"]) == (1.0, 1.0)
    assert (unmasked["recall@1"], unmasked["recall@2"], unmasked["length@2"]) == (0.0, 1.0, 2.0)


def test_the_protocol_decides_and_not_the_rankers_own_setting() -> None:
    assert evaluate(Oracle(include_history=True), held_out(6), [1], 10)["recall@1"] == 1.0


def test_lists_narrower_than_k_count_as_short() -> None:
    measured = evaluate(Oracle(), held_out(4), [5], 10)
    assert measured["recall@5"] == 1.0
    assert measured["length@5"] == 1.0


def test_id_recall_is_measured_where_ids_are_given() -> None:
    popular = Popularity.fit(Histories.from_lists([[0]]), 10, np.arange(10, dtype=np.uint64))
    ids = np.zeros(10, dtype=np.int64)
    assert evaluate(popular, held_out(4), [1], 10, ids)["id_recall@1"] == 1.0
    assert "id_recall@1" not in evaluate(popular, held_out(4), [1], 10)


def test_nobody_to_evaluate_is_told() -> None:
    with pytest.raises(DataError, match="No user"):
        evaluate(Oracle(), held_out(0), [1], 10)


def test_a_sample_of_users_keeps_their_order_and_their_targets() -> None:
    drawn = sample_users(held_out(50), 10, seed=3)
    users = drawn.histories.user_ids
    assert drawn.histories.num_users == 10
    assert (np.diff(users) > 0).all()
    assert drawn.target_rows.tolist() == (users + 1).tolist()
    assert sample_users(held_out(50), 10, seed=3).histories.user_ids.tolist() == users.tolist()
    assert sample_users(held_out(50), 10, seed=4).histories.user_ids.tolist() != users.tolist()


def test_few_users_are_all_taken() -> None:
    all_users = held_out(5)
    assert sample_users(all_users, 5, seed=0) is all_users
