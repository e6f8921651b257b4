"""Transition counts: what followed the history's last items in the training prefixes. No training, and hard to beat.

count(a, b) = sum over the times b came d <= window places after a of 1 / d.
score(b) = sum over the last n items a of the history of count(a, b) / (places of a from the end).
"""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.baselines.popularity import Popularity, Ranking
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.progress import Progress, Silent
from cobrarec.semantic_ids.collaborative import transitions

WINDOWS = (1, 3, 5, 10)
LAST = (1, 3, 5, 10)

_CANDIDATES_PER_BATCH = 4_000_000  # scored (user, item) pairs held at once: about 200 MB with their sort
_PAIRS_PER_PART = 20_000_000  # transitions counted at once: about 500 MB
_DECIMALS = 9  # scores equal but for the order of summation are ties


@dataclass(frozen=True)
class TransitionCounts:
    """Weighted item-to-item counts, and popularity for what they leave open."""

    counts: sparse.csr_array
    """`[num_items, num_items]`, float64: count(a, b)."""
    popularity: Popularity
    """Fills short lists and gives the items for users without a history."""
    tie_breakers: npt.NDArray[np.uint64]
    """`[num_items]`, smaller first among equal scores."""
    window: int
    """Largest distance counted."""
    last: int = 5
    """History items that score."""
    include_history: bool = False
    """Leave the history's items in the lists."""

    @classmethod
    def fit(
        cls, train: Histories, num_items: int, tie_breakers: npt.NDArray[np.uint64], window: int = 10, last: int = 5
    ) -> "TransitionCounts":
        """Count the transitions of `train`.

        Args:
            train: training histories, the only thing that is counted.
            num_items: items of the catalog.
            tie_breakers: `[num_items]`, smaller first among equal scores (`Catalog.tie_breakers`).
            window: largest distance counted.
            last: history items that score.
        """
        counts = sparse.csr_array((num_items, num_items))
        for distance in range(1, window + 1):
            counts = counts + _pairs_at(train, num_items, distance) / distance
        return cls(sparse.csr_array(counts), Popularity.fit(train, num_items, tie_breakers), tie_breakers, window, last)

    def with_settings(self, *, include_history: bool | None = None, last: int | None = None) -> "TransitionCounts":
        """A copy that keeps or masks the history's items, or scores by another number of last items."""
        return dataclasses.replace(
            self,
            include_history=self.include_history if include_history is None else include_history,
            last=self.last if last is None else last,
        )

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> Ranking:
        """The k items of highest score, then popular ones, for every history."""
        num_items = self.counts.shape[0]
        lists = np.full((histories.num_users, min(k, num_items)), -1, dtype=np.int32)
        batches = self._batches(histories.last(self.last))
        fill = self.popularity.with_settings(include_history=self.include_history)
        for start, stop in (progress or Silent()).track(batches, "transition counts", len(batches)):
            users = np.arange(start, stop)
            batch = histories.select(users)
            lists[users] = fill.fill(self._best(batch, lists.shape[1]), batch)
        return Ranking(lists)

    def _batches(self, recent: Histories) -> list[tuple[int, int]]:
        """Runs of users that score at most `_CANDIDATES_PER_BATCH` items together."""
        users, rows = recent.users(), recent.rows[recent.places()]
        candidates = np.bincount(users, weights=np.diff(self.counts.indptr)[rows], minlength=recent.num_users) + 1
        part = np.cumsum(candidates) // _CANDIDATES_PER_BATCH
        part += np.arange(recent.num_users) // 4096  # bounds the fill's masks too
        edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), recent.num_users]
        return [(start, stop) for start, stop in itertools.pairwise(edges) if stop > start]

    def _best(self, histories: Histories, k: int) -> npt.NDArray[np.int32]:
        """Rows `[num_users, k]` by descending score, -1 behind them."""
        num_users, num_items = histories.num_users, self.counts.shape[0]
        recent = histories.last(self.last)
        users, rows = recent.users(), recent.rows[recent.places()]
        from_end = np.searchsorted(users, users, side="right") - np.arange(len(users))
        weights = sparse.csr_array((1.0 / from_end, (users, rows)), shape=(num_users, num_items))
        scores = sparse.csr_array(weights @ self.counts)
        scores.data = np.round(scores.data, _DECIMALS)
        spare = 0 if self.include_history else histories.lengths
        keep = _highest(scores, k + spare + np.zeros(num_users, dtype=np.int64))
        who, what, value = np.repeat(np.arange(num_users), np.diff(scores.indptr))[keep], scores.indices[keep], scores.data[keep]
        if not self.include_history:
            seen = np.unique(histories.users() * num_items + histories.rows[histories.places()])
            unseen = ~np.isin(who * num_items + what, seen)
            who, what, value = who[unseen], what[unseen], value[unseen]
        order = np.lexsort((self.tie_breakers[what], -value, who))
        who, what = who[order], what[order]
        rank = np.arange(len(who)) - np.searchsorted(who, who, side="left")
        lists = np.full((num_users, k), -1, dtype=np.int32)
        lists[who[rank < k], rank[rank < k]] = what[rank < k]
        return lists


