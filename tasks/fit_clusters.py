"""Cluster the songs of the training playlists."""

from __future__ import annotations

from attrec.playlists.clusters import (
    DBSCAN,
    Agglomerative,
    AgglomerativeConfig,
    Clusters,
    DBSCANConfig,
    KMeans,
    KMeansConfig,
)
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.playlists.data import load_playlist_data


@cached_task("fit-clusters", task_run_name="fit {name} seed {seed}")
def fit_clusters(
    name: str, config: KMeansConfig | AgglomerativeConfig | DBSCANConfig, seed: int, fit: Artifact
) -> Artifact:
    """How many clusters, or how near songs must be, is chosen on validation.

    Args:
        name: Shown in the Prefect UI.

    Returns:
        Folder of the saved model.
    """
    data = load_playlist_data(fit)
    kinds: dict[type, type[Clusters]] = {
        KMeansConfig: KMeans,
        AgglomerativeConfig: Agglomerative,
        DBSCANConfig: DBSCAN,
    }
    model = kinds[type(config)](config, seed).fit(data.train, data.songs, data.validation)
    with writing("playlist-model") as draft:
        model.save(draft.folder)
    return draft.artifact
