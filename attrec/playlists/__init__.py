"""Songs for a playlist: models that say what belongs to a set of songs, from their content and from other playlists."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.playlists.ars import ARS as ARS, ARSConfig as ARSConfig
    from attrec.playlists.baselines import (
        Hybrid as Hybrid,
        HybridConfig as HybridConfig,
        ItemKNN as ItemKNN,
        ItemKNNConfig as ItemKNNConfig,
        MeanVector as MeanVector,
        Popularity as Popularity,
        Random as Random,
    )
    from attrec.playlists.clusters import (
        DBSCAN as DBSCAN,
        Agglomerative as Agglomerative,
        AgglomerativeConfig as AgglomerativeConfig,
        DBSCANConfig as DBSCANConfig,
        KMeans as KMeans,
        KMeansConfig as KMeansConfig,
    )
    from attrec.playlists.model import PlaylistModel as PlaylistModel
    from attrec.playlists.quality import Quality as Quality
    from attrec.playlists.ranking import (
        RankedPlaylists as RankedPlaylists,
        encode as encode,
        rank_playlists as rank_playlists,
    )
    from attrec.playlists.recipes import ARS_RECIPES as ARS_RECIPES
    from attrec.playlists.space import nearness as nearness
    from attrec.playlists.specs import (
        PLAYLIST_MODELS as PLAYLIST_MODELS,
        PlaylistSpec as PlaylistSpec,
        check_playlist_names as check_playlist_names,
    )

__getattr__, __dir__, __all__ = lazily(__name__)
