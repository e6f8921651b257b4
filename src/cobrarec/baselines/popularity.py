"""Popularity: every user gets the most frequent training items that the history lacks. The floor of every table."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.baselines.untrained import UntrainedRanker
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.retrieval.list_engine import Mask, Request
from cobrarec.retrieval.ordering import tie_ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommendations import RankedLists


@dataclass(frozen=True, eq=False, repr=False)
class Popularity(UntrainedRanker):
    """Items in the order of their training counts, ties by the catalog's seeded order."""

    popular: PopularItems
    config: RetrievalConfig = RetrievalConfig()

    score_formula = "share of the training interactions, each item counted once more"

    @classmethod
    def fit(cls, train: Histories, num_items: int, tie_breakers: npt.NDArray[np.uint64]) -> "Popularity":
        """Count the interactions of `train`.

        Args:
            train: training histories.
            num_items: items of the catalog; items without interactions come last.
            tie_breakers: `[num_items]`, smaller first among equals (`Catalog.tie_breakers`).
        """
        return cls(PopularItems.of(train.item_counts(num_items), tie_ranks_of(tie_breakers)))

    def __repr__(self) -> str:
        return "popularity"

    def users_per_chunk(self) -> int:
        """How many users to ask for at once."""
        return 1024

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, once per pair of weights."""
        return [self.popular.lists(histories, request, self.config.include_history)] * len(request.weights)

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """-1: no item of the history has a say."""
        return np.full(len(listed), -1, dtype=np.int64)
