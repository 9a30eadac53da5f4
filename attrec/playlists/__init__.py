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

__getattr__, __dir__, __all__ = lazily(__name__)
