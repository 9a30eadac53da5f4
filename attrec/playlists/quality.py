"""How a clustering looks without asking any playlist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_CLUSTER = -1
"""Label of what is in no cluster."""
_SILHOUETTE_SONGS = 5_000  # its time grows with their square


@dataclass(frozen=True)
class Quality:
    """How a clustering looks without asking any playlist; None where it is not defined."""

    candidate: float
    clusters: int
    without_cluster: float
    """Share of the clustered songs that are noise."""
    silhouette: float | None
    """-1 … 1, higher is better (Rousseeuw 1987)."""
    davies_bouldin: float | None
    """From 0, lower is better (Davies & Bouldin 1979)."""
    calinski_harabasz: float | None
    """Higher is better (Caliński & Harabasz 1974)."""
    ndcg: float | None = None
    """NDCG@10 on validation playlists: what the choice goes by."""


def quality_of(points: np.ndarray, labels: np.ndarray, candidate: float, seed: int) -> Quality:
    """How well the clusters `labels` [n] part the points [n, d]; `seed` draws the sample that the silhouette is of."""
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

    clustered = labels != NO_CLUSTER
    points, labels = points[clustered], labels[clustered]
    clusters = len(np.unique(labels))
    noise = float(1 - clustered.mean())
    # Neither one cluster nor a cluster a song has anything between or within.
    if not 2 <= clusters < len(points):
        return Quality(candidate, clusters, noise, None, None, None)
    if len(points) > _SILHOUETTE_SONGS:
        some = np.random.default_rng(seed).choice(len(points), _SILHOUETTE_SONGS, replace=False)
    else:
        some = np.arange(len(points))
    several = 2 <= len(np.unique(labels[some])) < len(some)
    return Quality(
        candidate,
        clusters,
        noise,
        float(silhouette_score(points[some], labels[some])) if several else None,
        float(davies_bouldin_score(points, labels)),
        float(calinski_harabasz_score(points, labels)),
    )
