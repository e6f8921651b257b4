"""StandIns: whose transition counts an item has that nobody has taken: those of the known items that are nearest by item vector.

Without them the memory lifts all items but the new ones, and pushes these out of the lists (`docs/cold.md`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from cobrarec.model.item_vectors import ItemVectors
from cobrarec.model.unit_vectors import unit_vectors

NUM_NEIGHBORS = 20
"""Known items that stand in for one; chosen on validation."""
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class StandIns:
    """For n items, `[n, k]`: rows of known items, and the weights of their counts, which sum to 1; all 0 for an item that needs none."""

    neighbors: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    @classmethod
    def nearest(
        cls, vectors: Float[Tensor, "num_new dim"], is_needed: npt.NDArray[np.bool_], items: ItemVectors, is_known: npt.NDArray[np.bool_]
    ) -> "StandIns":
        """The nearest known items by cosine, each weighted by its cosine.

        Args:
            vectors: of the items, at any length.
            is_needed: `[num_new]`, False for an item with counts of its own.
            items: the catalog's.
            is_known: `[num_items]`, whether training took the item.
        """
        known = np.flatnonzero(is_known)
        shape = len(vectors), min(NUM_NEIGHBORS, len(known))
        neighbors, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        candidates = items.unit.cpu()[torch.from_numpy(known)]
        for rows in np.array_split(np.flatnonzero(is_needed), -(-int(is_needed.sum()) // _ROWS_AT_ONCE) or 1):
            found = torch.topk(unit_vectors(vectors.cpu()[torch.from_numpy(rows)]) @ candidates.T, shape[1], dim=1)
            cosines = found.values.clamp(min=0).numpy()
            neighbors[rows] = known[found.indices.numpy()]
            weights[rows] = cosines / np.maximum(cosines.sum(1, keepdims=True), 1e-9)
        return cls(neighbors, weights)

    @classmethod
    def joined(cls, parts: Sequence["StandIns | None"], order: npt.NDArray[np.int64]) -> "StandIns | None":
        """Of the items of all parts, one after the other, those at the places `order`; None where a part has none."""
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):
            return None
        return cls(*(np.concatenate([getattr(part, name) for part in whole])[order] for name in ("neighbors", "weights")))
