"""Cold start: what stands in for the id embedding and the biases of items that no one has taken in training.

A ridge regression from the frozen text embedding, fitted on the items with training interactions, whose trained values are known
(its strength chosen by leaving each of them out). The same regression serves cold items of the catalog and items added later.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.model.build import build_model
from cobrarec.model.cobra import ROWS_AT_ONCE, Cobra, ItemVectors
from cobrarec.model.item_tokenizer import TokenTable
from cobrarec.semantic_ids.regression import RidgeRegression
from cobrarec.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True, eq=False)
class ColdStart:
    """Text embedding -> (id embedding, dense bias, direct bias)."""

    regression: RidgeRegression
    has_id_embedding: bool

    @classmethod
    def fit(cls, model: Cobra, embeddings: npt.NDArray[np.float32], warm: npt.NDArray[np.bool_]) -> "ColdStart":
        """Fit on the items with training interactions.

        Args:
            model: a trained model.
            embeddings: frozen text embeddings of the catalog, [num_items, text_dim]; whatever kind of item encoder the model has.
            warm: [num_items] whether the item has training interactions.
        """
        values = trained_values(model).cpu().numpy()
        regression, _ = RidgeRegression.fit(embeddings[warm], values[warm])
        return cls(regression, model.item_encoder.id_embedding is not None)

    def item_vectors(self, model: Cobra, embeddings: npt.NDArray[np.float32], warm: npt.NDArray[np.bool_]) -> ItemVectors:
        """The catalog's vectors, those of its cold items with the regression's values; arguments as in `fit`."""
        items = model.item_vectors()
        cold = torch.from_numpy(np.flatnonzero(~warm)).to(items.vectors.device)
        if not len(cold):
            return items
        values = torch.from_numpy(self.regression.predict(embeddings[~warm])).to(cold.device)
        cold_items = self._encoded(model, values, None, cold)
        return ItemVectors(
            items.vectors.index_copy(0, cold, cold_items.vectors),
            items.dense_bias.index_copy(0, cold, cold_items.dense_bias),
            items.direct_bias.index_copy(0, cold, cold_items.direct_bias),
        )

    @torch.no_grad()
    def write_into(self, model: Cobra, embeddings: npt.NDArray[np.float32], warm: npt.NDArray[np.bool_]) -> None:
        """Give the cold items of the model's catalog the regression's values, to train on from there; arguments as in `fit`."""
        cold = torch.from_numpy(np.flatnonzero(~warm)).to(model.dense_bias.device)
        values = torch.from_numpy(self.regression.predict(embeddings[~warm])).to(cold.device)
        model.dense_bias[cold], model.direct_bias[cold] = values[:, 0], values[:, 1]
        if model.item_encoder.id_embedding is not None:
            model.item_encoder.id_embedding.weight[cold] = values[:, 2:]

    def new_items(
        self,
        model: Cobra,
        embeddings: npt.NDArray[np.float32],
        token_ids: npt.NDArray[np.int32] | None = None,
        trained_rows: npt.NDArray[np.int64] | None = None,
    ) -> ItemVectors:
        """Vectors of items outside the catalog, or of items whose text has changed.

        Args:
            model: the model that was fitted.
            embeddings: their frozen text embeddings, [n, text_dim].
            token_ids: their tokens, [n, max_tokens]; needed where the item encoder is the text encoder.
            trained_rows: [n] rows of the model whose trained id embedding and biases an item keeps, -1 for none.
        """
        inputs = torch.from_numpy(embeddings if token_ids is None else token_ids).to(model.dense_bias.device)
        values = torch.from_numpy(self.regression.predict(embeddings)).to(inputs.device)
        if trained_rows is not None and (trained_rows >= 0).any():
            kept = torch.from_numpy(np.flatnonzero(trained_rows >= 0)).to(values.device)
            values[kept] = trained_values(model)[torch.from_numpy(trained_rows[trained_rows >= 0]).to(values.device)]
        return self._encoded(model, values, inputs, None)

    @torch.no_grad()
    def _encoded(
        self, model: Cobra, values: Float[Tensor, "n values"], inputs: Tensor | None, rows: Int[Tensor, " n"] | None
    ) -> ItemVectors:
        """Vectors of the catalog's `rows`, or of new items that `inputs` describe, with these values as `trained_values` orders them."""
        id_vectors = values[:, 2:] if self.has_id_embedding else None
        was_training = model.training
        model.eval()
        encoder = model.item_encoder
        parts = []
        for part in torch.split(torch.arange(len(values), device=values.device), ROWS_AT_ONCE):
            own = None if id_vectors is None else id_vectors[part]
            if rows is not None:
                parts.append(encoder.encode_with(rows[part], own))
            elif inputs is not None:
                parts.append(encoder.encode_new(inputs[part], own))
        model.train(was_training)
        vectors = torch.cat(parts) if parts else values.new_zeros(0, encoder.dim)
        return ItemVectors(vectors, values[:, 0].clone(), values[:, 1].clone())

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """What to save."""
        has = np.array([self.has_id_embedding], np.float32)
        return {"weight": self.regression.weight, "bias": self.regression.bias, "has_id_embedding": has}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.float32]]) -> "ColdStart":
        """From what `arrays` gave."""
        return cls(RidgeRegression(arrays["weight"], arrays["bias"]), bool(arrays["has_id_embedding"][0]))


@torch.no_grad()
def with_catalog(
    model: Cobra,
    semantic_ids: SemanticIds,
    embeddings: npt.NDArray[np.float32],
    tokens: TokenTable | None,
    values: Float[Tensor, "num_items values"],
) -> Cobra:
    """A model of another catalog with the weights of `model`; call `refresh_evidence` before use.

    Args:
        model: a trained model.
        semantic_ids: IDs of the other catalog.
        embeddings: its frozen text embeddings, [num_items, text_dim].
        tokens: as `build_model` takes them.
        values: what its items have in place of trained values, as `trained_values` orders them.
    """
    other = build_model(model.config, semantic_ids, embeddings, tokens)
    state = model.state_dict() | {"dense_bias": values[:, 0], "direct_bias": values[:, 1]}
    if model.item_encoder.id_embedding is not None:
        state["item_encoder.id_embedding.weight"] = values[:, 2:]
    own = {name: value for name, value in state.items() if not name.startswith("centroids.")}  # those of the other catalog's own IDs
    told = other.load_state_dict(own, strict=False)
    assert not told.unexpected_keys, told
    assert all(name.startswith("centroids.") for name in told.missing_keys), told
    return other


def trained_values(model: Cobra) -> Float[Tensor, "num_items values"]:
    """What training gave each item of the model's catalog: dense bias, direct bias, id embedding where there is one."""
    id_embedding = model.item_encoder.id_embedding
    parts = [model.dense_bias[:, None], model.direct_bias[:, None], *([] if id_embedding is None else [id_embedding.weight])]
    return torch.cat(parts, 1).detach()