def choose_transitions(
    train: Histories,
    valid: HeldOut,
    num_items: int,
    tie_breakers: npt.NDArray[np.uint64],
    windows: Sequence[int] = WINDOWS,
    lasts: Sequence[int] = LAST,
    progress: Progress | None = None,
) -> TransitionCounts:
    """The window and the number of last items with the best NDCG@10 (history masked) on `valid`; the first of equals.

    Args:
        train: training histories, the only thing that is counted.
        valid: validation users; `sample_users` bounds the time on large sets.
        num_items: items of the catalog.
        tie_breakers: `[num_items]`, smaller first among equal scores.
        windows: largest distances tried.
        lasts: numbers of history items tried.
        progress: one step per setting.
    """
    best: tuple[float, TransitionCounts] | None = None
    fitted: TransitionCounts | None = None
    grid = list(itertools.product(windows, lasts))
    for window, last in (progress or Silent()).track(grid, "transition counts: settings"):
        if fitted is None or fitted.window != window:
            fitted = TransitionCounts.fit(train, num_items, tie_breakers, window)
        candidate = fitted.with_settings(last=last)
        ndcg = evaluate(candidate, valid, [10], num_items)["ndcg@10"]
        if best is None or ndcg > best[0]:
            best = (ndcg, candidate)
    if best is None:
        raise ValueError(f"No settings to choose from: windows {list(windows)}, last {list(lasts)}.")
    return best[1]


def _highest(scores: sparse.csr_array, num_wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mask over `scores.data`: positive, and among the `num_wanted[u]` highest of row u or as high as the last of them."""
    keep = scores.data > 0
    edges = scores.indptr
    for user in np.flatnonzero(np.diff(edges) > num_wanted):
        values = scores.data[edges[user] : edges[user + 1]]
        place = len(values) - num_wanted[user]
        keep[edges[user] : edges[user + 1]] &= values >= np.partition(values, place)[place]
    return keep


def _pairs_at(train: Histories, num_items: int, distance: int) -> sparse.csr_array:
    """How often each item stood `distance` places after each other one, `[num_items, num_items]`."""
    total = sparse.csr_array((num_items, num_items))
    ends = np.cumsum(train.lengths)
    cuts = np.searchsorted(ends, np.arange(_PAIRS_PER_PART, train.num_interactions, _PAIRS_PER_PART))
    edges = np.unique(np.concatenate([[0], cuts, [train.num_users]]))
    for start, stop in itertools.pairwise(edges):
        pairs = transitions(train.select(np.arange(start, stop)), distance)
        total = total + sparse.csr_array((np.ones(len(pairs[0])), pairs), shape=(num_items, num_items))
    return total
