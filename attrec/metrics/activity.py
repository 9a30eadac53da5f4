"""Error by activity: how a model does on users, or items, with few and with many training ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from attrec.metrics.intervals import LEVEL, RESAMPLES, Metric, bootstrap_interval


def error_by_activity(
    ids: ArrayLike,
    train_ids: ArrayLike,
    users: ArrayLike,
    truth: ArrayLike,
    predicted: ArrayLike,
    metric: Metric = "rmse",
    *,
    groups: int = 4,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """Error of the scored ratings, grouped by how often their user (or item) occurs in training.

    The groups are quantiles of the training counts over the entities seen in training: training rows alone
    decide them, so they are the same for every model and every test part. Equal counts are never torn apart,
    so there may be fewer groups than asked for; groups without a scored rating are left out.

    Args:
        ids: shape (n,), the user or the item of each scored rating.
        train_ids: shape (m,), the same kind of id for each training rating.
        users: shape (n,), the user of each scored rating (intervals draw users, whatever is grouped).
        truth: shape (n,).
        predicted: shape (n,) or (seeds, n).

    Returns:
        One row a group, from "none" (not in training) upwards: group (label, such as "20–64"), min_count and
        max_count (training ratings), entities and ratings scored, value, ci_low, ci_high.
    """
    scored = pd.Series(np.asarray(ids))
    train_counts = pd.Series(np.asarray(train_ids)).value_counts(sort=False)
    count = scored.map(train_counts).fillna(0).to_numpy(dtype=np.int64)
    upper = _upper_bounds(train_counts.to_numpy(dtype=np.int64, copy=True).astype(np.int64), groups)
    group = np.where(count == 0, 0, 1 + np.searchsorted(upper, count))
    user_of, true_ratings = np.asarray(users), np.asarray(truth)
    predictions = np.atleast_2d(np.asarray(predicted))
    lower = np.concatenate([[0, 1], upper[:-1] + 1])
    upper = np.concatenate([[0], upper])
    rows = []
    for code in np.unique(group):
        inside = group == code
        error = bootstrap_interval(
            user_of[inside],
            true_ratings[inside],
            predictions[:, inside],
            metric,
            resamples=resamples,
            level=level,
            seed=seed,
        )
        low, high = int(lower[code]), int(upper[code])
        rows.append(
            {
                "group": _label(low, high),
                "min_count": low,
                "max_count": high,
                "entities": scored[inside].nunique(),
                "ratings": int(inside.sum()),
                "value": error.value,
                "ci_low": error.low,
                "ci_high": error.high,
            }
        )
    return pd.DataFrame(rows)


def _upper_bounds(train_counts: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Largest count of each group, shape (at most groups,), ascending; the last is the largest of all."""
    if groups < 1:
        raise ValueError(f"need at least one group, got {groups}")
    if train_counts.size == 0:
        return np.zeros(0, dtype=np.int64)
    shares = np.arange(1, groups + 1) / groups
    return np.unique(np.quantile(train_counts, shares, method="inverted_cdf")).astype(np.int64)


def _label(low: int, high: int) -> str:
    if high == 0:
        return "none"
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
