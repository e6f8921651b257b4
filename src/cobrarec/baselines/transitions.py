"""Transition counts: what followed the history's last items in the training prefixes. No training, and hard to beat.

The score is the item's share of the summed scores of `TransitionMemory`, over the catalog less the history; popular items follow.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.baselines.choice import best_ranker
from cobrarec.baselines.untrained import UntrainedRanker
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import Masking
from cobrarec.progress import Progress
from cobrarec.retrieval.list_engine import Mask, Request
from cobrarec.retrieval.ordering import tie_ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommendations import RankedLists
from cobrarec.retrieval.scored_lists import scored_lists
from cobrarec.retrieval.transition_memory import TransitionMemory

WINDOWS = (1, 3, 5, 10)
LAST = (1, 3, 5, 10)

_SCORES_PER_CHUNK = 4_000_000  # scored (user, item) pairs held at once: about 200 MB with their order
_MAX_USERS_PER_CHUNK = 1024


@dataclass(frozen=True, eq=False, repr=False)
class TransitionCounts(UntrainedRanker):
    """Weighted item-to-item counts, and popularity for what they leave open."""

    memory: TransitionMemory
    popular: PopularItems
    tie_ranks: npt.NDArray[np.int64]
    """`[num_items]`, smaller first among equal scores."""
    config: RetrievalConfig = RetrievalConfig()

    score_formula = "share of the transition counts from the history's last items"

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
        tie_ranks = tie_ranks_of(tie_breakers)
        popular = PopularItems.of(train.item_counts(num_items), tie_ranks)
        return cls(TransitionMemory.fit(train, num_items, window, last), popular, tie_ranks)

    def __repr__(self) -> str:
        return f"transition counts, window {self.memory.window}, last {self.memory.last}"

    def with_last(self, last: int) -> "TransitionCounts":
        """The same counts, scored by another number of last items."""
        return dataclasses.replace(self, memory=self.memory.with_last(last))

    def users_per_chunk(self) -> int:
        """How many users to ask for at once, for about `_SCORES_PER_CHUNK` scored items."""
        return max(1, min(_MAX_USERS_PER_CHUNK, _SCORES_PER_CHUNK // max(1, self.memory.most_scored)))

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, once per pair of weights."""
        scores = self.memory.scores(histories)
        if not self.config.include_history:
            scores = without_history(scores, histories)
        totals = np.repeat(scores.sum(axis=1), np.diff(scores.indptr))
        scores.data = np.log(scores.data / totals)
        ranked = scored_lists(scores, request, self.tie_ranks, "counts")
        if self.config.fill:
            self.popular.fill(ranked, histories, request, self.config.include_history)
        return [ranked] * len(request.weights)

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each listed row the item of the history that adds most to its score; -1 where none does."""
        return self.memory.best_predecessors(history, listed)


def without_history(scores: sparse.csr_array, histories: Histories) -> sparse.csr_array:
    """The scores without those of the items that the users had."""
    users, rows = histories.users(), histories.rows[histories.places()]
    seen = sparse.csr_array((np.ones(len(rows)), (users, rows)), shape=scores.shape)
    seen.data[:] = 1.0  # once, however often the user had it
    left = sparse.csr_array(scores - scores.multiply(seen))
    left.eliminate_zeros()
    return left


def choose_transitions(
    train: Histories,
    valid: HeldOut,
    tie_breakers: npt.NDArray[np.uint64],
    windows: Sequence[int] = WINDOWS,
    lasts: Sequence[int] = LAST,
    masking: Masking = "masked",
    progress: Progress | None = None,
) -> TransitionCounts:
    """The window and the number of last items with the best NDCG@10 on `valid`; the first of equals.

    Args:
        train: training histories, the only thing that is counted.
        valid: validation users; `sample_users` bounds the time on large sets.
        tie_breakers: `[num_items]`, smaller first among equal scores.
        windows: largest distances tried.
        lasts: numbers of history items tried.
        masking: whether lists may hold the history's items.
        progress: one step per setting.
    """
    num_items = len(tie_breakers)

    def candidates() -> Iterator[TransitionCounts]:
        fitted: TransitionCounts | None = None
        for window, last in itertools.product(windows, lasts):
            if fitted is None or fitted.memory.window != window:
                fitted = TransitionCounts.fit(train, num_items, tie_breakers, window)
            yield fitted.with_last(last)

    return best_ranker(candidates(), len(windows) * len(lasts), valid, num_items, "transition counts: settings", masking, progress)
