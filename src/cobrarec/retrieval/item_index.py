"""The items of an ID, nearest first (eq. 12): one protocol, and the exact engine that is the default and the judge of others.

Vectors are laid out by ID, so a bucket is one contiguous block. Many (user, beam) pairs ask for the same bucket: they are grouped, and each
bucket costs one matrix product. In a bucket items stand in the order of a seeded hash of their ids, so that no tie is ever broken by row.
`index_select` gathers several times as fast as `[...]` does on a CPU.
"""

import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cobrarec.semantic_ids.semantic_ids import SemanticIds

GATHER_BELOW = 16
"""Mean items per asked bucket under which single vectors are gathered: so small a bucket does not repay a matrix product of its own."""


@dataclass(frozen=True)
class Candidates:
    """What a search found, pair after pair; `offsets[p]:offsets[p + 1]` are the places of pair p.

    Struck out items keep their place and have a similarity of -inf, so that layouts stay aligned between searches.
    """

    offsets: Int[Tensor, " num_offsets"]
    pairs: Int[Tensor, " num_candidates"]
    rows: Int[Tensor, " num_candidates"]
    similarities: Float[Tensor, " num_candidates"]

    @property
    def num_pairs(self) -> int:
        """Pairs asked, those without a bucket included."""
        return len(self.offsets) - 1


class ItemIndex(Protocol):
    """An engine that searches inside buckets.

    One that returns less than the whole bucket makes the `bucket` reading of the second softmax (see beam_fusion) approximate.
    """

    def search(
        self,
        queries: Float[Tensor, "num_pairs dim"] | None,
        ids: Int[Tensor, " num_pairs"],
        removed_pairs: Int[Tensor, " num_removed"],
        removed_rows: Int[Tensor, " num_removed"],
    ) -> Candidates:
        """Items of C(ids[p]) and their similarity to queries[p], without the removed (pair, row)s; nothing where ids[p] is -1."""
        ...


class ExactIndex:
    """Every item of the bucket: similarity(q, a) = q . v_a + bias_a, q and v_a of unit length."""

    def __init__(
        self,
        vectors: Float[Tensor, "num_items dim"],
        biases: Float[Tensor, " num_items"],
        semantic_ids: SemanticIds,
        tie_ranks: npt.NDArray[np.int64],
    ) -> None:
        """`tie_ranks[row]` is the place of the item in the order that breaks ties."""
        device = vectors.device
        order = np.lexsort((tie_ranks, semantic_ids.id_of_row))[semantic_ids.num_items - semantic_ids.num_listed :]  # delisted are first
        place = np.full(semantic_ids.num_items, -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        self.rows = torch.from_numpy(order.astype(np.int64)).to(device)
        self.place_of_row = torch.from_numpy(place).to(device)
        self.starts = torch.from_numpy(semantic_ids.bucket_offsets[:-1].astype(np.int64)).to(device)
        self.sizes = torch.from_numpy(np.diff(semantic_ids.bucket_offsets).astype(np.int64)).to(device)
        self.vectors = vectors.detach().index_select(0, self.rows)
        self.biases = biases.detach().index_select(0, self.rows)

    def search(
        self,
        queries: Float[Tensor, "num_pairs dim"] | None,
        ids: Int[Tensor, " num_pairs"],
        removed_pairs: Int[Tensor, " num_removed"],
        removed_rows: Int[Tensor, " num_removed"],
    ) -> Candidates:
        """See `ItemIndex.search`; without queries (no dense vectors) every similarity is 0. A removed row must be of the pair's ID."""
        known = ids >= 0
        sizes = torch.where(known, self.sizes[ids.clamp(min=0)], 0)
        offsets = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        pairs = torch.repeat_interleave(torch.arange(len(ids), device=ids.device), sizes)
        shift = self.starts[ids.clamp(min=0)] - offsets[:-1]
        places = torch.arange(len(pairs), device=ids.device) + shift.index_select(0, pairs)
        if queries is None:
            similarities = torch.zeros(len(pairs), dtype=self.vectors.dtype, device=ids.device)
        elif len(pairs) < GATHER_BELOW * len(ids):
            similarities = (queries.index_select(0, pairs) * self.vectors.index_select(0, places)).sum(-1)
            similarities += self.biases.index_select(0, places)
        else:
            similarities = self._by_bucket(queries, ids, offsets, pairs) + self.biases.index_select(0, places)
        similarities[self.place_of_row[removed_rows] - shift[removed_pairs]] = -torch.inf
        return Candidates(offsets=offsets, pairs=pairs, rows=self.rows.index_select(0, places), similarities=similarities)

    def _by_bucket(
        self,
        queries: Float[Tensor, "num_pairs dim"],
        ids: Int[Tensor, " num_pairs"],
        offsets: Int[Tensor, " num_offsets"],
        pairs: Int[Tensor, " num_candidates"],
    ) -> Float[Tensor, " num_candidates"]:
        """Dot products, one matrix product per distinct ID. Results lie ID after ID first, then move to the order of the pairs."""
        order = torch.argsort(ids, stable=True)
        sorted_queries = queries[order]
        groups, counts = torch.unique_consecutive(ids[order], return_counts=True)
        by_id = torch.empty(len(pairs), dtype=queries.dtype, device=queries.device)
        done = pair = 0
        known = groups.clamp(min=0)
        blocks = zip(groups.tolist(), counts.tolist(), self.starts[known].tolist(), self.sizes[known].tolist(), strict=True)
        for group, count, start, size in blocks:
            if group >= 0:
                block = by_id[done : done + count * size].view(count, size)
                torch.mm(sorted_queries[pair : pair + count], self.vectors[start : start + size].T, out=block)
                done += count * size
            pair += count
        sizes = offsets.diff()
        sorted_offsets = torch.empty_like(sizes)
        sorted_offsets[order] = sizes[order].cumsum(0) - sizes[order]
        moved = sorted_offsets - offsets[:-1]
        return by_id.index_select(0, torch.arange(len(pairs), device=ids.device) + moved.index_select(0, pairs))

    def with_biases(self, biases: Float[Tensor, " num_items"]) -> "ExactIndex":
        """The same vectors, not copied, under other biases: the layout of what it finds is the same."""
        twin = copy.copy(self)
        twin.biases = biases.detach().index_select(0, self.rows)
        return twin


def nearest_in_history(
    unit: Float[Tensor, "num_items dim"], history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each of the rows `listed` the row of the history (oldest first) with the largest cosine, the latest of equals."""
    latest_first = history[::-1].copy()
    cosines = unit[torch.from_numpy(listed).to(unit.device)] @ unit[torch.from_numpy(latest_first).to(unit.device)].T
    return latest_first[cosines.argmax(1).cpu().numpy()]


def nearest_per_pair(candidates: Candidates, scores: Float[Tensor, " num_candidates"], num_nearest: int) -> Bool[Tensor, " num_candidates"]:
    """True at the `num_nearest` best scores of each pair, -inf never; equal scores go by place, which follows the ties' hash."""
    order = torch.argsort(scores, descending=True, stable=True)
    order = order[torch.argsort(candidates.pairs[order], stable=True)]
    rank = torch.arange(len(order), device=order.device) - candidates.offsets[:-1][candidates.pairs[order]]
    kept = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    kept[order] = rank < num_nearest
    return kept & torch.isfinite(scores)
