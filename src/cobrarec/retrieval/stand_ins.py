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
_COSINES_AT_ONCE = 2**24


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
        shape = len(vectors), min(NUM_NEIGHBORS, int(is_known.sum()))
        neighbors, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        end = int(np.flatnonzero(is_known)[-1:].sum()) + 1  # items that were added later have the last rows
        candidates, unknown = items.unit[:end].cpu(), torch.from_numpy(~is_known[:end])
        needed = np.flatnonzero(is_needed)
        for start in range(0, len(needed), size := max(1, _COSINES_AT_ONCE // end)):
            rows = needed[start : start + size]
            cosines = unit_vectors(vectors.cpu()[torch.from_numpy(rows)]) @ candidates.T
            found = torch.topk(cosines.masked_fill_(unknown, -torch.inf), shape[1], dim=1)
            near = found.values.clamp(min=0).numpy()
            neighbors[rows] = found.indices.numpy()
            weights[rows] = near / np.maximum(near.sum(1, keepdims=True), 1e-9)
        return cls(neighbors, weights)

    @classmethod
    def joined(cls, parts: Sequence[tuple[int, "StandIns | None"]], order: npt.NDArray[np.int64]) -> "StandIns | None":
        """Of the items of all parts, one after the other, those at the places `order`; None where no part has any.

        Args:
            parts: for each the number of its items, and their stand-ins, where it has any, of any k.
            order: places.
        """
        width = max((part.neighbors.shape[1] for _, part in parts if part is not None), default=None)
        if width is None:
            return None
        neighbors, weights = (np.zeros((sum(count for count, _ in parts), width), kind) for kind in (np.int64, np.float32))
        start = 0
        for count, part in parts:
            if part is not None:
                place = slice(start, start + count), slice(0, part.neighbors.shape[1])
                neighbors[place], weights[place] = part.neighbors, part.weights
            start += count
        return cls(neighbors[order], weights[order])
