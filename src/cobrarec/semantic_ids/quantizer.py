"""What both quantizers have in common: vectors in, codes out, and how many codes a catalog can bear."""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cobrarec.config import SemanticIdsConfig
from cobrarec.progress import Progress

USUAL_CODES = 128
"""Codes per level of a catalog of usual size; docs/configuration.md says what the rule was taken from."""
ITEMS_PER_CODE = 1024
"""Of larger catalogs, so that as many beams find as many items however large the catalog is."""


@runtime_checkable
class Quantizer(Protocol):
    """A fitted quantizer. Its state is arrays alone, so that it can be saved without pickle."""

    @classmethod
    def fit(
        cls, x: npt.NDArray[np.float32], config: SemanticIdsConfig, seed: int, progress: Progress
    ) -> tuple["Quantizer", npt.NDArray[np.int32]]:
        """Fit on `x` `[num_items, dim]`; also returns the codes of these items, `[num_items, num_levels]`.

        They may differ from `encode(x)` where a cap moved an item to another code than its nearest.
        """
        ...

    def encode(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Codes `[n, num_levels]` of any vectors `[n, dim]`."""
        ...

    def decode(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """The vectors `[n, dim]` that the codes stand for."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The whole fitted state."""
        ...

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.float32]], config: SemanticIdsConfig) -> "Quantizer":
        """Rebuild from what `arrays` gave."""
        ...


def effective_codebook_size(config: SemanticIdsConfig, num_items: int) -> int:
    """Codes per level for a catalog: `codebook_size`, but at most one per `min_items_per_code` items, and at least 2.

    Where the settings give none: `USUAL_CODES`, or the power of two nearest to the number of items / `ITEMS_PER_CODE`, where that is more.
    """
    wanted = config.codebook_size
    if wanted is None:
        wanted = max(USUAL_CODES, 2 ** round(math.log2(max(num_items, ITEMS_PER_CODE) / ITEMS_PER_CODE)))
    return min(wanted, max(2, int(num_items / config.min_items_per_code)))
