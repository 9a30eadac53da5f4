"""Which class a saved playlist model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.models.storage import load_saved
from attrec.playlists.ars import ARS
from attrec.playlists.baselines import Hybrid, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.clusters import DBSCAN, Agglomerative, KMeans
from attrec.playlists.model import PlaylistModel

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
