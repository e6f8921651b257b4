"""TransitionMemory: what followed what in the training histories, and what that says of the items that come next.

count(a, b) = sum over the times b came d <= window places after a of 1 / d; with `reverse` r, plus r times count(b, a).
score(b) = sum over the last n items a of the history of count(a, b) / (places of a from the end).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.data.interactions import Histories
from cobrarec.semantic_ids.collaborative import transition_counts

COUNT_SCALE = 10.0
"""A fused log score gains log(1 + this x the counted score)."""


@dataclass(frozen=True, eq=False)
class TransitionMemory:
    """Weighted item-to-item counts."""

    counts: sparse.csr_array
    """`[num_items, num_items]`, float64: count(a, b)."""
    window: int
    """Largest distance counted."""
    last: int
    """History items that score."""
    reverse: float = 0.0
    """Weight with which the way back was counted too."""

    @classmethod
    def fit(cls, train: Histories, num_items: int, window: int = 10, last: int = 5, reverse: float = 0.0) -> "TransitionMemory":
        """Count the transitions of `train`, the only thing that is counted, in a catalog of `num_items`."""
        counts = sparse.csr_array((num_items, num_items))
        for distance in range(1, window + 1):
            counts = counts + transition_counts(train, num_items, distance) / distance
        if reverse:
            counts = counts + reverse * counts.T
        return cls(sparse.csr_array(counts), window, last, reverse)

    def with_last(self, last: int) -> "TransitionMemory":
        """The same counts, scored by another number of last items."""
        return dataclasses.replace(self, last=last)

    def with_num_items(self, num_items: int) -> "TransitionMemory":
        """The same counts in a catalog that has grown to `num_items`; nothing is counted of the new items."""
        data, indices, indptr = self.counts.data, self.counts.indices, self.counts.indptr
        indptr = np.pad(indptr, (0, num_items - self.num_items), mode="edge")
        return dataclasses.replace(self, counts=sparse.csr_array((data, indices, indptr), shape=(num_items, num_items)))

    @property
    def num_items(self) -> int:
        """Items of the catalog."""
        return int(self.counts.shape[0])

    @property
    def most_scored(self) -> int:
        """An upper bound of how many items one history can score."""
        followers = np.sort(np.diff(self.counts.indptr))[::-1]
        return min(self.num_items, int(followers[: self.last].sum()))

    def scores(self, histories: Histories) -> sparse.csr_array:
        """`[num_users, num_items]`, float64, all stored values above zero; items of the history are scored like any other."""
        return sparse.csr_array(self._weights(histories) @ self.counts)

    def log_scores_at(self, histories: Histories, users: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """log(1 + 10 x score) of each pair (user, row): what a fused log score gains with weight 1; 0 where nothing was counted."""
        scores = self.scores(histories)
        scores.sort_indices()
        known = np.repeat(np.arange(histories.num_users), np.diff(scores.indptr)) * self.num_items + scores.indices
        if not len(known):
            return np.zeros(len(rows))
        wanted = users * self.num_items + rows
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, np.log1p(COUNT_SCALE * scores.data[place]), 0.0)

    def best_predecessors(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each of the rows `listed` the item of the history (oldest first) that adds most to its score, the latest of equals.

        -1 where none adds anything.
        """
        recent = history[::-1][: self.last]
        if not len(recent) or not len(listed):
            return np.full(len(listed), -1, dtype=np.int64)
        parts = self.counts[recent][:, listed].toarray() / np.arange(1, len(recent) + 1)[:, None]
        return np.where(parts.max(axis=0) > 0, recent[parts.argmax(axis=0)], -1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that there is, as arrays to save."""
        parts = {"data": self.counts.data, "indices": self.counts.indices, "indptr": self.counts.indptr}
        return {**parts, "settings": np.array([self.window, self.last, self.reverse], dtype=np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "TransitionMemory":
        """What `arrays` gave; raises KeyError or ValueError where they are not of that form."""
        num_items = len(arrays["indptr"]) - 1
        counts = sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(num_items, num_items))
        counts.check_format(full_check=True)
        window, last, reverse = arrays["settings"].tolist()
        return cls(counts, int(window), int(last), reverse)

    def _weights(self, histories: Histories) -> sparse.csr_array:
        """`[num_users, num_items]`: 1 / places from the end, of each user's last items."""
        users, rows, from_end = recent_items(histories, self.last)
        return sparse.csr_array((1.0 / from_end, (users, rows)), shape=(histories.num_users, self.num_items))


def recent_items(histories: Histories, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """User, row and place from the end (1 for the latest) of each of the users' `last` items, user after user, oldest first."""
    recent = histories.last(last)
    users = recent.users()
    return users, recent.rows[recent.places()], np.searchsorted(users, users, side="right") - np.arange(len(users))
