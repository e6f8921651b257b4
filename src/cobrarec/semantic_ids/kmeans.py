"""k-means over weighted points, with an optional cap on how much weight a cluster holds.

Written here rather than taken from scikit-learn: the cap, the prices that carry it over to new points, empty clusters re-seeded and the
same result for the same seed are what the IDs stand on. One iteration is one matrix product either way.

The cap: least-cost assignment with capacities has a dual in which every cluster has a price >= 0 and every point takes the cluster of least
`squared distance + price` (a power diagram). Prices are raised where a cluster is too full and lowered where it is not; what still exceeds
the cap moves in rounds, those who lose least first. New points follow the prices alone, so they spread like the old ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

BLOCK = 1 << 23  # squared distances held at once
PLUS_PLUS_LIMIT = 512  # more clusters start from a plain sample: k-means++ takes one pass over the points per cluster
NUM_NEAREST = 16  # clusters considered per point under a cap
PRICE_STEPS = 40
FIRST_STEP = 0.1  # of the mean distance between a point's nearest and second nearest cluster
CAPPED_ITERATIONS = 6
TOLERANCE = 1e-4  # iterations stop when the cost falls by a smaller share, or fewer points move


@dataclass(frozen=True, eq=False)
class Clusters:
    """Attributes: `centroids` `[num_clusters, dim]`, `prices` `[num_clusters]` (0 without a cap), `labels` `[num_points]`."""

    centroids: Floats
    prices: Floats
    labels: Labels


def kmeans(x: Floats, weights: Floats, num_clusters: int, num_iterations: int, seed: int, cap: float | None = None) -> Clusters:
    """Cluster the points `x` `[n, dim]`, each counting `weights` `[n]` times.

    Args:
        x: distinct points.
        weights: how many items each point stands for.
        num_clusters: clusters; those beyond the number of points stay empty.
        num_iterations: limit of iterations without the cap (those under the cap: 6 at most).
        seed: decides the start.
        cap: most weight of a cluster; a single point heavier than that has a cluster of its own.
    """
    rng = np.random.default_rng(seed)
    centroids = _start(x, weights, num_clusters, rng)
    free = np.zeros(num_clusters, np.float32)
    labels, costs = nearest(x, centroids, free)
    before = np.inf
    for _ in range(num_iterations):
        centroids = _means(x, weights, labels, centroids, costs)
        previous, (labels, costs) = labels, nearest(x, centroids, free)
        if np.array_equal(previous, labels) or before - (before := float(costs @ weights)) <= TOLERANCE * before:
            break
    if cap is None or np.bincount(labels, weights, num_clusters).max() <= cap:
        return Clusters(centroids, free, labels)
    return _capped_kmeans(x, weights, Clusters(centroids, free, labels), cap)


def nearest(x: Floats, centroids: Floats, prices: Floats) -> tuple[Labels, Floats]:
    """Cluster of least `squared distance + price` for each point, and that sum; of equals the lowest cluster."""
    labels, costs = np.zeros(len(x), np.int32), np.zeros(len(x), np.float32)
    size = max(1, BLOCK // len(centroids))
    for start in range(0, len(x), size):
        block = _costs(x[start : start + size], centroids, prices)
        labels[start : start + size] = block.argmin(axis=1)
        costs[start : start + size] = block.min(axis=1)
    return labels, costs


def _costs(x: Floats, centroids: Floats, prices: Floats) -> Floats:
    squares: Floats = (x * x).sum(axis=1)[:, None] + (centroids * centroids).sum(axis=1)[None, :]
    squares -= 2 * (x @ centroids.T)
    return np.asarray(np.maximum(squares, 0) + prices, np.float32)


def _start(x: Floats, weights: Floats, num_clusters: int, rng: np.random.Generator) -> Floats:
    """k-means++ (Arthur and Vassilvitskii 2007); a sample of distinct points where there are many clusters."""
    if num_clusters > PLUS_PLUS_LIMIT:
        chosen = rng.choice(len(x), num_clusters, replace=num_clusters > len(x), p=weights / weights.sum(dtype=np.float64))
        return x[chosen].copy()
    squares = (x * x).sum(axis=1)
    centroids = np.empty((num_clusters, x.shape[1]), np.float32)
    distance = np.ones(len(x), np.float64)
    for cluster in range(num_clusters):
        mass = np.cumsum(distance * weights)
        place = int(np.searchsorted(mass, rng.random() * mass[-1], side="right")) if mass[-1] > 0 else int(rng.integers(len(x)))
        centroids[cluster] = x[min(place, len(x) - 1)]
        to_new = np.maximum(squares - 2 * (x @ centroids[cluster]) + squares[min(place, len(x) - 1)], 0)
        to_new[min(place, len(x) - 1)] = 0
        distance = np.minimum(distance, to_new) if cluster else to_new.astype(np.float64)
    return centroids


def _means(x: Floats, weights: Floats, labels: Labels, centroids: Floats, costs: Floats | None) -> Floats:
    """Weighted means; an empty cluster restarts at one of the points that cost most (`costs` None: it stays where it is)."""
    from scipy import sparse

    num_clusters = len(centroids)
    member = sparse.csr_matrix((weights, (labels, np.arange(len(x)))), shape=(num_clusters, len(x)))
    mass = np.bincount(labels, weights, num_clusters)
    sums: Floats = np.asarray(member @ x, np.float32)
    means = (sums / np.maximum(mass, 1e-12)[:, None]).astype(np.float32)
    empty = np.flatnonzero(mass == 0)
    means[empty] = centroids[empty]
    if costs is not None and len(empty):
        worst = np.argsort(-costs * weights, kind="stable")[: len(empty)]
        worst = worst[costs[worst] > 1e-9]
        means[empty[: len(worst)]] = x[worst]
    return means


def _capped_kmeans(x: Floats, weights: Floats, clusters: Clusters, cap: float) -> Clusters:
    centroids, prices, labels = clusters.centroids, clusters.prices, clusters.labels
    for _ in range(CAPPED_ITERATIONS):
        near, costs = _nearest_few(x, centroids, min(NUM_NEAREST, len(centroids)))
        prices = _balance_prices(near, costs, weights, prices, cap)
        previous, labels = labels, _assign_in_rounds(x, weights, near, costs + prices[near], Clusters(centroids, prices, labels), cap)
        if (previous != labels).mean() <= TOLERANCE:
            break
        centroids = _means(x, weights, labels, centroids, None)
    return Clusters(centroids, prices, labels)


def _nearest_few(x: Floats, centroids: Floats, num_near: int) -> tuple[Labels, Floats]:
    """The `num_near` nearest clusters of each point in any order, and their squared distances; both `[n, num_near]`."""
    near, costs = np.empty((len(x), num_near), np.int32), np.empty((len(x), num_near), np.float32)
    size = max(1, BLOCK // len(centroids))
    for start in range(0, len(x), size):
        block = _costs(x[start : start + size], centroids, np.zeros(len(centroids), np.float32))
        near[start : start + size] = np.argpartition(block, num_near - 1, axis=1)[:, :num_near]
        costs[start : start + size] = np.take_along_axis(block, near[start : start + size].astype(np.int64), 1)
    return near, costs


def _balance_prices(near: Labels, costs: Floats, weights: Floats, prices: Floats, cap: float) -> Floats:
    """Ascend the dual; returns the prices under which the least weight was above the cap.

    Each price has a step of its own that grows while its cluster stays on one side of the cap and shrinks when it crosses it
    (Riedmiller and Braun's Rprop, 1993): plain subgradient steps were still far off after 60 steps on 60,000 points.
    """
    rows = np.arange(len(near))
    spread = float((np.partition(costs, min(1, costs.shape[1] - 1), axis=1)[:, :2].max(axis=1) - costs.min(axis=1)).mean())
    steps, signs = np.full(len(prices), FIRST_STEP * spread), np.zeros(len(prices))
    best, best_excess = prices, np.inf
    for _ in range(PRICE_STEPS):
        labels = near[rows, (costs + prices[near]).argmin(axis=1)]
        mass = np.bincount(labels, weights, len(prices))
        if (excess := float(np.maximum(mass - cap, 0).sum())) < best_excess:
            best, best_excess = prices, excess
        if excess == 0:
            break
        now = np.where(mass > cap, 1.0, np.where((mass < 0.95 * cap) & (prices > 0), -1.0, 0.0))
        steps *= np.where(now * signs > 0, 1.5, np.where(now * signs < 0, 0.4, 1.0))
        signs = np.where(now != 0, now, signs)
        prices = np.maximum(prices + now * steps, 0).astype(np.float32)
    return best


def _assign_in_rounds(x: Floats, weights: Floats, near: Labels, costs: Floats, clusters: Clusters, cap: float) -> Labels:
    """Labels under the cap: rounds among the nearest clusters, then among all, then the nearest where no room is left at all."""
    room = np.full(len(clusters.centroids), cap, np.float64)
    labels = np.full(len(x), -1, np.int32)
    heavy = weights > cap  # they choose first: each takes a whole cluster
    for group in (np.flatnonzero(heavy), np.flatnonzero(~heavy)):
        labels[group] = _rounds(near[group], costs[group], weights[group], room, cap)
        left = group[labels[group] < 0]
        if len(left):
            everywhere = _costs(x[left], clusters.centroids, clusters.prices)
            every_cluster = np.broadcast_to(np.arange(len(room), dtype=np.int32), everywhere.shape)
            late = _rounds(every_cluster, everywhere, weights[left], room, cap)
            labels[left] = np.where(late < 0, everywhere.argmin(axis=1), late)
    return labels


def _rounds(near: Labels, costs: Floats, weights: Floats, room: npt.NDArray[np.float64], cap: float) -> Labels:
    """In every round each waiting point asks for its cheapest cluster with room, and a cluster takes those who would lose most elsewhere.

    Lowers `room` by what was taken in; points for which no cluster has room keep the label -1.
    """
    labels = np.full(len(near), -1, np.int32)
    waiting = np.arange(len(near))
    while len(waiting):
        # a cluster that is still empty takes any point, however heavy
        offers = np.where((room[near] >= weights[waiting, None]) | (room[near] == cap), costs, np.inf)
        best = offers.argmin(axis=1)
        rows = np.arange(len(waiting))
        lowest = offers[rows, best]
        asking = np.isfinite(lowest)
        waiting, near, costs, best, lowest, offers = (array[asking] for array in (waiting, near, costs, best, lowest, offers))
        if not len(waiting):
            break
        rows = np.arange(len(waiting))
        offers[rows, best] = np.inf
        asked = near[rows, best]
        taken = _take_in(asked, offers.min(axis=1) - lowest, weights[waiting], room)
        labels[waiting[taken]] = asked[taken]
        room -= np.bincount(asked[taken], weights[waiting[taken]], len(room))
        waiting, near, costs = waiting[~taken], near[~taken], costs[~taken]
    return labels


def _take_in(asked: Labels, regret: Floats, weights: Floats, room: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which points their cluster takes: in order of regret while there is room, the first one always."""
    order = np.lexsort((-regret, asked))
    cluster, weight = asked[order], weights[order].astype(np.float64)
    first = np.r_[True, cluster[1:] != cluster[:-1]]
    mass = np.cumsum(weight)
    within = mass - np.maximum.accumulate(np.where(first, mass - weight, 0))
    taken = np.zeros(len(asked), np.bool_)
    taken[order] = first | (within <= room[cluster])
    return taken
