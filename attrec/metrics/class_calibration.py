"""Whether class probabilities mean what they say: of the ratings given a class with p = 0.3, is it so for 30 %?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

BINS = 10
SMALLEST = 1e-12
"""Probabilities are raised to it in the log-loss, so that one of zero does not make it infinite."""


@dataclass(frozen=True)
class ClassCalibration:
    """Reliability of each class, and what it comes to."""

    bins: pd.DataFrame
    """One row a class and bin that is not empty: rating (the class), low, high (edges), predicted (mean probability),
    observed (share of the rows that have this rating), ratings (rows)."""
    classes: pd.DataFrame
    """One row a class: rating, predicted (mean probability), observed (share), expected_calibration_error."""
    expected_calibration_error: float
    """Mean over the classes (classwise ECE: Kull et al., "Beyond temperature scaling", NeurIPS 2019, eq. 3)."""
    log_loss: float
    """Mean of -ln p of the rating that was given."""
    ratings: int


def class_calibration(
    truth: ArrayLike, probabilities: ArrayLike, values: Sequence[float], bins: int = BINS
) -> ClassCalibration:
    """Compare the probabilities of rating classes with how often each rating was given.

    A class's error is Σ_bins (rows in bin / rows) · |mean probability - observed share|, over bins of equal width.

    Args:
        truth: [n] observed ratings, each one of `values`.
        probabilities: [n, classes].
        values: The rating that each class stands for.
        bins: Bins of [0, 1]; each holds its lower edge, the last both.

    Raises:
        ValueError: shapes disagree, rows do not sum to one, or a rating has no class.
    """
    ratings, shares = np.asarray(truth, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    classes = np.asarray(values, dtype=np.float64)
    if ratings.size == 0 or shares.shape != (ratings.size, classes.size):
        raise ValueError(f"need probabilities [{ratings.size}, {classes.size}], got {shares.shape}")
    if (
        not np.isfinite(shares).all()
        or (shares < 0).any()
        or not np.allclose(shares.sum(axis=1), 1, atol=1e-4)
    ):
        raise ValueError("probabilities must not be negative, and those of a row must sum to one")
    given = ratings[:, None] == classes
    if not given.any(axis=1).all():
        raise ValueError(f"the rating {ratings[~given.any(axis=1)][0]:g} has no class")

    rows, summaries = [], []
    for code, value in enumerate(classes):
        table = _reliability(shares[:, code], given[:, code], bins)
        gaps = (table["predicted"] - table["observed"]).abs()
        rows.append(table.assign(rating=value))
        summaries.append(
            {
                "rating": value,
                "predicted": shares[:, code].mean(),
                "observed": given[:, code].mean(),
                "expected_calibration_error": float((gaps * table["ratings"]).sum() / ratings.size),
            }
        )
    summary = pd.DataFrame(summaries)
    columns = ["rating", "low", "high", "predicted", "observed", "ratings"]
    return ClassCalibration(
        bins=pd.concat(rows, ignore_index=True)[columns],
        classes=summary,
        expected_calibration_error=float(summary["expected_calibration_error"].mean()),
        log_loss=float(-np.log(np.maximum(shares[given], SMALLEST)).mean()),
        ratings=int(ratings.size),
    )


def _reliability(probability: np.ndarray, given: np.ndarray, bins: int) -> pd.DataFrame:
    """low, high, predicted, observed, ratings of each bin that is not empty."""
    number = np.minimum(np.floor(probability * bins).astype(np.int64), bins - 1)
    rows = pd.DataFrame({"bin": number, "predicted": probability, "observed": given.astype(np.float64)})
    grouped = rows.groupby("bin")
    table = grouped[["predicted", "observed"]].mean().assign(ratings=grouped.size()).reset_index()
    return table.assign(low=table["bin"] / bins, high=(table["bin"] + 1) / bins)
