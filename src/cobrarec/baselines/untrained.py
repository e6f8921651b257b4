"""What rankers without training have in common: popular items where they find none, no semantic IDs, no weights, all of a history."""

import dataclasses
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.progress import Progress
from cobrarec.retrieval.list_engine import LIST_SETTINGS, FusionWeights, ListEngine, Request, no_codes
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.ranking import rank_all
from cobrarec.retrieval.recommendations import RankedLists

R = TypeVar("R", bound="UntrainedRanker")


class UntrainedRanker(ListEngine):
    """A dataclass of this kind is an engine for a `Recommender`, and what evaluation ranks with."""

    popular: PopularItems
    """Fills short lists and gives the items for users without a history."""

    read_settings = LIST_SETTINGS
    max_history = None
    weights = FusionWeights()

    @property
    def unit_vectors(self) -> Tensor | None:
        """None, unless the ranker compares items."""
        return None

    @property
    def num_items(self) -> int:
        """Items of the catalog."""
        return len(self.popular.order)

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """No semantic IDs, `[num_items, 0]`."""
        return no_codes(self.num_items)

    def with_config(self: R, config: RetrievalConfig) -> R:
        """The same ranker under other settings."""
        return dataclasses.replace(self, config=config)  # type: ignore[type-var]

    def with_settings(self: R, *, include_history: bool) -> R:
        """A copy that keeps or masks the history's items."""
        return self.with_config(self.config.model_copy(update={"include_history": include_history}))

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> RankedLists:
        """The k best items for every history, in the users' order."""
        return rank_all(self, self.popular, histories, Request(min(k, self.num_items)), progress)[0]
