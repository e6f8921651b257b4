"""Recommender: histories in, lists of the caller's items out. People call `recommend`, evaluation `rank`: one path, the same lists."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from cobrarec.config import RetrievalConfig, parse_config
from cobrarec.data.catalog import Catalog, UnknownPolicy
from cobrarec.data.interactions import Histories
from cobrarec.errors import ConfigError, DataError
from cobrarec.model.cobra import Cobra, ItemVectors
from cobrarec.progress import Progress
from cobrarec.retrieval.list_engine import FusionWeights, ListEngine, Mask, Request
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.ordering import tie_ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.ranking import rank_all
from cobrarec.retrieval.recommendations import RankedLists, Recommendations
from cobrarec.retrieval.request_checks import (
    Filters,
    check_filters,
    check_histories,
    check_item_ids,
    check_k,
    check_timestamps,
    check_unknown,
    check_where,
)
from cobrarec.retrieval.similar_items import SimilarItem, similar_items
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.retrieval.where import rows_where
from cobrarec.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True)
class ArtifactInfo:
    """What a recommender knows of its training beside the weights.

    popularity: int64 `[num_items]`, training interactions of each row. split: the split it was trained on. seed: orders ties.
    artifact: sha256 of the artifact's manifest, empty where it comes from none. catalog_version: changes made to its items since the
    model was fitted.
    """

    popularity: npt.NDArray[np.int64]
    split: str = "none"
    seed: int = 0
    artifact: str = ""
    catalog_version: int = 0


class Recommender:
    """A catalog and the engine that finds its lists: the network's, or that of a ranker that counts."""

    def __init__(self, catalog: Catalog, engine: ListEngine, info: ArtifactInfo, tie_ranks: npt.NDArray[np.int64] | None = None) -> None:
        """`engine` is one over the rows of `catalog`; `tie_ranks` are those of the catalog under the seed, where they are known."""
        self.catalog, self.engine, self.info = catalog, engine, info
        self._tie_ranks = tie_ranks_of(catalog.tie_breakers(info.seed)) if tie_ranks is None else tie_ranks
        self._popular = PopularItems.of(info.popularity, self._tie_ranks, catalog.is_listed)

    @classmethod
    def of_network(
        cls,
        catalog: Catalog,
        semantic_ids: SemanticIds,
        model: Cobra,
        items: ItemVectors,
        config: RetrievalConfig,
        info: ArtifactInfo,
        memory: TransitionMemory | None = None,
    ) -> "Recommender":
        """A trained model, its catalog and its settings; `items` are the final vectors of the catalog, on the model's device."""
        tie_ranks = tie_ranks_of(catalog.tie_breakers(info.seed))
        return cls(catalog, ListSearch(model, items, semantic_ids, tie_ranks, config, memory, info.popularity == 0), info, tie_ranks)

    def __repr__(self) -> str:
        return f"Recommender({self.catalog.num_items} items, {self.engine}, split {self.info.split})"

    @property
    def network(self) -> ListSearch:
        """The engine, where it is the network's.

        Raises:
            ConfigError: it is another one, which has no model.
        """
        if not isinstance(self.engine, ListSearch):
            raise ConfigError(f"This recommender has no network: its lists come from {self.engine}. Fit one with `ranker: cobra`.")
        return self.engine

    @property
    def model(self) -> Cobra:
        """The model of the network."""
        return self.network.model

    @property
    def items(self) -> ItemVectors:
        """The item vectors of the network."""
        return self.network.items

    @property
    def semantic_ids(self) -> SemanticIds:
        """The semantic IDs of the network."""
        return self.network.semantic_ids

    @property
    def config(self) -> RetrievalConfig:
        """The settings of retrieval."""
        return self.engine.config

    def with_settings(self, **changes: Any) -> "Recommender":
        """The same recommender with other retrieval settings, for example `num_beams=50`.

        Raises:
            ConfigError: an unknown setting, a value out of range, or a setting that has no effect on this engine.
        """
        config = parse_config({"retrieval": {**self.config.model_dump(), **changes}}).retrieval
        without_effect = sorted(set(changes) - self.engine.read_settings)
        if without_effect:
            known = ", ".join(f"`{name}`" for name in sorted(self.engine.read_settings))
            raise ConfigError(f"`{without_effect[0]}` has no effect on lists from {self.engine}, which read {known}; leave it away.")
        changed = copy.copy(self)
        changed.engine = self.engine.with_config(config)
        return changed

    @property
    def weights(self) -> FusionWeights:
        """What the lists are ordered by beside the cascade; zeros where a part is not there."""
        return self.engine.weights

    @property
    def score_formula(self) -> str:
        """Which terms make a score, in words."""
        return self.engine.score_formula

    def recommend(
        self,
        histories: Iterable[Any],
        k: int = 10,
        *,
        unknown: UnknownPolicy = "skip",
        explain: bool = False,
        timestamps: Iterable[Any] | None = None,
        **filters: Unpack[Filters],
    ) -> Recommendations:
        """The best k items for each history.

        Args:
            histories: one sequence of item ids per user, oldest first; an empty one gets popular items.
            k: items per list; lists are shorter where fewer are left.
            unknown: `skip` leaves out ids that the catalog lacks, `error` refuses them.
            explain: add `why` to each recommendation.
            timestamps: when each item of each history was taken, in seconds since 1970, for models that read times (`day_gap`,
                `month`); without them times are unknown.
            filters: `exclude`, items that no list may hold; `allow`, the only items that lists may hold; `where`, conditions on the
                columns of the items table, such as `{"brand": ["X", "Y"], "price": {"max": 9}}` (`cobrarec.retrieval.where`).

        Raises:
            DataError: k below 1, one history given where several are expected, ids of another type than the catalog's, an unknown
                id with `unknown="error"`, timestamps that do not pair with the items, or conditions that the columns cannot meet.
        """
        k, views = check_k(k), self.read_histories(histories, check_unknown(unknown), timestamps)
        return self.recommend_to(views, k, unknown=unknown, explain=explain, **filters)

    def read_histories(self, histories: Iterable[Any], unknown: UnknownPolicy, timestamps: Iterable[Any] | None = None) -> Histories:
        """The histories of `recommend` as catalog rows, with times where they are given; raises as it does."""
        lists = check_histories(histories)
        if timestamps is None:
            return Histories.from_lists([self._rows(history, unknown) for history in lists])
        rows, times = [self._rows(history, unknown) for history in lists], check_timestamps(timestamps, lists)
        paired = zip(lists, times, strict=True)
        kept = [[time for item, time in zip(*pair, strict=True) if item in self.catalog] for pair in paired]
        return Histories.from_lists(rows, timestamps=kept)

    def recommend_to(
        self,
        histories: Histories,
        k: int = 10,
        *,
        unknown: UnknownPolicy = "skip",
        explain: bool = False,
        progress: Progress | None = None,
        **filters: Unpack[Filters],
    ) -> Recommendations:
        """`recommend` for histories that are catalog rows already, with times where they have them; `unknown` concerns the filters."""
        k = check_k(k)
        allowed = self._allowed(check_filters(filters), unknown)
        ranked = self._rank(histories, k, (self.weights,), allowed, progress, explain)[0]
        nearest = self._nearest_history_rows(histories, ranked) if explain else None
        return Recommendations(ranked, self.catalog.item_ids, self.engine.codes, self.score_formula, nearest)

    def similar(self, item_id: Any, k: int = 10) -> list[SimilarItem]:
        """The k listed items whose vectors have the largest cosine with that of an item, which may itself be delisted.

        Raises:
            DataError: an id that the catalog lacks, or k below 1.
            ConfigError: the engine knows no vectors.
        """
        k, row = check_k(k), int(self.catalog.rows([item_id])[0])
        unit = self.engine.unit_vectors
        if unit is None:
            raise ConfigError(f"Lists from {self.engine} know no vectors of items, and so no similar ones; fit a network, or `content`.")
        return similar_items(unit, row, k, self.catalog, self.engine.codes, self._tie_ranks)

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> RankedLists:
        """The lists of `recommend` as catalog rows, `[num_users, min(k, num_items)]`, users in the order of `histories`.

        Raises:
            DataError: k below 1.
        """
        return self._rank(histories, check_k(k), (self.weights,), None, progress)[0]

    def rank_with_weights(
        self, histories: Histories, k: int, weights: Sequence[FusionWeights], progress: Progress | None = None
    ) -> list[RankedLists]:
        """The lists of `rank` under several values of the settings `direct_weight` and `memory_weight`; the model runs once.

        Raises:
            DataError: k below 1, or a weight out of range.
        """
        k = check_k(k)
        if any(not 0 <= one.direct <= 1 or not 0 <= one.memory < np.inf for one in weights):
            raise DataError(f"Of the weights {list(weights)} `direct` must lie between 0 and 1 and `memory` must not be negative.")
        return self._rank(histories, k, tuple(weights), None, progress)

    def _rank(
        self,
        histories: Histories,
        k: int,
        weights: tuple[FusionWeights, ...],
        allowed: Mask | None,
        progress: Progress | None = None,
        explain: bool = False,
    ) -> list[RankedLists]:
        """The one path of all lists."""
        request = Request(min(k, self.catalog.num_items), weights, allowed, explain)
        return rank_all(self.engine, self._popular, histories, request, progress)

    def _rows(self, item_ids: Iterable[Any], unknown: UnknownPolicy) -> npt.NDArray[np.int64]:
        """Rows of the caller's ids; with `skip`, single ids of another type than the catalog's are unknown like any other."""
        ids = [item.item() if isinstance(item, np.generic) else item for item in item_ids]
        if unknown == "skip":
            # none of the catalog's type is a mistake, not a list of unknown items, and `rows` refuses it: pandas turns integers
            # beside nulls into floats
            ids = [item for item in ids if isinstance(item, self.catalog.id_type) and not isinstance(item, bool)] or ids
        return self.catalog.rows(ids, unknown)

    def _allowed(self, filters: Filters, unknown: UnknownPolicy) -> Mask | None:
        exclude, allow, where = filters.get("exclude"), filters.get("allow"), filters.get("where")
        if exclude is None and allow is None and where is None:
            return None
        mask = np.full(self.catalog.num_items, allow is None)
        if allow is not None:
            mask[self._rows(check_item_ids(allow, "allow"), unknown)] = True
        if exclude is not None:
            mask[self._rows(check_item_ids(exclude, "exclude"), unknown)] = False
        return mask if where is None else mask & rows_where(self.catalog, check_where(where))

    def _nearest_history_rows(self, histories: Histories, ranked: RankedLists) -> npt.NDArray[np.int64]:
        """For each listed item the history's item that is nearest to it for the engine; -1 without."""
        nearest = np.full(ranked.rows.shape, -1, dtype=np.int64)
        for user in np.flatnonzero(histories.lengths > 0):
            listed = ranked.rows[user, : ranked.lengths[user]].astype(np.int64)
            nearest[user, : len(listed)] = self.engine.nearest(histories.of(int(user)).astype(np.int64), listed)
        return nearest
