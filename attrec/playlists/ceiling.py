"""The best figures that any recommender could expect on simulated playlists, whose chances are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.metrics.playlist import playlist_metrics, ranks_of
from attrec.playlists.ranking import encode
from attrec.prepare.playlist_splits import EvaluatedPlaylists


def playlist_ceiling(
    truth: pd.DataFrame, playlists: EvaluatedPlaylists, songs: pd.Index
) -> dict[str, np.ndarray]:
    """The values, one a playlist, of a recommender that ranks by the chance with which a song was put into a playlist.

    Args:
        truth: user_id, item_id, expected, as a simulator gives it; a song that it does not name has no chance.
        songs: ids of the catalogue.
    """
    given, held_out = encode(playlists, songs)
    assert held_out.ids is not None
    playlist = held_out.ids.get_indexer(pd.Index(truth["user_id"]))
    song = songs.get_indexer(pd.Index(truth["item_id"]))
    chance = truth["expected"].to_numpy()
    asked = (playlist >= 0) & (song >= 0)
    order = np.argsort(playlist[asked], kind="stable")
    song, chance = song[asked][order], chance[asked][order]
    ends = np.cumsum(np.bincount(playlist[asked], minlength=len(held_out)))
    ranks = np.empty(len(held_out.items), dtype=np.int64)
    for row in range(len(held_out)):
        scores, seen = np.zeros(len(songs)), np.zeros(len(songs), dtype=bool)
        own = slice(ends[row - 1] if row else 0, ends[row])
        scores[song[own]] = chance[own]
        seen[given.items[given.start[row] : given.start[row + 1]]] = True
        wanted = slice(held_out.start[row], held_out.start[row + 1])
        ranks[wanted] = ranks_of(scores, held_out.items[wanted], seen)
    return playlist_metrics(ranks, held_out)
