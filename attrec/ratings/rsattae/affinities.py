"""What users make of kinds of items, and kinds of users of items, beyond what biases explain.

A feature named `genre=Comedy` belongs to the group `genre`; scaled numbers, which have no such name, to none. The
affinity of user u to item i by an item group is the mean, over i's features in that group, of u's mean residual
r - b_ui on items with that feature, shrunk to zero; by a user group, it is the same with the sides exchanged. Each
is an inner product of factors [g].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from attrec.ratings.baselines import Biases
from attrec.ratings.catalogue import EncodedRatings

Factors = dict[str, tuple[np.ndarray, np.ndarray]]


def affinity_factors(
    ratings: EncodedRatings,
    biases: Biases,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    regularization: float = 5.0,
) -> Factors:
    """Factors [n_users, g] and [n_items, g] of each feature group, from `ratings` alone."""
    residuals = ratings.values - biases.predict(ratings.users, ratings.items)
    factors: Factors = {}
    for group, columns in _groups(item_features).items():
        flags = item_features[columns].to_numpy("float64")
        tastes = mean_residuals(
            ratings.users, flags[ratings.items], residuals, ratings.n_users, regularization
        )
        factors[f"affinity to item {group}"] = tastes, _shares(flags)
    for group, columns in _groups(user_features).items():
        flags = user_features[columns].to_numpy("float64")
        appeals = mean_residuals(
            ratings.items, flags[ratings.users], residuals, ratings.n_items, regularization
        )
        factors[f"affinity of user {group}"] = _shares(flags), appeals
    return factors


def mean_residuals(
    codes: np.ndarray, flags: np.ndarray, residuals: np.ndarray, size: int, regularization: float
) -> np.ndarray:
    """Shrunk mean residual [size, g] of each code over its ratings with each feature, from `flags` [n, g]."""
    sums = np.stack([np.bincount(codes, residuals * flag, minlength=size) for flag in flags.T], axis=1)
    counts = np.stack([np.bincount(codes, flag, minlength=size) for flag in flags.T], axis=1)
    return (sums / (counts + regularization)).astype("float32")


def _groups(features: pd.DataFrame) -> dict[str, Sequence[str]]:
    groups: dict[str, list[str]] = {}
    for column in (name for name in features.columns if "=" in str(name)):
        groups.setdefault(str(column).split("=")[0], []).append(column)
    return dict(groups)


def _shares(flags: np.ndarray) -> np.ndarray:
    """Rows that sum to one, or to zero where no feature is set."""
    return (flags / np.maximum(flags.sum(axis=1, keepdims=True), 1)).astype("float32")
