"""What a model leaves unexplained of a user's ratings of similar items, and of similar users' ratings of an item.

Neighbourhoods as in Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering" (2010), Section
2.2, over all neighbours instead of the k nearest, on the residuals of another model instead of those of the biases.
"""

from __future__ import annotations

import numpy as np

from attrec.errors import DataError
from attrec.ratings.catalogue import EncodedRatings

MOST_ENTITIES = 15_000
"""Users or items; comparing them all takes some six matrices of 0.9 GB."""
POWER = 1.5
"""Of a similarity; the higher, the more the nearest neighbours count."""
REGULARIZATION = {"correlated": 0.3, "co-rated": 0.06}
"""Weight of the assumption that nothing is left unexplained."""


def neighbour_residuals(ratings: EncodedRatings, residuals: np.ndarray) -> dict[str, np.ndarray]:
    """Matrices [n_users, n_items]: by items and by users with correlated residuals, and by those rated together.

    A pair's own residual, if it has one, is not among those averaged; the correlations know it. Takes matrices of
    n_items² and n_users² entries.

    Args:
        residuals: [ratings] r - r̂.

    Raises:
        DataError: there are too many users or items to compare all with all.
    """
    if max(ratings.n_users, ratings.n_items) > MOST_ENTITIES:
        raise DataError(
            f"{ratings.n_users:,} users and {ratings.n_items:,} items are too many to compare with each other (at most"
            f" {MOST_ENTITIES:,} of either): leave out residual-neighbours, or set neighbours: false in stacked ones."
        )
    errors, observed = residual_matrices(ratings, residuals)
    matrices = {}
    for kind, weights in neighbour_weights(errors, observed).items():
        matrices[f"{kind} items' residual"] = mean_residual(errors, observed, weights, REGULARIZATION[kind])
    errors, observed = errors.T.copy(), observed.T.copy()
    for kind, weights in neighbour_weights(errors, observed).items():
        by_users = mean_residual(errors, observed, weights, REGULARIZATION[kind])
        matrices[f"{kind} users' residual"] = by_users.T.copy()
    return matrices


def residual_matrices(ratings: EncodedRatings, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and whether there is one [n_users, n_items] float32."""
    errors, observed = np.zeros((2, ratings.n_users, ratings.n_items), dtype="float32")
    errors[ratings.users, ratings.items] = residuals
    observed[ratings.users, ratings.items] = 1.0
    return errors, observed


def neighbour_weights(errors: np.ndarray, observed: np.ndarray) -> dict[str, np.ndarray]:
    """How much each column counts for each [columns, columns], by kind of similarity; nothing for itself."""
    similarities = {"correlated": _correlation(errors, observed), "co-rated": _overlap(observed)}
    for similarity in similarities.values():
        np.power(similarity, POWER, out=similarity)
        np.fill_diagonal(similarity, 0.0)
    return similarities


def mean_residual(
    errors: np.ndarray, observed: np.ndarray, weights: np.ndarray, regularization: float
) -> np.ndarray:
    """Σ_j s_ij e_uj / (Σ_j s_ij o_uj + λ)."""
    mean: np.ndarray = (errors @ weights) / (observed @ weights + np.float32(regularization))
    return mean


def _correlation(errors: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Positive part of the correlation of columns over the rows that both have, shrunk by how few these are."""
    together = observed.T @ observed
    squared = (errors**2).T @ observed
    norms = np.sqrt(squared * squared.T)
    correlation = np.maximum(errors.T @ errors, 0.0) / np.maximum(norms, np.float32(1e-9))
    correlation *= together / (together + np.float32(30.0))
    return correlation


def _overlap(observed: np.ndarray) -> np.ndarray:
    """Jaccard index of the rows that columns have, shrunk."""
    together = observed.T @ observed
    counts = np.diag(together)
    overlap: np.ndarray = together / (counts[:, None] + counts - together + np.float32(5.0))
    return overlap
