"""How near songs are to a playlist, where a model sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from attrec.datasets.histories import Histories
from attrec.playlists.model import PlaylistModel


def nearness(model: PlaylistModel, playlist: Sequence[int | str], songs: Sequence[int | str]) -> pd.DataFrame:
    """How near songs of the catalogue are to a playlist: item_id, distance (to the centroid), nearest (the song of the
    playlist that is nearest to it).

    Raises:
        DataError: the playlist is empty, or none of its songs is known.

    >>> import pandas as pd
    >>> from attrec.playlists import MeanVector, nearness
    >>> songs = pd.DataFrame({"item_id": ["a", "b", "c"], "tempo": [0.0, 1.0, 4.0]})
    >>> model = MeanVector().fit(pd.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"]}), songs)
    >>> nearness(model, ["a", "b"], ["c"])
      item_id  distance nearest
    0       c       3.5       b
    """
    own = Histories.of_lists([model.codes(playlist).tolist()])
    asked = pd.DataFrame({"item_id": list(songs)})
    return near_many(model, own, asked, np.zeros(len(asked), dtype=np.int64))


def near_many(
    model: PlaylistModel, playlists: Histories, songs: pd.DataFrame, whose: np.ndarray
) -> pd.DataFrame:
    """`songs` (item_id and more; of the catalogue) with distance and nearest, as `nearness` has them, each to one of
    many playlists: `whose` are their places, ascending. No playlist is empty."""
    points, centroids = model.points, model.centroids(playlists)
    asked = points[model.items.get_indexer(pd.Index(songs["item_id"]))]
    nearest = np.empty(len(songs), dtype=np.int64)
    for place in np.unique(whose):
        rows = slice(*np.searchsorted(whose, (place, place + 1)))
        own = playlists.items[playlists.start[place] : playlists.start[place + 1]]
        nearest[rows] = own[cdist(asked[rows], points[own]).argmin(axis=1)]
    distance = np.sqrt(((asked - centroids[whose]) ** 2).sum(axis=1))
    return songs.assign(distance=distance, nearest=model.items[nearest])
