"""Whether predictions mean what they say: the mean true rating of rows predicted alike, and the reverse."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from attrec.metrics.rating import rmse


def calibration(truth: ArrayLike, predicted: ArrayLike, bins: int = 20) -> pd.DataFrame:
    """Mean prediction against mean true rating in bins of equally many rows, ordered by prediction.

    Args:
        truth: shape (n,), observed ratings.
        predicted: shape (n,).
        bins: at most so many; rows with equal predictions stay in one bin.

    Returns:
        One row a bin: predicted and truth (means), standard_error (of the mean true rating), ratings (rows).
    """
    rmse(truth, predicted)  # checks both vectors
    table = pd.DataFrame({"predicted": np.asarray(predicted), "truth": np.asarray(truth)}, dtype=np.float64)
    shares = np.arange(1, bins + 1) / bins
    upper = np.unique(np.quantile(table["predicted"], shares, method="inverted_cdf"))
    grouped = table.groupby(np.searchsorted(upper, table["predicted"]))
    return pd.DataFrame(
        {
            "predicted": grouped["predicted"].mean(),
            "truth": grouped["truth"].mean(),
            "standard_error": grouped["truth"].sem(),
            "ratings": grouped.size(),
        }
    ).reset_index(drop=True)


def predictions_by_rating(truth: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """How the predictions spread for each true rating.

    Returns:
        One row a rating value, ascending: rating, ratings (rows), and of the predictions mean, q05, q25, q50,
        q75, q95 (quantiles).
    """
    rmse(truth, predicted)  # checks both vectors
    table = pd.DataFrame({"predicted": np.asarray(predicted), "rating": np.asarray(truth)}, dtype=np.float64)
    grouped = table.groupby("rating")["predicted"]
    quantiles = {f"q{share:02d}": grouped.quantile(share / 100) for share in (5, 25, 50, 75, 95)}
    return pd.DataFrame({"ratings": grouped.size(), "mean": grouped.mean(), **quantiles}).reset_index()
