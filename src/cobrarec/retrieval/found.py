"""Found: what the search of one chunk of users came upon, before it is ordered."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.retrieval.beam_fusion import Fused
from cobrarec.retrieval.beam_search import Beams
from cobrarec.retrieval.item_index import Candidates


@dataclass(frozen=True)
class Found:
    """The candidates of a chunk and the parts of their scores. bounds: places of each user's candidates, CSR."""

    beams: Beams
    dense_queries: Float[Tensor, "batch beams dim"] | None
    candidates: Candidates
    fused: Fused
    log_phi: Float[Tensor, " num_candidates"]
    log_direct: Float[Tensor, " num_candidates"] | None
    log_memory: Float[Tensor, " num_candidates"] | None

    @property
    def bounds(self) -> Int[Tensor, " num_bounds"]:
        """Where each user's candidates begin; one more at the end."""
        return self.candidates.offsets[:: self.beams.ids.shape[1]]

    @cached_property
    def users(self) -> Int[Tensor, " num_candidates"]:
        """User of each candidate."""
        return self.candidates.pairs // self.beams.ids.shape[1]

    def num_found(self) -> Int[Tensor, " batch"]:
        """Items of each user that are not struck out."""
        kept = ~torch.isneginf(self.log_phi)
        return torch.bincount(self.users[kept], minlength=len(self.beams.ids))
