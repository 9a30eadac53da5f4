"""Recommendation by clustering songs: K-Means, agglomerative clustering and DBSCAN (scikit-learn).

Mousaei & Asgharivahed, "ARS", Section III: a song P in a cluster that has songs L_1 … L_S of the playlist is at the
distance (1/S) Σ ‖P − L_i‖ (Section III-B), and the k songs at the smallest distances are recommended. Songs of other
clusters come after all of these, by their mean distance to the whole playlist; so do all songs where none of the
playlist's is in a cluster. Of songs at the same distance the more popular come first.

Clusters are learned from the songs of training playlists. Any other song, new ones too, is assigned without refitting:
to the nearest centroid, or for DBSCAN to the cluster of the nearest core point if that is within eps. How many
clusters, or which eps, is chosen by NDCG@10 on validation playlists.

Memory: K-Means takes all training songs and needs songs × clusters numbers at most. Agglomerative clustering needs
n²/2 distances and DBSCAN, whose neighbourhoods are in memory together, up to n²: past `max_songs` training songs both
cluster a random sample of so many and assign the rest as they do new ones. Scoring goes through some songs of the
playlist at a time.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from attrec.datasets.histories import Histories
from attrec.models.base import Config, Parameters, Saved
from attrec.models.training import Progress
from attrec.models.tunable import Range
from attrec.playlists.model import PlaylistModel, popular_first, squared_distances
from attrec.playlists.quality import NO_CLUSTER, Quality, quality_of
from attrec.playlists.ranking import validation_ndcg
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.prepare.songs import compact

_SONGS_AT_ONCE = 64  # of a playlist, against the whole catalogue
_POINTS_AT_ONCE = 1024
_KEPT_BYTES = 2**29
_log = logging.getLogger(__name__)


class KMeansConfig(Config):
    """Candidates for the number of clusters; without validation the middle one serves."""

    n_clusters: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Range(2, 512, log=True)] = Field(
        default=(2, 4, 8, 16, 32, 64, 128, 256, 512), min_length=1
    )
    restarts: int = Field(default=3, ge=1, le=1000)
    """K-Means begins anew so many times and keeps the tightest clusters."""


class AgglomerativeConfig(Config):
    """Candidates for the number of clusters (Ward's linkage); without validation the middle one serves."""

    n_clusters: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Range(2, 512, log=True)] = Field(
        default=(2, 4, 8, 16, 32, 64, 128, 256, 512), min_length=1
    )
    max_songs: int = Field(default=5_000, ge=2)
    """5,000 songs need 100 MB, 100,000 would need 40 GB."""


class DBSCANConfig(Config):
    """Candidates for eps; without validation the middle one serves."""

    eps_quantiles: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Range(0.001, 0.99)] = Field(
        default=(0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99), min_length=1
    )
    """eps is the distance within which so large a share of the songs have `min_songs`, themselves among them: the
    share of core points (the sorted distances of Ester et al. 1996, Section 4.2)."""
    min_songs: Annotated[int, Range(2, 20, log=True)] = Field(default=5, ge=1)
    max_songs: int = Field(default=5_000, ge=2)
    """5,000 songs need 200 MB where all are near each other."""


