import numpy as np
import pytest

from cobrarec.semantic_ids import regression
from cobrarec.semantic_ids.regression import STRENGTHS, RidgeRegression


def data(n: int = 40, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return x, (x @ rng.normal(size=(6, 3)) + 2 + noise * rng.normal(size=(n, 3))).astype(np.float32)


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = x - x.mean(0), y - y.mean(0)
    weight = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(x.shape[1]), inputs.T @ targets)
    return weight, y.mean(0) - x.mean(0) @ weight


def test_the_fit_is_ridge_regression_of_one_of_the_strengths() -> None:
    x, y = data()
    fitted, _ = RidgeRegression.fit(x, y)
    scatter = np.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0))).mean()
    gaps = [abs(ridge(x, y, strength * scatter)[0] - fitted.weight).max() for strength in STRENGTHS]
    assert min(gaps) < 1e-4
    assert fitted.predict(x) == pytest.approx(x @ fitted.weight + fitted.bias, abs=1e-5)


def test_left_out_predictions_are_those_of_a_fit_without_the_row() -> None:
    x, y = data(30)
    fitted, left_out = RidgeRegression.fit(x, y)
    inputs = (x - x.mean(0)).astype(np.float64)
    scatter = np.linalg.eigvalsh(inputs.T @ inputs).mean()
    gaps = [abs(ridge(x, y, strength * scatter)[0] - fitted.weight).max() for strength in STRENGTHS]
    penalty = STRENGTHS[int(np.argmin(gaps))] * scatter
    for row in (0, 7, 29):
        others = np.arange(30) != row
        weight, bias = ridge(x[others], y[others], penalty)
        assert left_out[row] == pytest.approx(x[row] @ weight + bias, abs=2e-2)


def test_of_many_rows_some_are_fitted_and_the_others_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data(60)
    monkeypatch.setattr(regression, "MAX_ROWS", 40)
    fitted, predictions = RidgeRegression.fit(x, y)
    is_fitted = np.any(np.abs(predictions - fitted.predict(x)) > 1e-6, axis=1)
    assert is_fitted.sum() == 40
    alone, left_out = RidgeRegression.fit(x[is_fitted], y[is_fitted])
    assert np.array_equal(alone.weight, fitted.weight)
    assert np.array_equal(predictions[is_fitted], left_out)


def test_pure_noise_is_shrunk_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 40)).astype(np.float32), rng.normal(size=(60, 2)).astype(np.float32)
    _, left_out = RidgeRegression.fit(x, y)
    assert ((left_out - y) ** 2).mean() < 1.5 * y.var()


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows_give_finite_predictions(n: int) -> None:
    x, y = data()
    fitted, left_out = RidgeRegression.fit(x[:n], y[:n])
    assert np.isfinite(fitted.predict(x)).all()
    assert left_out.shape == (n, 3)
