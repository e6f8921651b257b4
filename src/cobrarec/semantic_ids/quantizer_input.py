"""What is quantized: the text embedding, or text and collaborative embedding side by side, and what stands in where one is missing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.config import SemanticIdsConfig
from cobrarec.data.interactions import Histories
from cobrarec.semantic_ids.collaborative import collaborative_embeddings
from cobrarec.semantic_ids.regression import RidgeRegression
from cobrarec.semantic_ids.sif import filled_rows, unit_rows

Floats = npt.NDArray[np.float32]
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class QuantizerInput:
    """Rows `[collaborative part : text part]`, each of unit length; without a regression the text embedding itself, of unit length.

    The text part is the embedding reduced by PCA to the width of the collaborative part, so that both weigh the same in a distance.

    Attributes:
        regression: text embedding -> collaborative part, None where the text alone is quantized.
        mean: `[text_dim]` and components: `[dim, text_dim]`, of the PCA.
    """

    regression: RidgeRegression | None
    mean: Floats
    components: Floats

    @classmethod
    def fit(
        cls, embeddings: Floats, train: Histories, config: SemanticIdsConfig, seed: int
    ) -> tuple["QuantizerInput", Floats, Floats, npt.NDArray[np.bool_]]:
        """Fit on the catalog.

        Returns:
            The fitted input; the rows to quantize `[num_items, dim]`; what each item's text alone would give, by a regression fitted
            without the item; and which items have a collaborative embedding of their own (all, where the text alone is quantized).
        """
        if config.signal == "text":
            nothing = np.zeros((0, embeddings.shape[1]), np.float32)
            rows = unit_rows(embeddings)
            return cls(None, nothing.sum(axis=0), nothing), rows, rows, np.ones(len(embeddings), np.bool_)
        collaborative, warm = collaborative_embeddings(train, len(embeddings), config, seed)
        regression, left_out = RidgeRegression.fit(embeddings[warm], collaborative[warm])
        this = cls(regression, *_pca(embeddings, config.collaborative_dim))
        cold = this.text_only(embeddings)
        part = collaborative.shape[1]
        rows, text_only = cold.copy(), cold.copy()
        rows[warm, :part] = collaborative[warm]
        text_only[warm, :part] = unit_rows(left_out)
        return this, rows, text_only, warm

    def text_only(self, embeddings: Floats) -> Floats:
        """Rows to quantize for items known by their text alone, `[n, dim]`."""
        if self.regression is None:
            return unit_rows(embeddings)
        text = ((embeddings - self.mean) @ self.components.T).astype(np.float32)
        text[~filled_rows(embeddings)] = 0  # an empty text is no text, not minus the mean one
        return np.concatenate([unit_rows(self.regression.predict(embeddings)), unit_rows(text)], axis=1)

    def arrays(self) -> dict[str, Floats]:
        """The whole fitted state."""
        if self.regression is None:
            return {}
        return {"mean": self.mean, "components": self.components, "weight": self.regression.weight, "bias": self.regression.bias}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Floats]) -> "QuantizerInput":
        """Rebuild from what `arrays` gave."""
        if not arrays:
            return cls(None, np.zeros(0, np.float32), np.zeros((0, 0), np.float32))
        return cls(RidgeRegression(arrays["weight"], arrays["bias"]), arrays["mean"], arrays["components"])


def _pca(embeddings: Floats, dim: int) -> tuple[Floats, Floats]:
    """Mean `[text_dim]` and the first components `[<= dim, text_dim]` of the rows that are not zero."""
    rows = embeddings[filled_rows(embeddings)]
    mean = rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(embeddings.shape[1])
    scatter = np.zeros((embeddings.shape[1], embeddings.shape[1]))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        apart = rows[start : start + _ROWS_AT_ONCE] - mean
        scatter += apart.T @ apart
    _, directions = np.linalg.eigh(scatter)
    return mean.astype(np.float32), np.ascontiguousarray(directions[:, ::-1][:, :dim].T.astype(np.float32))
