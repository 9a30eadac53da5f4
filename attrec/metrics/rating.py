"""How far predicted ratings lie from the true ones: RMSE and MAE.

Both are errors in rating units (stars), so lower is better and 0 is perfect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rmse(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Root mean squared error, `sqrt(mean((truth - predicted)²))`.

    Args:
        truth: shape (n,), the observed ratings.
        predicted: shape (n,), the predictions for the same rows.

    Raises:
        ValueError: when the shapes differ, there are no rows, or a value is not finite.

    >>> from attrec.metrics import rmse
    >>> rmse([4, 2], [3, 2])
    0.7071067811865476
    """
    error = _errors(truth, predicted)
    return float(np.sqrt(np.mean(np.square(error))))


def mae(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error, `mean(|truth - predicted|)`; arguments and errors as for `rmse`.

    >>> from attrec.metrics import mae
    >>> mae([4, 2], [3, 2])
    0.5
    """
    return float(np.mean(np.abs(_errors(truth, predicted))))


def _errors(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    true_ratings = np.asarray(truth, dtype=np.float64)
    predictions = np.asarray(predicted, dtype=np.float64)
    if true_ratings.ndim != 1 or true_ratings.shape != predictions.shape:
        raise ValueError(f"need two vectors of one length, got {true_ratings.shape} and {predictions.shape}")
    if true_ratings.size == 0:
        raise ValueError("need at least one rating to score")
    error = true_ratings - predictions
    if not np.isfinite(error).all():
        raise ValueError("ratings and predictions must be finite numbers")
    return error
