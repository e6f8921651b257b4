"""Recommender: histories in, lists of the caller's items out. People call `recommend`, evaluation `rank`: one path, the same lists."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cobrarec.config import RetrievalConfig, parse_config
from cobrarec.data.catalog import Catalog, UnknownPolicy
from cobrarec.data.interactions import Histories
from cobrarec.errors import DataError
from cobrarec.model.cobra import Cobra, ItemVectors
from cobrarec.progress import Progress, Silent
from cobrarec.retrieval.beam_search import AllowedItems
from cobrarec.retrieval.list_search import TERMS, ListSearch, Request, has_direct_query
from cobrarec.retrieval.recommendations import POPULAR, Explanations, RankedLists, Recommendations
from cobrarec.retrieval.request_checks import check_histories, check_item_ids, check_k, check_timestamps, check_unknown
from cobrarec.semantic_ids.semantic_ids import SemanticIds

DEFAULT_DIRECT_WEIGHT = 0.5
"""Share of the direct query where no weight was chosen: half and half."""


@dataclass(frozen=True)
class ArtifactInfo:
    """What a recommender knows of its training beside the weights.

    popularity: int64 `[num_items]`, training interactions of each row. split: the split it was trained on. seed: orders ties.
    """

    popularity: npt.NDArray[np.int64]
    split: str = "none"
    seed: int = 0


class Recommender:
    """A trained model, its catalog and its settings."""

    def __init__(
        self,
        catalog: Catalog,
        semantic_ids: SemanticIds,
        model: Cobra,
        items: ItemVectors,
        config: RetrievalConfig,
        info: ArtifactInfo,
    ) -> None:
        """`items` are the final vectors of the catalog, on the model's device."""
        self.catalog, self.semantic_ids, self.model, self.items = catalog, semantic_ids, model, items
        self.config, self.info = config, info
        self._tie_ranks = np.argsort(np.argsort(catalog.tie_breakers(info.seed), kind="stable"), kind="stable").astype(np.int64)
        self._popular = np.lexsort((self._tie_ranks, -info.popularity)).astype(np.int32)
        self._search = ListSearch(model, items, semantic_ids, self._tie_ranks, config)

    def __repr__(self) -> str:
        ids = self.semantic_ids
        codes = f"{ids.num_levels} x {ids.codebook_size} codes"
        return f"Recommender({self.catalog.num_items} items, {codes}, dim {self.model.config.dim}, split {self.info.split})"

    def with_settings(self, **changes: Any) -> "Recommender":
        """The same recommender with other retrieval settings, for example `num_beams=50`.

        Raises:
            ConfigError: an unknown setting or a value out of range.
        """
        changed = copy.copy(self)
        changed.config = parse_config({"retrieval": {**self.config.model_dump(), **changes}}).retrieval
        changed._search = self._search.with_config(changed.config)
        return changed

    @property
    def direct_weight(self) -> float:
        """Share of the direct query's log-probability in a log score; 0 where the model has no direct query."""
        if not has_direct_query(self.model):
            return 0.0
        return DEFAULT_DIRECT_WEIGHT if self.config.direct_weight is None else self.config.direct_weight

    @property
    def score_formula(self) -> str:
        """Which terms make a score, in words."""
        domain = {"bucket": "the items of its ID", "candidates": "its beam's candidates", "all": "all candidates"}
        phi = f"softmax over {domain[self.config.similarity_softmax]}"
        phi = f"{phi}, of the best ID alone" if self.config.fusion == "top-id" else f"softmax over beams x {phi}"
        weight = self.direct_weight
        return phi if weight == 0 else f"({phi})^{1 - weight:g} x P(item | direct query)^{weight:g}"

    def recommend(
        self,
        histories: Iterable[Any],
        k: int = 10,
        *,
        exclude: Iterable[Any] | None = None,
        allow: Iterable[Any] | None = None,
        unknown: UnknownPolicy = "skip",
        explain: bool = False,
        timestamps: Iterable[Any] | None = None,
    ) -> Recommendations:
        """The best k items for each history.

        Args:
            histories: one sequence of item ids per user, oldest first; an empty one gets popular items.
            k: items per list; lists are shorter where fewer are left.
            exclude: items that no list may hold.
            allow: the only items that lists may hold.
            unknown: `skip` leaves out ids that the catalog lacks, `error` refuses them.
            explain: add `why` to each recommendation.
            timestamps: when each item of each history was taken, in seconds since 1970, for models that read times (`day_gap`,
                `month`); without them times are unknown.

        Raises:
            DataError: k below 1, one history given where several are expected, ids of another type than the catalog's, an unknown
                id with `unknown="error"`, or timestamps that do not pair with the items.
        """
        k, unknown, lists = check_k(k), check_unknown(unknown), check_histories(histories)
        if timestamps is None:
            views = Histories.from_lists([self._rows(history, unknown) for history in lists])
        else:
            views = self._timed_histories(lists, check_timestamps(timestamps, lists), unknown)
        return self.recommend_to(views, k, exclude=exclude, allow=allow, unknown=unknown, explain=explain)

    def recommend_to(
        self,
        histories: Histories,
        k: int = 10,
        *,
        exclude: Iterable[Any] | None = None,
        allow: Iterable[Any] | None = None,
        unknown: UnknownPolicy = "skip",
        explain: bool = False,
    ) -> Recommendations:
        """`recommend` for histories that are catalog rows already, with times where they have them; `unknown` concerns the filters."""
        k = check_k(k)
        ranked = self._rank(histories, k, (self.direct_weight,), self._allowed(exclude, allow, unknown), explain=explain)[0]
        nearest = self._nearest_history_rows(histories, ranked) if explain else None
        return Recommendations(ranked, self.catalog.item_ids, self.semantic_ids.codes, self.score_formula, nearest)

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> RankedLists:
        """The lists of `recommend` as catalog rows, `[num_users, min(k, num_items)]`, users in the order of `histories`.

        Raises:
            DataError: k below 1.
        """
        return self._rank(histories, check_k(k), (self.direct_weight,), None, progress)[0]

    def rank_with_direct_weights(
        self, histories: Histories, k: int, weights: Sequence[float], progress: Progress | None = None
    ) -> list[RankedLists]:
        """The lists of `rank` under several values of the setting `direct_weight`; the model runs once.

        Raises:
            DataError: k below 1 or a weight outside 0 to 1.
        """
        k = check_k(k)
        if any(not 0 <= weight <= 1 for weight in weights):
            raise DataError(f"The direct weights {list(weights)} must lie between 0 and 1. Give shares of the log score.")
        return self._rank(histories, k, tuple(float(weight) for weight in weights), None, progress)

    def _rank(
        self,
        histories: Histories,
        k: int,
        weights: tuple[float, ...],
        allowed: AllowedItems | None,
        progress: Progress | None = None,
        explain: bool = False,
    ) -> list[RankedLists]:
        """The one path of all lists: popular items for empty histories, else chunks of users of similar history length."""
        k = min(k, self.catalog.num_items)
        request = Request(k, weights, allowed, explain)
        num_users = histories.num_users
        results = [RankedLists.empty(num_users, k, Explanations.empty(num_users, k, TERMS) if explain else None) for _ in weights]
        empty = np.flatnonzero(histories.lengths == 0)
        if len(empty):
            popular = self._popular_list(request)
            for ranked in results:
                ranked.write(empty, popular.repeated(len(empty)))
        read = np.minimum(histories.lengths, self.model.config.decoder.max_history)
        order = np.argsort(read, kind="stable")[len(empty) :]
        step = self._search.users_per_chunk(self.config.num_beams)
        chunks = [order[start : start + step] for start in range(0, len(order), step)]
        with _generating(self.model):
            for users in (progress or Silent()).track(chunks, "ranking", total=len(chunks)):
                for ranked, part in zip(results, self._search.lists(histories.select(users), request), strict=True):
                    ranked.write(users, part)
        return results

    def _popular_list(self, request: Request) -> RankedLists:
        """One list of the items most frequent in training; the score is the item's share of the interactions, each counted once more."""
        rows = self._popular
        if request.allowed is not None:
            rows = rows[request.allowed.rows.cpu().numpy()[rows]]
        rows = rows[: request.k]
        counts = self.info.popularity
        ranked = RankedLists.empty(1, request.k, Explanations.empty(1, request.k, TERMS) if request.explain else None)
        ranked.rows[0, : len(rows)] = rows
        ranked.log_scores[0, : len(rows)] = np.log((counts[rows] + 1) / (counts.sum() + len(counts)))
        ranked.sources[0, : len(rows)] = POPULAR
        if ranked.explanations is not None:
            ranked.explanations.terms["popularity"][0, : len(rows)] = ranked.log_scores[0, : len(rows)]
        return ranked

    def _rows(self, item_ids: Iterable[Any], unknown: UnknownPolicy) -> npt.NDArray[np.int64]:
        """Rows of the caller's ids; with `skip`, single ids of another type than the catalog's are unknown like any other."""
        ids = [item.item() if isinstance(item, np.generic) else item for item in item_ids]
        if unknown == "skip":
            # none of the catalog's type is a mistake, not a list of unknown items, and `rows` refuses it: pandas turns integers
            # beside nulls into floats
            ids = [item for item in ids if isinstance(item, self.catalog.id_type) and not isinstance(item, bool)] or ids
        return self.catalog.rows(ids, unknown)

    def _timed_histories(self, histories: list[Any], timestamps: list[list[int]], unknown: UnknownPolicy) -> Histories:
        """Rows with the times of the items that the catalog knows."""
        rows = [self._rows(history, unknown) for history in histories]
        paired = zip(histories, timestamps, strict=True)
        kept = [[time for item, time in zip(*pair, strict=True) if item in self.catalog] for pair in paired]
        return Histories.from_lists(rows, timestamps=kept)

    def _allowed(self, exclude: Iterable[Any] | None, allow: Iterable[Any] | None, unknown: UnknownPolicy) -> AllowedItems | None:
        if exclude is None and allow is None:
            return None
        mask = np.full(self.catalog.num_items, allow is None)
        if allow is not None:
            mask[self._rows(check_item_ids(allow, "allow"), unknown)] = True
        if exclude is not None:
            mask[self._rows(check_item_ids(exclude, "exclude"), unknown)] = False
        return AllowedItems(torch.from_numpy(mask).to(self.items.vectors.device), self._search.tables)

    def _nearest_history_rows(self, histories: Histories, ranked: RankedLists) -> npt.NDArray[np.int64]:
        """For each listed item the history's item whose vector has the largest cosine with it (the latest among equals); -1 without."""
        nearest = np.full(ranked.rows.shape, -1, dtype=np.int64)
        unit = self.items.unit
        for user in np.flatnonzero(histories.lengths > 0):
            history = histories.of(int(user))[::-1].astype(np.int64)
            listed = ranked.rows[user, : ranked.lengths[user]].astype(np.int64)
            cosines = unit[torch.from_numpy(listed).to(unit.device)] @ unit[torch.from_numpy(history.copy()).to(unit.device)].T
            nearest[user, : len(listed)] = history[cosines.argmax(1).cpu().numpy()]
        return nearest


@contextmanager
def _generating(model: Cobra) -> Iterator[None]:
    """Eval mode without gradient; afterwards the model is as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
