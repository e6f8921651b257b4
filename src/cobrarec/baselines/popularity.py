"""Popularity: every user gets the most frequent training items that the history lacks. The floor of every table."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.progress import Progress
from cobrarec.retrieval.list_engine import LIST_SETTINGS, FusionWeights, Mask, Request, no_codes
from cobrarec.retrieval.ordering import ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.ranking import rank_all
from cobrarec.retrieval.recommendations import RankedLists


@dataclass(frozen=True, eq=False, repr=False)
class Popularity:
    """Items in the order of their training counts, ties by the catalog's seeded order."""

    popular: PopularItems
    config: RetrievalConfig = RetrievalConfig()

    read_settings = LIST_SETTINGS
    max_history = None
    weights = FusionWeights()
    score_formula = "share of the training interactions, each item counted once more"

    @classmethod
    def fit(cls, train: Histories, num_items: int, tie_breakers: npt.NDArray[np.uint64]) -> "Popularity":
        """Count the interactions of `train`.

        Args:
            train: training histories.
            num_items: items of the catalog; items without interactions come last.
            tie_breakers: `[num_items]`, smaller first among equals (`Catalog.tie_breakers`).
        """
        return cls(PopularItems.of(train.item_counts(num_items), ranks_of(tie_breakers)))

    def __repr__(self) -> str:
        return "popularity"

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """No semantic IDs, `[num_items, 0]`."""
        return no_codes(len(self.popular.order))

    def with_config(self, config: RetrievalConfig) -> "Popularity":
        """The same counts under other settings."""
        return dataclasses.replace(self, config=config)

    def with_settings(self, *, include_history: bool) -> "Popularity":
        """A copy that keeps or masks the history's items."""
        return self.with_config(self.config.model_copy(update={"include_history": include_history}))

    def users_per_chunk(self) -> int:
        """How many users to ask for at once."""
        return 1024

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, once per pair of weights."""
        return [self.popular.lists(histories, request, self.config.include_history)] * len(request.weights)

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """-1: no item of the history has a say."""
        return np.full(len(listed), -1, dtype=np.int64)

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> RankedLists:
        """The k most popular items that each history lacks."""
        return rank_all(self, self.popular, histories, Request(min(k, len(self.popular.order))), progress)[0]
