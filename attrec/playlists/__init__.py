"""Songs for a playlist: models that say what belongs to a set of songs, from their content and from other playlists."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.playlists.ars import ARS, ARSConfig
    from attrec.playlists.baselines import (
        Hybrid,
        HybridConfig,
        ItemKNN,
        ItemKNNConfig,
        MeanVector,
        Popularity,
        Random,
    )
    from attrec.playlists.clusters import (
        DBSCAN,
        Agglomerative,
        AgglomerativeConfig,
        DBSCANConfig,
        KMeans,
        KMeansConfig,
    )
    from attrec.playlists.model import PlaylistModel
    from attrec.playlists.quality import Quality
    from attrec.playlists.ranking import RankedPlaylists, encode, rank_playlists
    from attrec.playlists.recipes import ARS_RECIPES
    from attrec.playlists.space import nearness
    from attrec.playlists.specs import PLAYLIST_MODELS, PlaylistSpec, check_playlist_names

__all__ = [
    "ARS",
    "ARS_RECIPES",
    "DBSCAN",
    "PLAYLIST_MODELS",
    "ARSConfig",
    "Agglomerative",
    "AgglomerativeConfig",
    "DBSCANConfig",
    "Hybrid",
    "HybridConfig",
    "ItemKNN",
    "ItemKNNConfig",
    "KMeans",
    "KMeansConfig",
    "MeanVector",
    "PlaylistModel",
    "PlaylistSpec",
    "Popularity",
    "Quality",
    "Random",
    "RankedPlaylists",
    "check_playlist_names",
    "encode",
    "nearness",
    "rank_playlists",
]

__getattr__ = lazily(
    __name__,
    {
        "ARS": "ars",
        "ARSConfig": "ars",
        "ARS_RECIPES": "recipes",
        "Agglomerative": "clusters",
        "AgglomerativeConfig": "clusters",
        "DBSCAN": "clusters",
        "DBSCANConfig": "clusters",
        "Hybrid": "baselines",
        "HybridConfig": "baselines",
        "ItemKNN": "baselines",
        "ItemKNNConfig": "baselines",
        "KMeans": "clusters",
        "KMeansConfig": "clusters",
        "MeanVector": "baselines",
        "PLAYLIST_MODELS": "specs",
        "PlaylistModel": "model",
        "PlaylistSpec": "specs",
        "Popularity": "baselines",
        "Quality": "quality",
        "Random": "baselines",
        "RankedPlaylists": "ranking",
        "check_playlist_names": "specs",
        "encode": "ranking",
        "nearness": "space",
        "rank_playlists": "ranking",
    },
)
