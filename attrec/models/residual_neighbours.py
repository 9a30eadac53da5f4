"""What a model leaves unexplained of a user's ratings of similar items, and of similar users' ratings of an item.

Neighbourhoods as in Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering" (2010), Section
2.2, over all neighbours instead of the k nearest, on the residuals of another model instead of those of the biases.
"""

from __future__ import annotations

import numpy as np

from attrec.models.catalogue import EncodedRatings

POWER = 1.5
"""Of a similarity; the higher, the more the nearest neighbours count."""


def neighbour_residuals(ratings: EncodedRatings, residuals: np.ndarray) -> dict[str, np.ndarray]:
    """Matrices [n_users, n_items]: by items and by users with correlated residuals, and by those rated together.

    A pair's own residual, if it has one, is in none of its sums. Takes matrices of n_items² and n_users² entries.

    Args:
        residuals: [ratings] r - r̂.
    """
    errors, observed = np.zeros((2, ratings.n_users, ratings.n_items), dtype="float32")
    errors[ratings.users, ratings.items] = residuals
    observed[ratings.users, ratings.items] = 1.0
    return {
        "correlated items' residual": _mean_residual(errors, observed, _correlation(errors, observed), 0.3),
        "co-rated items' residual": _mean_residual(errors, observed, _overlap(observed), 0.06),
        "correlated users' residual": _mean_residual(
            errors.T, observed.T, _correlation(errors.T, observed.T), 0.3
        ).T.copy(),
        "co-rating users' residual": _mean_residual(
            errors.T, observed.T, _overlap(observed.T), 0.06
        ).T.copy(),
    }


def _correlation(errors: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Positive part of the correlation of columns over the rows that both have, shrunk by how few these are."""
    squared = (errors**2).T @ observed
    together = observed.T @ observed
    correlation = (errors.T @ errors) / np.maximum(np.sqrt(squared * squared.T), 1e-9)
    shrunk: np.ndarray = np.maximum(correlation, 0.0) * together / (together + 30.0)
    return shrunk


def _overlap(observed: np.ndarray) -> np.ndarray:
    """Jaccard index of the rows that columns have, shrunk."""
    together = observed.T @ observed
    counts = np.diag(together)
    overlap: np.ndarray = together / (counts[:, None] + counts - together + 5.0)
    return overlap


def _mean_residual(
    errors: np.ndarray, observed: np.ndarray, similarity: np.ndarray, regularization: float
) -> np.ndarray:
    """Σ_j s_ij e_uj / (Σ_j s_ij o_uj + λ), j other than i."""
    weights = similarity**POWER
    np.fill_diagonal(weights, 0.0)
    mean: np.ndarray = (errors @ weights) / (observed @ weights + regularization)
    return mean
