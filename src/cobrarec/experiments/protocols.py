"""What is measured how: whether the history's items may be listed, and in which order interactions of one moment stand."""

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from cobrarec.data.tables import id_column, require_columns
from cobrarec.data.timestamps import read_times
from cobrarec.evaluation.evaluate import Masking

Protocol: TypeAlias = Literal["masked", "unmasked", "masked-shuffled-ties"]
"""`masked`: the history's items are removed from the lists. `unmasked`: they stay. `masked-shuffled-ties`: interactions of one user with
equal timestamps are put in a random order before the split, which makes it another run."""
PROTOCOLS: tuple[Protocol, ...] = ("masked", "unmasked", "masked-shuffled-ties")


def masking_of(protocol: Protocol) -> Masking:
    """Whether the protocol's lists hold the history's items."""
    return "unmasked" if protocol == "unmasked" else "masked"


def shuffles_ties(protocol: Protocol) -> bool:
    """Whether the protocol's run is made from another order of the interactions."""
    return protocol == "masked-shuffled-ties"


def with_shuffled_ties(interactions: pa.Table, seed: int) -> pa.Table:
    """The interactions ordered by their time alone, those of one user with equal timestamps in an order drawn by `seed`.

    Users keep their order. `position` is dropped: what reads the table then goes by `timestamp` and, among equals, by the file.

    Raises:
        DataError: there is no usable column `timestamp`.
    """
    what = "interactions table of the protocol masked-shuffled-ties"
    require_columns(interactions, ["user_id", "timestamp"], what)
    coded = id_column(interactions, "user_id", what).combine_chunks().dictionary_encode()
    users = np.asarray(coded.indices.to_numpy(zero_copy_only=False))
    times = read_times(interactions["timestamp"], "timestamp", what).values
    order = np.lexsort((np.random.default_rng(seed).random(len(users)), times, users))
    kept = [name for name in interactions.schema.names if name != "position"]
    return interactions.select(kept).take(pa.array(order))
