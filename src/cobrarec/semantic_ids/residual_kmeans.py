"""Codes by residual k-means: cluster the vectors, subtract the centroid, cluster what is left, level by level."""

import numpy as np
import numpy.typing as npt

from cobrarec.config import SemanticIdsConfig
from cobrarec.progress import Progress
from cobrarec.semantic_ids.kmeans import kmeans, nearest
from cobrarec.semantic_ids.quantizer import effective_codebook_size

CAP_FACTOR = 1.5  # with `balanced`, a code of the first level holds at most so many times the mean
DECIMALS = 5  # vectors equal to so many decimals are one point: items with the same input always share their codes


class ResidualKmeans:
    """Codebooks `[num_levels, codebook_size, dim]` and the first level's prices `[codebook_size]` (see `kmeans`)."""

    def __init__(self, codebooks: npt.NDArray[np.float32], prices: npt.NDArray[np.float32]) -> None:
        """Take the fitted state."""
        self.codebooks = codebooks
        self.prices = prices

    @classmethod
    def fit(
        cls, x: npt.NDArray[np.float32], config: SemanticIdsConfig, seed: int, progress: Progress
    ) -> tuple["ResidualKmeans", npt.NDArray[np.int32]]:
        """Fit on `x` `[num_items, dim]`; also returns the codes of these items, `[num_items, num_levels]`.

        With `balanced`, no code of the first level holds more than 1.5 times its equal share, but for items that are all the same.
        """
        points, inverse, weights = distinct_rows(x)
        size = effective_codebook_size(config, len(x))
        cap = max(1.0, np.ceil(CAP_FACTOR * len(x) / size)) if config.balanced else None
        codebooks = np.empty((config.num_levels, size, x.shape[1]), np.float32)
        codes = np.empty((len(points), config.num_levels), np.int32)
        prices = np.zeros(size, np.float32)
        residual = points
        for level in progress.track(range(config.num_levels), "residual k-means"):
            level_seed = int(np.random.SeedSequence([seed, level]).generate_state(1)[0])
            clusters = kmeans(residual, weights, size, config.num_iterations, level_seed, cap if level == 0 else None)
            codebooks[level], codes[:, level] = clusters.centroids, clusters.labels
            prices = clusters.prices if level == 0 else prices
            residual = residual - clusters.centroids[clusters.labels]
        return cls(codebooks, prices), codes[inverse]

    def encode(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Codes `[n, num_levels]` of any vectors `[n, dim]`: nearest centroid (plus price at the first level), level by level."""
        codes = np.empty((len(x), len(self.codebooks)), np.int32)
        residual = _rounded(x)
        for level, codebook in enumerate(self.codebooks):
            codes[:, level], _ = nearest(residual, codebook, self.prices if level == 0 else np.zeros_like(self.prices))
            residual = residual - codebook[codes[:, level]]
        return codes

    def decode(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Sum of the codes' centroids, `[n, dim]`."""
        result = np.zeros((len(codes), self.codebooks.shape[2]), np.float32)
        for level, codebook in enumerate(self.codebooks):
            result += codebook[codes[:, level]]
        return result

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The whole fitted state."""
        return {"codebooks": self.codebooks, "prices": self.prices}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.float32]], config: SemanticIdsConfig) -> "ResidualKmeans":
        """Rebuild from what `arrays` gave."""
        return cls(arrays["codebooks"], arrays["prices"])


def distinct_rows(
    x: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Rows that differ in the first 5 decimals `[m, dim]`, each row's place among them `[n]`, and how often each occurs `[m]`.

    They keep the order in which they first occur, so that the result does not hang on their bits.
    """
    rounded = _rounded(x)
    keys = rounded.view([("row", np.void, rounded.dtype.itemsize * rounded.shape[1])])["row"].ravel()
    _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return rounded[first[order]], place[inverse], counts[order].astype(np.float32)


def _rounded(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(np.round(x, DECIMALS) + np.float32(0))  # adding 0 turns -0.0 into 0.0
