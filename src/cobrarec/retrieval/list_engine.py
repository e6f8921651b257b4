"""ListEngine: what finds the lists behind a `Recommender`, be it a network or a count; and what it is asked for."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.retrieval.recommendations import TERMS, Explanations, RankedLists

Mask: TypeAlias = npt.NDArray[np.bool_]
Filter = TypeVar("Filter")

LIST_SETTINGS = frozenset({"include_history", "fill"})
"""Settings of retrieval that every engine reads."""


@dataclass(frozen=True, order=True)
class FusionWeights:
    """What the network's lists are ordered by beside the cascade: the share of the direct query, and the weight of the memory."""

    direct: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class Request(Generic[Filter]):
    """What is asked for: lists of k, one set of lists for each of the weights, of the allowed items only (None: all).

    Engines are given `allowed` as a mask `[num_items]`; inside they may hold it in another form.
    """

    k: int
    weights: tuple[FusionWeights, ...] = (FusionWeights(),)
    allowed: Filter | None = None
    explain: bool = False

    def empty_lists(self, num_users: int) -> RankedLists:
        """Lists of k places without items, with explanations where they are asked for."""
        return RankedLists.empty(num_users, self.k, Explanations.empty(num_users, self.k, TERMS) if self.explain else None)


@runtime_checkable
class ListEngine(Protocol):
    """What a `Recommender` asks for its lists. Everything is in catalog rows; engines know no item ids."""

    @property
    def config(self) -> RetrievalConfig:
        """The settings of retrieval."""
        ...

    @property
    def read_settings(self) -> frozenset[str]:
        """Names of the settings that have an effect here."""
        ...

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """Semantic IDs `[num_items, num_levels]`; no level where the engine has none."""
        ...

    @property
    def unit_vectors(self) -> Tensor | None:
        """Vectors `[num_items, dim]` of length 1 by which items are alike; None where the engine knows none."""
        ...

    @property
    def max_history(self) -> int | None:
        """Latest items of a history that are read; None where it costs nothing to read them all."""
        ...

    @property
    def weights(self) -> FusionWeights:
        """What the lists are ordered by; zeros where the engine is no network."""
        ...

    @property
    def score_formula(self) -> str:
        """Which terms make a score, in words."""
        ...

    def with_config(self, config: RetrievalConfig) -> "ListEngine":
        """The same engine under other settings."""
        ...

    def users_per_chunk(self) -> int:
        """How many users to ask for at once."""
        ...

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, each with at least one item; one set for each of the request's weights."""
        ...

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each listed row the row of the history (oldest first) that is nearest to it, the latest of equals; -1 where none is."""
        ...


def no_codes(num_items: int) -> npt.NDArray[np.int32]:
    """`codes` of an engine without semantic IDs."""
    return np.zeros((num_items, 0), dtype=np.int32)
