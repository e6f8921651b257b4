"""ItemVectors: what is kept of the items once training is over."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cobrarec.model.unit_vectors import unit_vectors


@dataclass(frozen=True)
class ItemVectors:
    """Final vectors and biases of a catalog, without gradient."""

    vectors: Float[Tensor, "num_items dim"]
    """What the decoder reads."""
    dense_bias: Float[Tensor, " num_items"]
    direct_bias: Float[Tensor, " num_items"]

    @cached_property
    def unit(self) -> Float[Tensor, "num_items dim"]:
        """The vectors at length 1: what queries are compared with."""
        return unit_vectors(self.vectors)

    def unit_in_order(self, rows: Int[Tensor, " num_listed"]) -> Float[Tensor, "num_listed dim"]:
        """The unit vectors in the order of `rows`, kept for the next call with the same tensor: every request needs them."""
        source = self.__dict__.get("_source", self)
        kept: tuple[Tensor, Tensor] | None = source.__dict__.get("_in_order")
        if kept is None or kept[0] is not rows:
            kept = rows, self.unit.index_select(0, rows)
            source.__dict__["_in_order"] = kept
        return kept[1]

    def with_biases(self, dense_bias: Float[Tensor, " num_items"], direct_bias: Float[Tensor, " num_items"]) -> "ItemVectors":
        """The same vectors, not copied, under other biases."""
        twin = ItemVectors(self.vectors, dense_bias, direct_bias)
        twin.__dict__.update(unit=self.unit, _source=self.__dict__.get("_source", self))
        return twin

    def with_level(self, is_raised: Bool[Tensor, " num_items"], level: float) -> "ItemVectors":
        """The same vectors with `level` added to both biases of some items."""
        added = level * is_raised.to(self.dense_bias.dtype)
        return self.with_biases(self.dense_bias + added, self.direct_bias + added)

    def listed_only(self, is_listed: Bool[Tensor, " num_items"]) -> "ItemVectors":
        """The same vectors with biases of -inf for all items but the listed ones, so that no softmax over the catalog holds the others."""
        if bool(is_listed.all()):
            return self
        return self.with_biases(*(bias.masked_fill(~is_listed, -torch.inf) for bias in (self.dense_bias, self.direct_bias)))

    def with_items(self, rows: Int[Tensor, " n"], news: "ItemVectors") -> "ItemVectors":
        """A copy, grown as far as `rows` reach, with `news` there; the other unit vectors are taken over, not computed again."""
        news, rows = news.to(self.vectors.device), rows.to(self.vectors.device)
        grown = max(len(self.vectors), int(rows.max()) + 1) - len(self.vectors)

        def written(old: Tensor, new: Tensor) -> Tensor:
            return torch.cat([old, old.new_zeros(grown, *old.shape[1:])]).index_copy_(0, rows, new)

        changed = ItemVectors(*(written(old, new) for old, new in zip(self.arrays().values(), news.arrays().values(), strict=True)))
        changed.__dict__["unit"] = written(self.unit, news.unit)
        return changed

    def to(self, device: torch.device | str) -> "ItemVectors":
        """The same vectors on `device`."""
        return ItemVectors(self.vectors.to(device), self.dense_bias.to(device), self.direct_bias.to(device))

    def arrays(self) -> dict[str, Tensor]:
        """What to save."""
        return {"vectors": self.vectors, "dense_bias": self.dense_bias, "direct_bias": self.direct_bias}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Tensor]) -> "ItemVectors":
        """From what `arrays` gave."""
        return cls(arrays["vectors"], arrays["dense_bias"], arrays["direct_bias"])

    def logits(
        self, query: Float[Tensor, "*some dim"], bias: Float[Tensor, " num_items"], rows: Int[Tensor, "*some n"] | None
    ) -> Float[Tensor, "*some n"]:
        """Products of queries, their scale included, with the unit vectors of the whole catalog or of `rows`, plus the biases."""
        if rows is None:
            return query @ self.unit.t() + bias
        return (self.unit[rows] @ query[..., None]).squeeze(-1) + bias[rows]
