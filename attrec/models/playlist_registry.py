"""Which class a saved playlist model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.models.ars import ARS
from attrec.models.clusters import DBSCAN, Agglomerative, KMeans
from attrec.models.playlist_baselines import Hybrid, ItemKNN, MeanVector, Popularity, Random
from attrec.models.playlist_model import PlaylistModel
from attrec.models.storage import load_saved

PLAYLIST_MODELS: dict[str, type[PlaylistModel]] = {
    "random_playlist.json": Random,
    "playlist_popularity.json": Popularity,
    "playlist_item_knn.json": ItemKNN,
    "mean_vector.json": MeanVector,
    "playlist_hybrid.json": Hybrid,
    KMeans.file: KMeans,
    Agglomerative.file: Agglomerative,
    DBSCAN.file: DBSCAN,
    ARS.FILE: ARS,
}


def load_playlist_model(directory: Path) -> PlaylistModel:
    """Load any saved playlist model.

    Raises:
        DataError: see `load_saved`.
    """
    return load_saved(directory, PLAYLIST_MODELS, "playlist")
