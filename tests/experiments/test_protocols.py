from collections import Counter

import numpy as np
import pytest

from cobrarec.errors import DataError
from cobrarec.experiments.protocols import PROTOCOLS, masking_of, shuffles_ties, with_shuffled_ties
from small_experiment import tied_world


def slowly_shuffled(rows: list[dict], seed: int) -> list[dict]:
    """Each row gets a number drawn by lot; users in the order of their first row, then by time, then by lot."""
    lots = np.random.default_rng(seed).random(len(rows)).tolist()
    first = {}
    for row in rows:
        first.setdefault(row["user_id"], len(first))
    order = sorted(range(len(rows)), key=lambda place: (first[rows[place]["user_id"]], rows[place]["timestamp"], lots[place]))
    return [{name: value for name, value in rows[place].items() if name != "position"} for place in order]


@pytest.mark.parametrize("seed", [0, 1])
def test_shuffling_ties_equals_its_slow_version(seed):
    _, interactions = tied_world()
    assert with_shuffled_ties(interactions, seed).to_pylist() == slowly_shuffled(interactions.to_pylist(), seed)


def test_only_interactions_of_one_user_and_one_time_change_places():
    _, interactions = tied_world()
    before, after = interactions.to_pylist(), with_shuffled_ties(interactions, 3).to_pylist()
    assert [(row["user_id"], row["timestamp"]) for row in before] == [(row["user_id"], row["timestamp"]) for row in after]
    assert [row["item_id"] for row in before] != [row["item_id"] for row in after]

    def key(row):
        return row["user_id"], row["timestamp"], row["item_id"]

    assert Counter(map(key, before)) == Counter(map(key, after))


def test_other_seeds_give_other_orders():
    _, interactions = tied_world()
    assert not with_shuffled_ties(interactions, 0).equals(with_shuffled_ties(interactions, 1))


def test_without_times_there_are_no_ties_to_shuffle():
    _, interactions = tied_world()
    with pytest.raises(DataError, match="timestamp"):
        with_shuffled_ties(interactions.drop_columns("timestamp"), 0)


def test_what_each_protocol_does():
    assert [masking_of(name) for name in PROTOCOLS] == ["masked", "unmasked", "masked"]
    assert [shuffles_ties(name) for name in PROTOCOLS] == [False, False, True]
