import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from themed_catalogs import blobs

from cobrarec.semantic_ids.kmeans import kmeans, nearest


def ones(n: int) -> np.ndarray:
    return np.ones(n, np.float32)


def test_separate_blobs_become_separate_clusters() -> None:
    x, which = blobs(200, 5)
    clusters = kmeans(x, ones(200), 5, 50, seed=0)
    assert len({(a, b) for a, b in zip(which, clusters.labels, strict=True)}) == 5


def test_nearest_is_the_argmin_of_squared_distance_plus_price() -> None:
    rng = np.random.default_rng(0)
    x, centroids, prices = rng.normal(size=(50, 4)), rng.normal(size=(7, 4)), rng.random(7)
    labels, costs = nearest(*(array.astype(np.float32) for array in (x, centroids, prices)))
    slow = [[((point - center) ** 2).sum() + price for center, price in zip(centroids, prices, strict=True)] for point in x]
    assert list(labels) == list(np.argmin(slow, axis=1))
    assert costs == pytest.approx(np.min(slow, axis=1), abs=1e-4)


def test_the_same_seed_gives_the_same_clusters() -> None:
    x, _ = blobs(300, 20, seed=1)
    first, second, other = (kmeans(x, ones(300), 12, 50, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.centroids, second.centroids)
    assert not np.array_equal(first.centroids, other.centroids)


def test_centroids_are_the_weighted_means_of_their_points() -> None:
    x, _ = blobs(120, 4, seed=2)
    weights = np.random.default_rng(0).integers(1, 5, 120).astype(np.float32)
    clusters = kmeans(x, weights, 4, 50, seed=0)
    for cluster in range(4):
        mine = clusters.labels == cluster
        assert clusters.centroids[cluster] == pytest.approx(np.average(x[mine], axis=0, weights=weights[mine]), abs=1e-3)


def test_the_iteration_limit_is_kept() -> None:
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    one, many = (kmeans(x, ones(500), 20, limit, seed=0) for limit in (1, 50))
    assert nearest(x, one.centroids, one.prices)[1].sum() > nearest(x, many.centroids, many.prices)[1].sum()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 80), st.integers(2, 12), st.integers(0, 5), st.floats(1.0, 2.0))
def test_no_cluster_exceeds_the_cap(num_points: int, num_clusters: int, seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=(num_points, 3)), rng.normal(size=(num_points, 3)) * 0.01]).astype(np.float32)
    cap = float(np.ceil(factor * len(x) / num_clusters))
    clusters = kmeans(x, ones(len(x)), num_clusters, 20, seed, cap)
    assert np.bincount(clusters.labels).max() <= cap
    assert clusters.labels.min() >= 0


def test_the_capped_clusters_cost_little_more_than_the_best_assignment() -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(160, 4)), rng.normal(size=(40, 4)) + 4]).astype(np.float32)
    clusters = kmeans(x, ones(200), 8, 30, seed=0, cap=30.0)
    distances = ((x[:, None] - clusters.centroids[None]) ** 2).sum(2)
    seats = np.repeat(np.arange(8), 30)
    best = distances[:, seats][linear_sum_assignment(distances[:, seats])].sum()
    assert distances[np.arange(200), clusters.labels].sum() <= 1.05 * best


def test_prices_spread_new_points_like_the_old_ones() -> None:
    rng = np.random.default_rng(0)
    crowd, rest = rng.normal(size=(900, 6)) * 0.3, rng.normal(size=(300, 6)) * 2
    x = np.concatenate([crowd, rest]).astype(np.float32)
    cap = 1.5 * 1200 / 16
    clusters = kmeans(x, ones(1200), 16, 50, seed=0, cap=cap)
    labels, _ = nearest(x, clusters.centroids, clusters.prices)
    assert (labels == clusters.labels).mean() > 0.9
    assert np.bincount(labels).max() <= 1.3 * cap


def test_the_cap_holds_where_the_nearest_clusters_are_all_full() -> None:
    rng = np.random.default_rng(0)
    crowd, rest = rng.normal(size=(2000, 2)) * 1e-3, rng.normal(size=(400, 2)) * 100
    clusters = kmeans(np.concatenate([crowd, rest]).astype(np.float32), ones(2400), 60, 20, seed=0, cap=44.0)
    assert np.bincount(clusters.labels).max() <= 44


def test_without_room_anywhere_the_nearest_cluster_takes_the_rest() -> None:
    x, _ = blobs(6, 6)
    clusters = kmeans(x, np.full(6, 10, np.float32), 2, 10, seed=0, cap=12.0)
    assert np.bincount(clusters.labels, minlength=2).sum() == 6
    assert clusters.labels.min() >= 0


def test_a_point_heavier_than_the_cap_has_a_cluster_to_itself() -> None:
    x, _ = blobs(40, 4, seed=5)
    weights = ones(40)
    weights[7] = 100
    clusters = kmeans(x, weights, 5, 30, seed=0, cap=20.0)
    assert (clusters.labels == clusters.labels[7]).sum() == 1


def test_more_clusters_than_points_leave_some_empty() -> None:
    x, _ = blobs(3, 3)
    clusters = kmeans(x, ones(3), 8, 10, seed=0)
    assert len(set(clusters.labels)) == 3
    assert np.isfinite(clusters.centroids).all()


def test_many_clusters_start_from_a_sample_and_all_get_points() -> None:
    x = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    clusters = kmeans(x, ones(3000), 600, 5, seed=0)
    assert len(set(clusters.labels)) > 590


def test_an_empty_cluster_restarts_at_a_far_point() -> None:
    from cobrarec.semantic_ids.kmeans import _means

    x = np.array([[0.0], [0.1], [9.0]], np.float32)
    labels, costs = np.zeros(3, np.int32), np.array([0.0, 0.01, 81.0], np.float32)
    means = _means(x, ones(3), labels, np.array([[0.0], [500.0]], np.float32), costs)
    assert means[1, 0] == 9
