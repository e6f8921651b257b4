import numpy as np
import pytest
from themed_catalogs import blobs

from cobrarec.config import SemanticIdsConfig
from cobrarec.progress import Silent
from cobrarec.semantic_ids.residual_kmeans import ResidualKmeans, distinct_rows


def fit(x: np.ndarray, **settings: object) -> tuple[ResidualKmeans, np.ndarray]:
    return ResidualKmeans.fit(x, SemanticIdsConfig.model_validate(settings), 0, Silent())


def test_each_level_quantizes_what_the_levels_before_left() -> None:
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    quantizer, codes = fit(x, num_levels=3, codebook_size=8, balanced=False)
    residual = x
    for level in range(3):
        distances = ((residual[:, None] - quantizer.codebooks[level][None]) ** 2).sum(2)
        chosen = distances[np.arange(400), codes[:, level]]
        assert chosen == pytest.approx(distances.min(axis=1), abs=1e-3)
        residual = residual - quantizer.codebooks[level][codes[:, level]]
    assert quantizer.decode(codes) == pytest.approx(x - residual, abs=1e-3)


def test_more_levels_reconstruct_better() -> None:
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    errors = []
    for num_levels in (1, 2, 3, 4):
        quantizer, codes = fit(x, num_levels=num_levels, codebook_size=8)
        errors.append(((x - quantizer.decode(codes)) ** 2).mean())
    assert errors == sorted(errors, reverse=True)


def test_balanced_codes_keep_the_cap_where_unbalanced_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(700, 5)) * 0.05, rng.normal(size=(100, 5)) * 5]).astype(np.float32)
    cap = 1.5 * 800 / 16
    assert np.bincount(fit(x, codebook_size=16, balanced=False)[1][:, 0]).max() > cap
    assert np.bincount(fit(x, codebook_size=16, balanced=True)[1][:, 0]).max() <= cap


def test_items_with_the_same_input_share_their_codes_whatever_the_cap() -> None:
    x, _ = blobs(300, 30)
    x[100:200] = x[0]
    x[150] += 1e-7
    _, codes = fit(x, codebook_size=16, num_levels=2)
    assert len(np.unique(codes[100:200], axis=0)) == 1
    assert (codes[0] == codes[100]).all()


def test_the_order_of_the_items_does_not_split_equal_ones() -> None:
    rows = np.array([[1, -0.0], [2, 2], [1, 0.0], [1, 1e-9]], np.float32)
    points, inverse, weights = distinct_rows(rows)
    assert points.tolist() == [[1, 0], [2, 2]]
    assert inverse.tolist() == [0, 1, 0, 0]
    assert weights.tolist() == [3, 1]
