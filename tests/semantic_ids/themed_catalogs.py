"""Small catalogs that the tests of this chapter share."""

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories

WORDS = {
    0: "shampoo hair conditioner repair shine oil curls",
    1: "lipstick red matte lip gloss color makeup",
    2: "perfume spray eau toilette rose scent bottle",
    3: "guitar string pick amp electric chord wood",
}


def themed_texts(num_items: int, seed: int = 0) -> list[str]:
    """Item i has six words of theme `i % 4` and a number."""
    rng = np.random.default_rng(seed)
    return [" ".join([*rng.choice(WORDS[i % 4].split(), 6), str(i)]) for i in range(num_items)]


def themed_histories(num_items: int, num_users: int, seed: int = 0) -> Histories:
    """Each user stays within one theme."""
    rng = np.random.default_rng(seed)
    themes = rng.integers(4, size=num_users)
    lists = [rng.choice(np.arange(theme, num_items, 4), rng.integers(3, 9)) for theme in themes]
    return Histories.from_lists(lists)


def blobs(num_points: int, num_blobs: int, dim: int = 8, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Points around well separated centers, and the center of each."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(num_blobs, dim)) * 10
    which = np.arange(num_points) % num_blobs
    return (centers[which] + rng.normal(size=(num_points, dim)) * 0.1).astype(np.float32), which
