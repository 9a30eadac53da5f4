"""Where a model sees the songs and the middle of a playlist: what distances on the screen and on maps are taken of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from attrec.playlists.ars import ARS
from attrec.playlists.model import PlaylistModel


def playlist_space(model: PlaylistModel, playlist: Sequence[int | str]) -> tuple[np.ndarray, np.ndarray]:
    """Points [songs, d] of the catalogue, and the centroid [d] of a playlist of ids among them.

    Of ARS these are its own; other models have the cleaned songs, and the mean of the playlist's.

    Raises:
        DataError: the playlist is empty, or none of its songs is known.
    """
    if isinstance(model, ARS):
        return model.points, model.centroid(playlist)
    points = model.songs.values
    return points, points[model.known(playlist)].mean(axis=0)


def nearness(model: PlaylistModel, playlist: Sequence[int | str], songs: Sequence[int | str]) -> pd.DataFrame:
    """How near songs of the catalogue are to a playlist: item_id, distance (to the centroid), nearest (the song of the
    playlist that is nearest to it).

    Raises:
        DataError: the playlist is empty, or none of its songs is known.
    """
    points, centroid = playlist_space(model, playlist)
    own = model.known(playlist)
    asked = points[model.items.get_indexer(pd.Index(list(songs)))]
    nearest = cdist(asked, points[own]).argmin(axis=1)
    distance = np.sqrt(((asked - centroid) ** 2).sum(axis=1))
    return pd.DataFrame({"item_id": list(songs), "distance": distance, "nearest": model.items[own[nearest]]})