class Clusters(PlaylistModel):
    """What the three have in common: choice, assignment, scores."""

    needs_content = True

    labels: np.ndarray
    prototypes: np.ndarray
    """[p, d] centroids or core points (float32)."""
    prototype_labels: np.ndarray
    """[p]"""
    reach: float
    """A song farther than this from every prototype is in no cluster."""
    _kept: dict[bytes, np.ndarray] | None = None
    """Distances of validation playlists, by their songs, while candidates are compared: no clustering changes them."""

    @property
    def ranked_by(self) -> str:
        return (
            "The best score first: the mean distance to your items of the same cluster, as a negative number. Items"
            " outside the clusters of yours come behind, by the mean distance to all your items; so do all where none"
            " of yours is in a cluster. distance is to the mean of all your items."
        )

    @property
    def n_clusters(self) -> int:
        """Clusters of the chosen clustering."""
        return len(np.unique(self.prototype_labels))

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Clusters [m] of any songs [m, d] by the nearest prototype; `NO_CLUSTER` beyond reach."""
        labels = np.full(len(vectors), NO_CLUSTER, dtype=np.int64)
        if len(self.prototypes) == 0:
            return labels
        for first in range(0, len(vectors), _POINTS_AT_ONCE):
            some = slice(first, first + _POINTS_AT_ONCE)
            nearest = squared_distances(self.prototypes, compact(vectors[some])).argmin(axis=0)
            # Subtracted, and not from products: a song at a prototype is at no distance, whatever is rounded.
            apart = vectors[some].astype(np.float64) - self.prototypes[nearest]
            within = np.sqrt((apart**2).sum(axis=1)) <= self.reach
            labels[some] = np.where(within, self.prototype_labels[nearest], NO_CLUSTER)
        return labels

    @abstractmethod
    def _candidates(self) -> Sequence[float]:
        """What may be chosen."""

    @abstractmethod
    def _cluster(self, points: np.ndarray, candidate: float) -> np.ndarray:
        """Cluster the points [n, d]: sets prototypes, their labels and reach, and returns the points' labels [n]."""

    def _most_songs(self) -> int | None:
        """How many songs are clustered at most; None for any number."""
        return None

    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        codes = np.unique(playlists.items)
        most = self._most_songs()
        if most is not None and len(codes) > most:
            codes = np.sort(np.random.default_rng(self.seed).choice(codes, most, replace=False))
        points = self.songs.values[codes]
        candidates = self._candidates()
        if validation is None:
            candidates = [candidates[len(candidates) // 2]]
        trials, best = [], -np.inf
        self._kept = {}
        for candidate in candidates:
            labels = self._cluster(points, candidate)
            self.labels = self.assign(self.songs.values)
            self.labels[codes] = labels
            value = None if validation is None else validation_ndcg(self, validation)
            trials.append(replace(quality_of(points, labels, candidate, self.seed), ndcg=value))
            if value is None or value > best:
                best = value or 0.0
                found = (self.labels, self.prototypes, self.prototype_labels, self.reach, candidate)
        self.labels, self.prototypes, self.prototype_labels, self.reach, self.chosen = found
        self.trials = tuple(trials)
        self._kept = None
        # Of no share, which DBSCAN chooses.
        if self.chosen > max(self.n_clusters, 1):
            _log.warning(
                "%s clusters are asked for, and the songs make %s: no more are used.",
                self.chosen,
                self.n_clusters,
            )

    def _score(self, playlists: Histories) -> np.ndarray:
        scores = np.empty((len(playlists), len(self.songs)), dtype="float32")
        for row, (first, end) in enumerate(zip(playlists.start[:-1], playlists.start[1:], strict=True)):
            scores[row] = popular_first(self._distances(playlists.items[first:end]), self.shares)
        return scores

    def _distances(self, playlist: np.ndarray) -> np.ndarray:
        """[songs] the distance measure to one playlist (codes); what is outside its clusters lies behind all inside."""
        clusters, own = np.unique(self.labels[playlist], return_inverse=True)
        sums = np.zeros((len(clusters), len(self.songs)))
        for first in range(0, len(playlist), _SONGS_AT_ONCE):
            some = slice(first, first + _SONGS_AT_ONCE)
            distances = self._to_catalogue(playlist[some])
            for row in range(len(clusters)):
                sums[row] += distances[own[some] == row].sum(axis=0)
        inside = np.full(len(self.songs), np.inf)
        for row, cluster in enumerate(clusters):
            if cluster != NO_CLUSTER:
                in_it = self.labels == cluster
                inside[in_it] = sums[row, in_it] / (own == row).sum()
        reached = np.isfinite(inside)
        behind = inside[reached].max() + 1 if reached.any() else 0.0
        return np.where(reached, inside, behind + sums.sum(axis=0) / len(playlist))

    def _to_catalogue(self, songs: np.ndarray) -> np.ndarray:
        """[n, songs] distances of some songs (codes) to all; kept while `_kept` is there, as far as its memory goes."""
        if self._kept is not None and (known := self._kept.get(songs.tobytes())) is not None:
            return known
        distances: np.ndarray = np.sqrt(squared_distances(self.songs.values[songs], self.songs.compact))
        if self._kept is not None and sum(of.nbytes for of in self._kept.values()) < _KEPT_BYTES:
            self._kept[songs.tobytes()] = distances
        return distances

    def parameters(self) -> Parameters:
        arrays = {
            "labels": self.labels,
            "prototypes": self.prototypes,
            "prototype_labels": self.prototype_labels,
        }
        values = {
            "chosen": self.chosen,
            # JSON has no infinity
            "reach": None if np.isinf(self.reach) else self.reach,
            "trials": [asdict(trial) for trial in self.trials],
        }
        return Parameters(arrays, values)

    def take(self, saved: Saved) -> None:
        self.labels, self.prototypes = saved.arrays["labels"], saved.arrays["prototypes"]
        self.prototype_labels, self.chosen = saved.arrays["prototype_labels"], saved.values["chosen"]
        self.reach = np.inf if saved.values["reach"] is None else saved.values["reach"]
        self.trials = tuple(Quality(**trial) for trial in saved.values["trials"])


class KMeans(Clusters):
    """Clusters of the smallest squared distances to their centroids (Lloyd 1982; Arthur & Vassilvitskii 2007).

    >>> import pandas as pd
    >>> from attrec.playlists import KMeans
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> songs = pd.DataFrame({"item_id": range(12), "energy": 6 * [0.0, 1.0], "tempo": [n / 12 for n in range(12)]})
    >>> model = KMeans(n_clusters=(2,)).fit(playlists, songs)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    config_class = KMeansConfig

    config: KMeansConfig

    def _candidates(self) -> Sequence[float]:
        return self.config.n_clusters

    def _cluster(self, points: np.ndarray, candidate: float) -> np.ndarray:
        from sklearn.cluster import KMeans as KMeansOfPoints

        count = min(int(candidate), len(np.unique(points, axis=0)))
        fitted = KMeansOfPoints(count, n_init=self.config.restarts, random_state=self.seed).fit(points)
        self.prototypes = fitted.cluster_centers_.astype("float32")
        self.prototype_labels, self.reach = np.arange(count), np.inf
        labels: np.ndarray = fitted.labels_.astype(np.int64)
        return labels


class Agglomerative(Clusters):
    """Hierarchical clustering from single songs upwards, by Ward's criterion (1963).

    >>> import pandas as pd
    >>> from attrec.playlists import Agglomerative
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> songs = pd.DataFrame({"item_id": range(12), "energy": 6 * [0.0, 1.0], "tempo": [n / 12 for n in range(12)]})
    >>> model = Agglomerative(n_clusters=(2,)).fit(playlists, songs)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    config_class = AgglomerativeConfig

    config: AgglomerativeConfig

    def _candidates(self) -> Sequence[float]:
        return self.config.n_clusters

    def _most_songs(self) -> int:
        return self.config.max_songs

    def _cluster(self, points: np.ndarray, candidate: float) -> np.ndarray:
        from sklearn.cluster import AgglomerativeClustering

        count = min(int(candidate), len(points))
        labels = np.zeros(len(points), dtype=np.int64)
        if len(points) > 1:
            labels = AgglomerativeClustering(count, linkage="ward").fit_predict(points).astype(np.int64)
        means = [points[labels == cluster].mean(axis=0) for cluster in range(count)]
        self.prototypes = np.stack(means).astype("float32")
        self.prototype_labels, self.reach = np.arange(count), np.inf
        return labels


class DBSCAN(Clusters):
    """Clusters of densely packed songs; what lies between them is noise (Ester et al. 1996).

    >>> import pandas as pd
    >>> from attrec.playlists import DBSCAN
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> songs = pd.DataFrame({"item_id": range(12), "energy": 6 * [0.0, 1.0], "tempo": [n / 12 for n in range(12)]})
    >>> model = DBSCAN(min_songs=2).fit(playlists, songs)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    config_class = DBSCANConfig

    config: DBSCANConfig

    def _candidates(self) -> Sequence[float]:
        return self.config.eps_quantiles

    def _most_songs(self) -> int:
        return self.config.max_songs

    def _cluster(self, points: np.ndarray, candidate: float) -> np.ndarray:
        from sklearn import cluster
        from sklearn.neighbors import NearestNeighbors

        neighbours = NearestNeighbors(n_neighbors=min(self.config.min_songs, len(points))).fit(points)
        distances = neighbours.kneighbors(points)[0][:, -1]
        # Below it lies what rounding makes of the distance of a song to its copy.
        nothing = 1e-6 * float(np.sqrt((points.astype(np.float64) ** 2).sum(axis=1).mean()))
        eps = max(float(np.quantile(distances, candidate)), nothing, float(np.finfo(np.float32).tiny))
        fitted = cluster.DBSCAN(eps=eps, min_samples=self.config.min_songs).fit(points)
        core = fitted.core_sample_indices_
        self.prototypes, self.reach = points[core], eps
        labels: np.ndarray = fitted.labels_.astype(np.int64)
        self.prototype_labels = labels[core]
        return labels
