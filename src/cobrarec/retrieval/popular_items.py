"""PopularItems: the most frequent training items, for whom nothing else is known and for what other lists leave open."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories
from cobrarec.retrieval.list_engine import Mask, Request
from cobrarec.retrieval.ordering import LOG_SCORE_STEP, rounded
from cobrarec.retrieval.recommendations import FILL, POPULAR, RankedLists

_USERS_PER_BATCH = 1024


@dataclass(frozen=True, eq=False)
class PopularItems:
    """Items in the order of their training counts, ties by the catalog's seeded order."""

    order: npt.NDArray[np.int64]
    """All listed rows, most frequent first."""
    log_shares: npt.NDArray[np.float64]
    """`[num_items]`: log of the item's share of the interactions, each item counted once more; multiples of 1e-5."""

    @classmethod
    def of(
        cls, counts: npt.NDArray[np.int64], tie_ranks: npt.NDArray[np.integer], is_listed: npt.NDArray[np.bool_] | None = None
    ) -> "PopularItems":
        """Order by `counts` `[num_items]`, largest first; among equals by `tie_ranks` `[num_items]`, smallest first.

        `is_listed` `[num_items]` is False for items that no list may hold; None: all may be listed.
        """
        shares = np.log((counts + 1) / (counts.sum() + len(counts)))
        order = np.lexsort((tie_ranks, -counts)).astype(np.int64)
        return cls(order if is_listed is None else order[is_listed[order]], rounded(shares))

    def lists(self, histories: Histories, request: Request[Mask], include_history: bool = False) -> RankedLists:
        """The k most popular items that each history lacks (or all, with `include_history`); the log score is the log share."""
        ranked = request.empty_lists(histories.num_users)
        self._append(ranked, histories, request, include_history, "popularity")
        return ranked

    def fill(self, ranked: RankedLists, histories: Histories, request: Request[Mask], include_history: bool = False) -> None:
        """Lengthen short lists to k; the log scores of what is added are the list's lowest plus the item's log share."""
        self._append(ranked, histories, request, include_history, "fill")

    def _append(self, ranked: RankedLists, histories: Histories, request: Request[Mask], include_history: bool, term: str) -> None:
        order = self.order if request.allowed is None else self.order[request.allowed[self.order]]
        lengths = ranked.lengths
        short = np.flatnonzero(lengths < request.k)
        for users in (short[start : start + _USERS_PER_BATCH] for start in range(0, len(short), _USERS_PER_BATCH)):
            rows = _filled(ranked.rows[users], histories.select(users), order, include_history)
            added = (rows >= 0) & (ranked.rows[users] < 0)
            scores = self.log_shares[rows]
            if term == "fill":
                last = np.maximum(lengths[users] - 1, 0)[:, None]
                lowest = np.where(lengths[users, None] > 0, np.take_along_axis(ranked.log_scores[users], last, axis=1), 0.0)
                scores = rounded(scores + lowest - LOG_SCORE_STEP)
            ranked.rows[users] = rows
            ranked.log_scores[users] = np.where(added, scores, ranked.log_scores[users])
            ranked.sources[users] = np.where(added, FILL if term == "fill" else POPULAR, ranked.sources[users])
            if ranked.explanations is not None:
                terms = ranked.explanations.terms[term]
                terms[users] = np.where(added, scores, terms[users])


def _filled(
    lists: npt.NDArray[np.int32], histories: Histories, order: npt.NDArray[np.int64], include_history: bool
) -> npt.NDArray[np.int32]:
    """The lists with their empty places, which stand at the ends, filled from `order` with what is not yet listed."""
    k = lists.shape[1]
    users, places = np.nonzero(lists >= 0)
    rows = lists[users, places]
    longest = 0
    if not include_history:
        users = np.concatenate([users, histories.users()])
        rows = np.concatenate([rows, histories.rows[histories.places()]])
        longest = int(histories.lengths.max())
    head = order[: 2 * k + longest]  # whatever is listed or seen, k items of it are left
    place_in_head = np.full(max(rows.max(initial=-1), head.max(initial=-1)) + 1, -1)
    place_in_head[head] = np.arange(len(head))
    inside = place_in_head[rows] >= 0
    taken = np.zeros((len(lists), len(head)), dtype=bool)
    taken[users[inside], place_in_head[rows[inside]]] = True
    free = np.argsort(taken, axis=1, kind="stable")[:, :k]
    offered = np.full(lists.shape, -1)
    offered[:, : free.shape[1]] = np.where(np.take_along_axis(taken, free, axis=1), -1, head[free])
    nth = np.arange(k) - np.count_nonzero(lists >= 0, axis=1)[:, None]
    return np.where(nth >= 0, np.take_along_axis(offered, np.maximum(nth, 0), axis=1), lists).astype(np.int32)
