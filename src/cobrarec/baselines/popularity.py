"""Popularity: every user gets the most frequent training items that the history lacks. The floor of every table."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories
from cobrarec.progress import Progress, Silent

_USERS_PER_BATCH = 1024


@dataclass(frozen=True)
class Ranking:
    """Lists of a baseline: `rows [num_users, k]`, best first, -1 = nothing."""

    rows: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Popularity:
    """Items in the order of their training counts, ties by the catalog's seeded order."""

    order: npt.NDArray[np.int64]
    """All rows, most frequent first."""
    include_history: bool = False
    """Leave the history's items in the lists."""

    @classmethod
    def fit(cls, train: Histories, num_items: int, tie_breakers: npt.NDArray[np.uint64]) -> "Popularity":
        """Count the interactions of `train`.

        Args:
            train: training histories.
            num_items: items of the catalog; items without interactions come last.
            tie_breakers: `[num_items]`, smaller first among equals (`Catalog.tie_breakers`).
        """
        counts = train.item_counts(num_items)
        return cls(order=np.lexsort((tie_breakers, -counts)).astype(np.int64))

    def with_settings(self, *, include_history: bool) -> "Popularity":
        """A copy that keeps or masks the history's items."""
        return dataclasses.replace(self, include_history=include_history)

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> Ranking:
        """The k most popular items that each history lacks."""
        lists = np.full((histories.num_users, min(k, len(self.order))), -1, dtype=np.int32)
        return Ranking(self.fill(lists, histories, progress))

    def fill(self, lists: npt.NDArray[np.int32], histories: Histories, progress: Progress | None = None) -> npt.NDArray[np.int32]:
        """Fill the empty places, which must stand at the lists' ends, with the most popular items not yet listed.

        Args:
            lists: `[num_users, k]`, -1 = empty.
            histories: the same users; their items are left out unless `include_history`.
            progress: one step per batch of users.

        Returns:
            `[num_users, k]`; -1 remains where the catalog has no item left.
        """
        filled = lists.copy()
        short = np.flatnonzero((lists < 0).any(axis=1))
        for start in (progress or Silent()).track(range(0, len(short), _USERS_PER_BATCH), "popularity"):
            users = short[start : start + _USERS_PER_BATCH]
            filled[users] = self._filled(lists[users], histories.select(users))
        return filled

    def _filled(self, lists: npt.NDArray[np.int32], histories: Histories) -> npt.NDArray[np.int32]:
        k = lists.shape[1]
        users, places = np.nonzero(lists >= 0)
        rows = lists[users, places]
        longest = 0
        if not self.include_history:
            users = np.concatenate([users, histories.users()])
            rows = np.concatenate([rows, histories.rows[histories.places()]])
            longest = int(histories.lengths.max())
        head = self.order[: 2 * k + longest]  # whatever is listed or seen, k items of it are left
        place_in_head = np.full(len(self.order), -1)
        place_in_head[head] = np.arange(len(head))
        inside = place_in_head[rows] >= 0
        taken = np.zeros((len(lists), len(head)), dtype=bool)
        taken[users[inside], place_in_head[rows[inside]]] = True
        free = np.argsort(taken, axis=1, kind="stable")[:, :k]
        offered = np.where(np.take_along_axis(taken, free, axis=1), -1, head[free])
        nth = np.arange(k) - np.count_nonzero(lists >= 0, axis=1)[:, None]
        return np.where(nth >= 0, np.take_along_axis(offered, np.maximum(nth, 0), axis=1), lists).astype(np.int32)
