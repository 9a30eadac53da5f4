"""How near songs are to a playlist, where a model sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

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
    points, centroid = model.space(playlist)
    own = model.codes(playlist)
    asked = points[model.items.get_indexer(pd.Index(list(songs)))]
    nearest = cdist(asked, points[own]).argmin(axis=1)
    distance = np.sqrt(((asked - centroid) ** 2).sum(axis=1))
    return pd.DataFrame({"item_id": list(songs), "distance": distance, "nearest": model.items[own[nearest]]})
