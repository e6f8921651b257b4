"""SIF weighting of token vectors: rare words count more, what all texts share is removed.

Arora, Liang, Ma: "A Simple but Tough-to-Beat Baseline for Sentence Embeddings" (ICLR 2017), with 3 components in place of one.
Both the token frequencies and the removed components are fitted on the catalog and kept, so that a new item gets the same treatment.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cobrarec.errors import ArtifactError

SIF_CONSTANT = 1e-3
NUM_COMPONENTS = 3
TEXTS_PER_COMPONENT = 20  # with fewer texts a component is the texts themselves, not what they share


@dataclass(frozen=True, eq=False)
class Sif:
    """Fitted weights of one vocabulary.

    Attributes:
        token_weights: `[vocabulary]`, weight of each token in the mean over a text.
        components: `[num_removed, dim]`, orthonormal directions that are removed from every text vector.
    """

    token_weights: npt.NDArray[np.float32]
    components: npt.NDArray[np.float32]

    @classmethod
    def off(cls, vocabulary_size: int, dim: int) -> "Sif":
        """Plain means: every weight 1, nothing removed."""
        return cls(np.ones(vocabulary_size, np.float32), np.zeros((0, dim), np.float32))

    def with_components_of(self, vectors: npt.NDArray[np.float32]) -> "Sif":
        """The same weights, with the first principal components of the catalog's `vectors` `[num_texts, dim]` to remove."""
        return Sif(self.token_weights, principal_components(vectors, NUM_COMPONENTS))

    def finish(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Remove the components and bring every row to unit length; a row of which nothing is left becomes zeros."""
        rest = (vectors - (vectors @ self.components.T) @ self.components).astype(np.float32)
        before = np.linalg.norm(vectors, axis=1)
        nothing_left = np.linalg.norm(rest, axis=1) <= 1e-4 * before
        rest[nothing_left] = 0
        return unit_rows(rest)

    def save(self, folder: Path) -> None:
        """Write two `.npy` files into `folder`."""
        np.save(folder / "token_weights.npy", self.token_weights)
        np.save(folder / "components.npy", self.components)

    @classmethod
    def load(cls, folder: Path) -> "Sif":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        return cls(load_array(folder / "token_weights.npy"), load_array(folder / "components.npy"))


def token_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """`1e-3 / (1e-3 + frequency)` for each token's count in the catalog, `[vocabulary]`; 1 for tokens that never occur."""
    frequency = counts / max(int(counts.sum()), 1)
    return (SIF_CONSTANT / (SIF_CONSTANT + frequency)).astype(np.float32)


def principal_components(vectors: npt.NDArray[np.float32], num_components: int) -> npt.NDArray[np.float32]:
    """The first right singular vectors of the rows that are not zero, brought to unit length, `[<= num_components, dim]`.

    The rows are not centered: their mean is the largest part of what all texts share. At most one component for 20 texts.
    """
    rows = unit_rows(vectors[filled_rows(vectors)]).astype(np.float64)
    num_kept = min(num_components, len(rows) // TEXTS_PER_COMPONENT)
    _, directions = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(directions[:, ::-1][:, :num_kept].T.astype(np.float32))


def filled_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """[n] whether a row of `[n, dim]` holds anything but zeros; of text embeddings: whether there was a text."""
    filled: npt.NDArray[np.bool_] = np.any(vectors, axis=1)
    return filled


def unit_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each row of `[n, dim]` divided by its Euclidean length; a row of zeros stays zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def load_array(path: Path) -> npt.NDArray[np.float32]:
    """A saved float32 array.

    Raises:
        ArtifactError: the file is missing, damaged or of another type.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"{path} is not a readable array ({' '.join(str(error).split())}). Build the semantic IDs again.") from None
    if array.dtype != np.float32:
        raise ArtifactError(f"{path} holds {array.dtype}, expected float32. Build the semantic IDs again.")
    return array
