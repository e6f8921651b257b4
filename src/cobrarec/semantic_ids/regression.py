"""Ridge regression with its strength chosen, and its honest predictions given, by leaving each row out.

Both come in closed form: the prediction of row i by a fit without row i is `y_i - (y_i - prediction_i) / (1 - h_i)` with the leverage
`h_i` (Hastie, Tibshirani, Friedman: "The Elements of Statistical Learning", eq. 7.64).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # relative to the mean eigenvalue of the inputs' scatter


MAX_ROWS = 50_000
"""Rows that a regression is fitted on, drawn at random where there are more: several copies of them are held in float64."""


@dataclass(frozen=True, eq=False)
class RidgeRegression:
    """`prediction = x @ weight + bias`."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> tuple["RidgeRegression", npt.NDArray[np.float32]]:
        """Regress `y` `[n, dim_out]` on `x` `[n, dim_in]`; also returns each row's prediction by the fit without it, `[n, dim_out]`.

        With one row or none the prediction is the mean of what there is (zeros for none). Of more than `MAX_ROWS` rows as many are drawn,
        and the others, which the fit is without, get its prediction.
        """
        if len(x) > MAX_ROWS:
            drawn = np.sort(np.random.default_rng(0).choice(len(x), size=MAX_ROWS, replace=False))
            fitted, left_out = cls.fit(x[drawn], y[drawn])
            predictions = fitted.predict(x)
            predictions[drawn] = left_out
            return fitted, predictions
        if len(x) < 2:
            bias = y.sum(axis=0).astype(np.float32)
            return cls(np.zeros((x.shape[1], y.shape[1]), np.float32), bias), np.zeros(y.shape, np.float32)
        x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
        inputs, targets = x - x_mean, y - y_mean
        eigenvalues, directions = np.linalg.eigh(inputs.T @ inputs)
        scores = inputs @ directions
        products = scores.T @ targets
        best_error, best_weight, best_left_out = np.inf, np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape)
        for strength in STRENGTHS:
            shrunk = 1 / (np.maximum(eigenvalues, 0) + strength * max(float(eigenvalues.mean()), 1e-12))
            coefficients = shrunk[:, None] * products
            leverage = np.minimum((scores**2) @ shrunk + 1 / len(x), 1 - 1e-6)
            errors = (targets - scores @ coefficients) / (1 - leverage[:, None])
            if (error := float((errors**2).mean())) < best_error:
                best_error, best_weight, best_left_out = error, directions @ coefficients, y - errors
        bias = y_mean - x_mean @ best_weight
        return cls(best_weight.astype(np.float32), bias.astype(np.float32)), best_left_out.astype(np.float32)

    def predict(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Predictions `[n, dim_out]` for `x` `[n, dim_in]`."""
        return (x @ self.weight + self.bias).astype(np.float32)
