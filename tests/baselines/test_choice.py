import numpy as np
import pytest

from cobrarec.baselines import choice
from cobrarec.baselines.choice import best_ranker
from cobrarec.baselines.popularity import Popularity
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut

VALID = HeldOut(Histories.from_lists([[0]]), np.array([0, 1]), np.array([1], dtype=np.int32))
TIES = np.arange(12, dtype=np.uint64)


def rankers():
    """The first lists the target last, the others first."""
    return [Popularity.fit(Histories.from_lists([rows]), 12, TIES) for rows in ([2, 3, 4], [1], [1, 1])]


def test_the_best_on_validation_is_chosen_and_the_first_of_equals():
    candidates = rankers()
    assert best_ranker(iter(candidates), 3, VALID, 12, "settings") is candidates[1]


def test_lists_may_hold_the_history_where_they_are_judged_so():
    repeats = HeldOut(VALID.histories, VALID.target_offsets, np.array([0], dtype=np.int32))
    candidates = [Popularity.fit(Histories.from_lists([rows]), 12, TIES[::-1].copy()) for rows in ([2, 3, 4], [0, 0, 0])]
    assert best_ranker(iter(candidates), 2, repeats, 12, "settings", "unmasked") is candidates[1]
    assert best_ranker(iter(candidates), 2, repeats, 12, "settings", "masked") is candidates[0]


def test_a_lone_candidate_is_not_measured(monkeypatch):
    monkeypatch.setattr(choice, "evaluate", None)
    (only, *_) = rankers()
    assert best_ranker([only], 1, VALID, 12, "settings") is only


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="No settings"):
        best_ranker([], 0, VALID, 12, "settings")
