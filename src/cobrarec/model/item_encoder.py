"""Item vectors: from an item's row to the vector that the decoder reads and predicts; the decoder never knows which kind it is."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cobrarec.config import ItemConfig

ID_EMBEDDING_DEVIATION = 0.1
"""Deviation of the first id embeddings beside standardized text (much smaller ones drown in it)."""


class ItemEncoder(nn.Module):
    """Base of the item encoders: LayerNorm(content + id embedding). A kind says what `content` and `new_content` are."""

    cheap: bool
    """Whether the whole catalog can be encoded in every training step."""

    def __init__(self, config: ItemConfig, dim: int, num_items: int) -> None:
        super().__init__()
        self.num_items, self.dim = num_items, dim
        self.id_embedding: nn.Embedding | None = None
        if config.id_embedding:
            self.id_embedding = nn.Embedding(num_items, dim)
            nn.init.normal_(self.id_embedding.weight, std=ID_EMBEDDING_DEVIATION)
        self.norm = nn.LayerNorm(dim)

    def content(self, rows: Int[Tensor, " n"] | None) -> Float[Tensor, "n dim"]:
        """What the attributes of the catalog's `rows` (None: all) say."""
        raise NotImplementedError

    def new_content(self, inputs: Tensor) -> Float[Tensor, "n dim"]:
        """What the attributes of items outside the catalog say; `inputs` as in `encode_new`."""
        raise NotImplementedError

    def forward(self, rows: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """Vectors of the catalog's `rows`."""
        content = self.content(rows)
        return self.norm(content if self.id_embedding is None else content + self.id_embedding(rows))

    def encode_all(self) -> Float[Tensor, "num_items dim"]:
        """Vectors of the whole catalog in row order, with gradient."""
        content = self.content(None)
        return self.norm(content if self.id_embedding is None else content + self.id_embedding.weight)

    def encode_with(self, rows: Int[Tensor, " n"], id_vectors: Float[Tensor, "n dim"] | None) -> Float[Tensor, "n dim"]:
        """Vectors of the catalog's `rows` with `id_vectors` in place of their id embeddings; None adds nothing."""
        content = self.content(rows)
        return self.norm(content if id_vectors is None else content + id_vectors)

    def encode_new(self, inputs: Tensor, id_vectors: Float[Tensor, "n dim"] | None) -> Float[Tensor, "n dim"]:
        """Vectors of items outside the catalog.

        Args:
            inputs: what the kind reads: text embeddings [n, text_dim], or token ids [n, max_tokens].
            id_vectors: what stands in for their id embeddings (`ColdStart`); None adds nothing.
        """
        content = self.new_content(inputs)
        return self.norm(content if id_vectors is None else content + id_vectors)


class ProjectionEncoder(ItemEncoder):
    """LayerNorm(linear(standardized frozen embedding) + id embedding)."""

    cheap = True

    def __init__(self, config: ItemConfig, dim: int, embeddings: npt.NDArray[np.float32]) -> None:
        super().__init__(config, dim, len(embeddings))
        inputs = torch.from_numpy(np.array(embeddings, np.float32))
        self._inputs: Tensor | None = inputs
        self.linear = nn.Linear(inputs.shape[1], dim)
        self.register_buffer("mean", inputs.mean(0))
        deviation = inputs.std(0, correction=0)
        # a column that hardly varies says nothing, and would say it loudly once divided by its deviation
        inverse = torch.where(deviation > 1e-4 * deviation.max(), 1 / deviation, 0.0)
        self.register_buffer("inverse_deviation", inverse)

    def content(self, rows: Int[Tensor, " n"] | None) -> Float[Tensor, "n dim"]:
        """Projection of the standardized embeddings of `rows`."""
        standardized = self._catalog()
        return self.linear(standardized if rows is None else standardized[rows])

    def new_content(self, inputs: Tensor) -> Float[Tensor, "n dim"]:
        """Projection of embeddings [n, text_dim], standardized as the catalog's were."""
        return self.linear(self._standardized(inputs))

    def _catalog(self) -> Float[Tensor, "num_items text_dim"]:
        """The catalog's embeddings, standardized when they are first read: by what was loaded, where weights were, and never to serve."""
        if self._inputs is not None:
            inputs, self._inputs = self._inputs.to(self.get_buffer("mean").device), None
            self.register_buffer("standardized", self._standardized(inputs), persistent=False)
        return self.get_buffer("standardized")

    def _standardized(self, inputs: Float[Tensor, "n text_dim"]) -> Float[Tensor, "n text_dim"]:
        return (inputs - self.get_buffer("mean")) * self.get_buffer("inverse_deviation")


class IdEncoder(ItemEncoder):
    """LayerNorm(id embedding): items known by who took them alone, as in SASRec."""

    cheap = True

    def content(self, rows: Int[Tensor, " n"] | None) -> Float[Tensor, "n dim"]:
        """Zeros: attributes are not read."""
        return self.norm.weight.new_zeros(self.num_items if rows is None else len(rows), self.dim)

    def new_content(self, inputs: Tensor) -> Float[Tensor, "n dim"]:
        """Zeros for inputs [n, ...]."""
        return self.norm.weight.new_zeros(len(inputs), self.dim)
