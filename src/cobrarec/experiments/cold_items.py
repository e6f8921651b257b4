"""Items that `fit` never sees: a seeded share of the items is held out of both tables, to be put into the catalog afterwards.

Test users are those of the whole tables, each with the last interaction as target. A user whose target was not held out is measured only
where the reduced tables hold out that very target too, so that none was ever trained on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import read_interactions
from cobrarec.data.splits import HeldOut, split_histories
from cobrarec.data.tables import require_columns
from cobrarec.errors import DataError
from cobrarec.experiments.datasets import Tables
from cobrarec.prepared import Prepared
from cobrarec.run_results import held_out_of


@dataclass(frozen=True, eq=False)
class ColdTables:
    """The tables of a data set without some of its items, and these items."""

    fitted: Tables
    """What `fit` gets: nothing in it names or describes a held-out item."""
    items: pa.Table
    """The held-out items, as the items table has them."""
    share: float
    """Of all items that these are."""


@dataclass(frozen=True, eq=False)
class ColdUsers:
    """The test users of the whole tables.

    Attributes:
        test: histories and targets in rows of the grown catalog, held-out items among them.
        is_new: `[num_users]`, whether the target is a held-out item.
        before: the users whose target is not, in the same order, as they were before the items came: histories without them.
        num_left_out: users who are not measured, because the reduced tables train on their target: too little is left of their history.
    """

    test: HeldOut
    is_new: npt.NDArray[np.bool_]
    before: HeldOut
    num_left_out: int


def hold_out_items(tables: Tables, share: float, seed: int) -> ColdTables:
    """Hold out that share of the items, drawn by `seed` among their sorted ids; raises DataError where none or all would be."""
    require_columns(tables.items, ["item_id"], "items table")
    require_columns(tables.interactions, ["item_id"], "interactions table")
    ids = pc.unique(tables.items["item_id"])
    ids = ids.take(pc.array_sort_indices(ids))
    num_held_out = round(share * len(ids))
    if not 0 < num_held_out < len(ids):
        raise DataError(f"A share of {share:g} of {len(ids)} items is {num_held_out}; expected some to hold out and some to learn from.")
    held_out = ids.take(pa.array(np.random.default_rng(seed).choice(len(ids), size=num_held_out, replace=False)))
    is_held_out = pc.is_in(tables.items["item_id"], value_set=held_out)
    is_cold = pc.is_in(tables.interactions["item_id"], value_set=held_out)
    fitted = Tables(tables.items.filter(pc.invert(is_held_out)), tables.interactions.filter(pc.invert(is_cold)))
    return ColdTables(fitted, tables.items.filter(is_held_out), share)


def cold_users(prepared: Prepared, grown: Catalog, interactions: pa.Table) -> ColdUsers:
    """The test users of the whole `interactions`.

    Args:
        prepared: the run on the reduced tables.
        grown: its catalog with the held-out items after its own.
        interactions: the whole table.
    """
    num_items = prepared.catalog.num_items
    assert np.array_equal(grown.item_ids[:num_items], prepared.catalog.item_ids), "rows have moved"
    whole = split_histories(read_interactions(interactions, grown, prepared.config.data)[0], "last-two").test
    own = held_out_of(prepared, "test")
    assert whole is not None
    place = {user: number for number, user in enumerate(own.histories.user_ids.tolist())}
    found = np.array([place.get(user, -1) for user in whole.histories.user_ids.tolist()], np.int64)
    is_new = whole.target_rows >= num_items
    is_known = ~is_new & (found >= 0)
    assert np.array_equal(own.target_rows[found[is_known]], whole.target_rows[is_known]), "a target was trained on"
    kept = is_new | is_known
    return ColdUsers(whole.select(kept), is_new[kept], own.select(found[is_known]), int((~kept).sum()))
