from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import read_interactions
from cobrarec.errors import DataError
from cobrarec.experiments.protocols import PROTOCOLS, masking_of, shuffles_ties, with_shuffled_ties
from small_experiment import tied_world


def slowly_shuffled(rows: list[dict], seed: int) -> list[dict]:
    """User after user, in the order of their first row, sort by position (else time), then each run of equal known times by lot."""
    lots = iter(np.random.default_rng(seed).random(len(rows)).tolist())
    made = []
    for user in dict.fromkeys(row["user_id"] for row in rows):
        own = sorted((row for row in rows if row["user_id"] == user), key=lambda row: row.get("position", row["timestamp"]))
        runs: list[list[dict]] = []
        for row in own:
            if runs and row["timestamp"] is not None and runs[-1][-1]["timestamp"] == row["timestamp"]:
                runs[-1].append(row)
            else:
                runs.append([row])
        for run in runs:
            drawn = [next(lots) for _ in run]
            made += [run[place] for place in sorted(range(len(run)), key=drawn.__getitem__)]
    return [row | ({"position": place} if "position" in row else {}) for place, row in enumerate(made)]


def as_it_is(interactions: pa.Table) -> pa.Table:
    return interactions


def without_position(interactions: pa.Table) -> pa.Table:
    return interactions.drop_columns("position")


def with_unknown_times(interactions: pa.Table) -> pa.Table:
    times = [None if place % 9 == 4 else time for place, time in enumerate(interactions["timestamp"].to_pylist())]
    return interactions.set_column(interactions.schema.get_field_index("timestamp"), "timestamp", pa.array(times, pa.int64()))


def mixed_up(interactions: pa.Table) -> pa.Table:
    """The rows in an order that is neither that of the users nor that of time."""
    return interactions.take(pa.array(np.random.default_rng(7).permutation(interactions.num_rows)))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "change", [lambda table: table, mixed_up, with_unknown_times, lambda table: mixed_up(table.drop_columns("position"))]
)
def test_shuffling_ties_equals_its_slow_version(seed, change):
    interactions = change(tied_world()[1])
    assert with_shuffled_ties(interactions, seed).to_pylist() == slowly_shuffled(interactions.to_pylist(), seed)


@pytest.mark.parametrize("change", [as_it_is, with_unknown_times, without_position])
def test_histories_of_the_shuffled_table_differ_in_their_ties_alone(change):
    items, interactions = tied_world()
    interactions = change(interactions)
    catalog = Catalog.from_table(items, DataConfig())
    before, counts = read_interactions(interactions, catalog, DataConfig())
    after, again = read_interactions(with_shuffled_ties(interactions, 0), catalog, DataConfig())
    assert before.user_ids.tolist() == after.user_ids.tolist()
    assert before.timestamps.tolist() == after.timestamps.tolist()
    assert before.rows.tolist() != after.rows.tolist()
    assert counts.order == again.order


def test_only_interactions_of_one_user_and_one_time_change_places():
    _, interactions = tied_world()
    before, after = interactions.to_pylist(), with_shuffled_ties(interactions, 3).to_pylist()
    assert [row["position"] for row in after] == list(range(len(before)))
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
    without = pa.nulls(interactions.num_rows, pa.int64())
    with pytest.raises(DataError, match="no times"):
        with_shuffled_ties(interactions.set_column(interactions.schema.get_field_index("timestamp"), "timestamp", without), 0)


def test_what_each_protocol_does():
    assert [masking_of(name) for name in PROTOCOLS] == ["masked", "unmasked", "masked"]
    assert [shuffles_ties(name) for name in PROTOCOLS] == [False, False, True]
