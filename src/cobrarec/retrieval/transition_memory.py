"""TransitionMemory: what followed what in the training histories, and what that says of the items that come next.

count(a, b) = sum over the times b came d <= window places after a of 1 / d; with `reverse` r, plus r times count(b, a).
score(b) = sum over the last n items a of the history of count(a, b) / (places of a from the end).

An item that nobody took has shares in the counts of others (`StandIns`): count(a, b) becomes the sum over c and d of
share(a, c) count(c, d) share(b, d), where a known item has all of its own.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.data.interactions import Histories
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.stand_ins import StandIns
from cobrarec.semantic_ids.collaborative import transition_counts

COUNT_SCALE = 10.0
"""A fused log score gains log(1 + this x the counted score)."""
TABLE_SIZE = 1 << 22
"""Scores that are looked up in one table: 32 MB."""


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
    shares: sparse.csr_array | None = None
    """`[num_items, num_items]`, float64: of items without counts, the shares that they have in those of others; no row for others."""

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
        counts = sparse.csr_array((data, indices, indptr), shape=(num_items, num_items))
        return dataclasses.replace(self, counts=counts, shares=self._shares_without(np.zeros(0, np.int64), num_items))

    def with_stand_ins(self, rows: npt.NDArray[np.int64], stand_ins: StandIns) -> "TransitionMemory":
        """The same counts, of which the items of `rows` now have the shares that `stand_ins` says."""
        num_items, (places, columns) = self.num_items, stand_ins.weights.nonzero()
        given = stand_ins.weights[places, columns].astype(np.float64), (rows[places], stand_ins.neighbors[places, columns])
        shares = sparse.csr_array(given, shape=(num_items, num_items))
        kept = self._shares_without(rows, num_items)
        return dataclasses.replace(self, shares=shares if kept is None else sparse.csr_array(kept + shares))

    def with_unknown_items(self, items: ItemVectors, is_known: npt.NDArray[np.bool_]) -> "TransitionMemory":
        """The same counts, with stand-ins for all items but the known ones."""
        rows = np.flatnonzero(~is_known)
        if not len(rows):
            return self
        return self.with_stand_ins(rows, StandIns.nearest(items.vectors.cpu()[rows], np.ones(len(rows), np.bool_), items, is_known))

    @property
    def num_items(self) -> int:
        """Items of the catalog."""
        return int(self.counts.shape[0])

    @property
    def most_scored(self) -> int:
        """An upper bound of how many items one history can score."""
        followers = np.sort(np.diff(self.counts.indptr))[::-1]
        assert self.shares is None, "rankers that count have no items with shares"
        return min(self.num_items, int(followers[: self.last].sum()))

    def scores(self, histories: Histories) -> sparse.csr_array:
        """`[num_users, num_items]`, float64, all stored values above zero; items of the history are scored like any other."""
        scores = self._scores_of_known(histories)
        return scores if self.shares is None else sparse.csr_array(scores + scores @ self.shares.T)

    def log_scores_at(self, histories: Histories, users: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """log(1 + 10 x score) of each pair (user, row): what a fused log score gains with weight 1; 0 where nothing was counted.

        `users` ascend. The scores of as many users as fit into a table are looked up there.
        """
        num_items, found = self.num_items, np.zeros(len(rows))
        owners, recent, from_end = recent_items(histories, self.last)
        weights = 1 / from_end
        if self.shares is not None:  # an item of the history passes its weight on to those that it has shares in
            places, entries = _entries(self.shares, recent)
            owners, recent = np.append(owners, owners[places]), np.append(recent, self.shares.indices[entries])
            weights = np.append(weights, weights[places] * self.shares.data[entries])
            order = np.argsort(owners, kind="stable")
            owners, recent, weights = owners[order], recent[order], weights[order]
        step = max(1, TABLE_SIZE // num_items)
        table = np.zeros(min(step, histories.num_users) * num_items)
        for first in range(0, histories.num_users, step):
            inside, asked = (slice(*np.searchsorted(of, [first, first + step])) for of in (owners, users))
            places, entries = _entries(self.counts, recent[inside])
            written = (owners[inside][places] - first) * num_items + self.counts.indices[entries]
            np.add.at(table, written, weights[inside][places] * self.counts.data[entries])
            found[asked] = self._looked_up(table, (users[asked] - first) * num_items, rows[asked])
            table[written] = 0
        return np.log1p(COUNT_SCALE * found)

    def _looked_up(
        self, table: npt.NDArray[np.float64], starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Scores of `rows` for the users whose scores of all items begin at `starts` of the table, those of stand-ins included."""
        found = table[starts + rows]
        if self.shares is None:
            return found
        pairs, entries = _entries(self.shares, rows)
        return found + np.bincount(pairs, self.shares.data[entries] * table[starts[pairs] + self.shares.indices[entries]], len(rows))

    def best_predecessors(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each of the rows `listed` the item of the history (oldest first) that adds most to its score, the latest of equals.

        -1 where none adds anything.
        """
        recent = history[::-1][: self.last]
        if not len(recent) or not len(listed):
            return np.full(len(listed), -1, dtype=np.int64)
        assert self.shares is None, "rankers that count have no items with shares"
        parts = self.counts[recent][:, listed].toarray() / np.arange(1, len(recent) + 1)[:, None]
        return np.where(parts.max(axis=0) > 0, recent[parts.argmax(axis=0)], -1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that there is, as arrays to save."""
        parts = {"data": self.counts.data, "indices": self.counts.indices, "indptr": self.counts.indptr}
        if self.shares is not None:
            parts |= {"share_data": self.shares.data, "share_indices": self.shares.indices, "share_indptr": self.shares.indptr}
        return {**parts, "settings": np.array([self.window, self.last, self.reverse], dtype=np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "TransitionMemory":
        """What `arrays` gave; raises KeyError or ValueError where they are not of that form."""
        counts = _square(arrays, "")
        shares = _square(arrays, "share_") if "share_data" in arrays else None
        if shares is not None and shares.shape != counts.shape:
            raise ValueError(f"shares of {shares.shape[0]} items, counts of {counts.shape[0]}")
        window, last, reverse = arrays["settings"].tolist()
        return cls(counts, int(window), int(last), reverse, shares)

    def _scores_of_known(self, histories: Histories) -> sparse.csr_array:
        """`scores` of the items with counts of their own."""
        weights = self._weights(histories)
        if self.shares is not None:
            weights = weights + weights @ self.shares
        return sparse.csr_array(weights @ self.counts)

    def _shares_without(self, rows: npt.NDArray[np.int64], num_items: int) -> sparse.csr_array | None:
        """The shares but those of the items of `rows`, in a catalog of `num_items`."""
        if self.shares is None:
            return None
        counts, data, indices = np.diff(self.shares.indptr), self.shares.data, self.shares.indices
        counts = np.pad(counts, (0, num_items - len(counts)))
        if counts[rows].any():
            is_kept = np.ones(num_items, np.bool_)
            is_kept[rows] = False
            entries = np.repeat(is_kept, counts)
            counts, data, indices = np.where(is_kept, counts, 0), data[entries], indices[entries]
        return sparse.csr_array((data, indices, np.concatenate([[0], np.cumsum(counts)])), shape=(num_items, num_items))

    def _weights(self, histories: Histories) -> sparse.csr_array:
        """`[num_users, num_items]`: 1 / places from the end, of each user's last items."""
        users, rows, from_end = recent_items(histories, self.last)
        return sparse.csr_array((1.0 / from_end, (users, rows)), shape=(histories.num_users, self.num_items))


def _square(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> sparse.csr_array:
    """The square matrix of the arrays whose names begin with `name`; raises KeyError or ValueError where they are none."""
    data, indices, indptr = (arrays[f"{name}{part}"] for part in ("data", "indices", "indptr"))
    matrix = sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(indptr) - 1))
    matrix.check_format(full_check=True)
    return matrix


def _entries(matrix: sparse.csr_array, rows: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All entries that `matrix` stores in `rows`, row after row: the place in `rows` of each, and its place among the matrix' entries."""
    begins = matrix.indptr[rows]
    counts = matrix.indptr[rows + 1] - begins
    places = np.repeat(np.arange(len(rows)), counts)
    return places, begins[places] + np.arange(len(places)) - (np.cumsum(counts) - counts)[places]


def recent_items(histories: Histories, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """User, row and place from the end (1 for the latest) of each of the users' `last` items, user after user, oldest first."""
    recent = histories.last(last)
    users = recent.users()
    return users, recent.rows[recent.places()], np.searchsorted(users, users, side="right") - np.arange(len(users))
