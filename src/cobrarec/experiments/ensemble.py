"""Ensemble: a convex mixture of what several models hold probable, weights chosen on validation.

A member's probabilities are the softmax of its log scores over its own list; an item that it does not list has none.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cobrarec.experiments.measures import Rows

MEMBER_LISTED = 200
"""Length of the members' lists."""
STEPS = 10
"""Weights are multiples of one over this."""
_DECIMALS = 15
"""Mixtures equal but for rounding are ties, and what is smaller than that is nothing."""
_USERS_PER_CHUNK = 2048


@runtime_checkable
class ScoredLists(Protocol):
    """What a member gives: `RankedLists`, or anything else with both arrays, `[num_users, width]`."""

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """Rows, best first, -1 where a list ends."""
        ...

    @property
    def log_scores(self) -> npt.NDArray[np.float64]:
        """Log scores, -inf where a list ends."""
        ...


@dataclass(frozen=True, eq=False)
class Pool:
    """The items that any member lists for some users, and what each member holds of them.

    rows: `[num_users, width]`, -1 where there are no more. probabilities: float64 `[num_members, num_users, width]`.
    """

    rows: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float64]

    def mixed(self, weights: Sequence[float]) -> npt.NDArray[np.float64]:
        """The mixture `[num_users, width]`; -1 where there is no item."""
        mixture = np.round(np.tensordot(np.asarray(weights), self.probabilities, axes=1), _DECIMALS)
        return np.where(self.rows >= 0, mixture, -1.0)


def list_probabilities(log_scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Softmax of each list's log scores; 0 where a list ends (-inf), and all 0 for an empty one."""
    highest = log_scores.max(axis=1, keepdims=True, initial=-np.inf)
    odds = np.exp(log_scores - np.where(np.isfinite(highest), highest, 0.0))
    total = odds.sum(axis=1, keepdims=True)
    return odds / np.where(total > 0, total, 1.0)


def pool(members: Sequence[ScoredLists], users: slice = slice(None)) -> Pool:
    """Bring the members' lists of some users together, each item once a user."""
    rows = np.concatenate([member.rows[users] for member in members], axis=1)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    is_first = np.ones(ordered.shape, dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place_of_ordered = np.cumsum(is_first, axis=1) - 1
    places = np.empty_like(place_of_ordered)
    np.put_along_axis(places, order, place_of_ordered, axis=1)
    pooled = np.full(rows.shape, -1, dtype=np.int32)
    np.put_along_axis(pooled, places, rows, axis=1)
    probabilities = np.zeros((len(members), *rows.shape))
    start = 0
    for number, member in enumerate(members):
        own, stop = member.rows[users], start + member.rows.shape[1]
        listed = own >= 0
        who = np.nonzero(listed)[0]
        probabilities[number, who, places[:, start:stop][listed]] = list_probabilities(member.log_scores[users])[listed]
        start = stop
    return Pool(pooled, probabilities)


def mixed_lists(members: Sequence[ScoredLists], weights: Sequence[float], tie_breakers: npt.NDArray[np.uint64], k: int) -> Rows:
    """The k items of largest mixture for every user, ties by `tie_breakers [num_items]`; what no member with a weight lists is left out."""
    num_users = len(members[0].rows)
    lists = np.full((num_users, k), -1, dtype=np.int32)
    for start in range(0, num_users, _USERS_PER_CHUNK):
        users = slice(start, min(start + _USERS_PER_CHUNK, num_users))
        pooled = pool(members, users)
        mixture = pooled.mixed(weights)
        order = np.lexsort((tie_breakers[pooled.rows], -mixture), axis=1)[:, :k]
        best = np.where(np.take_along_axis(mixture, order, axis=1) > 0, np.take_along_axis(pooled.rows, order, axis=1), -1)
        lists[users, : best.shape[1]] = best
    return lists


def simplex(num_members: int, steps: int = STEPS) -> list[tuple[float, ...]]:
    """All weights that are multiples of 1 / steps and sum to 1, in lexicographic order."""
    counts = itertools.product(range(steps + 1), repeat=num_members)
    return [tuple(count / steps for count in one) for one in counts if sum(one) == steps]


def choose_mixture(
    members: Sequence[ScoredLists], targets: npt.NDArray[np.integer], tie_breakers: npt.NDArray[np.uint64], steps: int = STEPS
) -> tuple[float, ...]:
    """The weights of `simplex` with the best NDCG@10 for one target a user, the first of equals.

    Only the target's rank is needed: how many pooled items stand before it.
    """
    grid = simplex(len(members), steps)
    gains = np.zeros(len(grid))
    for start in range(0, len(targets), _USERS_PER_CHUNK):
        users = slice(start, min(start + _USERS_PER_CHUNK, len(targets)))
        pooled, target = pool(members, users), targets[users]
        is_target = pooled.rows == target[:, None]
        found = np.flatnonzero(is_target.any(axis=1))
        kept = Pool(pooled.rows[found], pooled.probabilities[:, found])
        place, earlier = is_target[found].argmax(axis=1)[:, None], tie_breakers[kept.rows] < tie_breakers[target[found]][:, None]
        for number, weights in enumerate(grid):
            mixture = kept.mixed(weights)
            own = np.take_along_axis(mixture, place, axis=1)
            ranks = 1 + np.count_nonzero((mixture > own) | ((mixture == own) & earlier), axis=1)
            gains[number] += (1 / np.log2(ranks + 1))[(ranks <= 10) & (own[:, 0] > 0)].sum()
    return grid[int(np.argmax(np.round(gains, 9)))]
