"""What is measured how: whether the history's items may be listed, and in which order interactions of one moment stand."""

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from cobrarec.data.tables import id_column, require_columns
from cobrarec.data.timestamps import UNKNOWN_TIME, read_positions, read_seconds, read_times
from cobrarec.errors import DataError
from cobrarec.evaluation.evaluate import Masking

Protocol: TypeAlias = Literal["masked", "unmasked", "masked-shuffled-ties"]
"""`masked`: the history's items are removed from the lists. `unmasked`: they stay. `masked-shuffled-ties`: interactions of one user with
equal timestamps are put in a random order before the split, which makes it a run of its own."""
PROTOCOLS: tuple[Protocol, ...] = ("masked", "unmasked", "masked-shuffled-ties")


def masking_of(protocol: Protocol) -> Masking:
    """Whether the protocol's lists hold the history's items."""
    return "unmasked" if protocol == "unmasked" else "masked"


def shuffles_ties(protocol: Protocol) -> bool:
    """Whether the protocol's run is made from another order of the interactions."""
    return protocol == "masked-shuffled-ties"


def with_shuffled_ties(interactions: pa.Table, seed: int) -> pa.Table:
    """The interactions in their order, but those of one user that follow each other at equal times in an order drawn by `seed`.

    Users keep their order, and interactions whose time is unknown their places. Where `position` orders, it is numbered anew; else the
    table's own order decides among equal times, as everywhere.

    Raises:
        DataError: there is no usable column `timestamp`.
    """
    what = "interactions table of the protocol masked-shuffled-ties"
    require_columns(interactions, ["user_id", "timestamp"], what)
    has_position = "position" in interactions.schema.names
    if interactions["timestamp"].null_count == interactions.num_rows:
        raise DataError(f"The {what} holds no times, and so no ties. Add them, or leave this protocol out.")
    coded = id_column(interactions, "user_id", what).combine_chunks().dictionary_encode()
    users = np.asarray(coded.indices.to_numpy(zero_copy_only=False))
    times = (read_seconds if has_position else read_times)(interactions["timestamp"], "timestamp", what).values
    keys = read_positions(interactions["position"], "position", what) if has_position else times
    ordered = np.lexsort((keys, users))
    users, times = users[ordered], times[ordered]
    is_tied = (users[1:] == users[:-1]) & (times[1:] == times[:-1]) & (times[1:] != UNKNOWN_TIME)
    groups = np.cumsum(np.concatenate([[True], ~is_tied]))
    shuffled = interactions.take(pa.array(ordered[np.lexsort((np.random.default_rng(seed).random(len(groups)), groups))]))
    if not has_position:
        return shuffled
    place = shuffled.schema.get_field_index("position")
    return shuffled.set_column(place, "position", pa.array(np.arange(len(groups))))
