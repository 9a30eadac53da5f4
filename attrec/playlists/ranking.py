"""A playlist model at the catalogue: where it ranks the held-out songs of playlists, and what a fit is chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.metrics.playlist import mean_ndcg, ndcg_at, r_precision, ranks_of, recall_at
from attrec.metrics.ranking import top_items
from attrec.prepare.playlist_splits import EvaluatedPlaylists

_CELLS_AT_ONCE = 2**23  # scores of one batch: 32 MB


class Ranker(Protocol):
    """What scores songs [n, songs] for playlists: a `PlaylistModel`, fitted or being fitted."""

    @property
    def items(self) -> pd.Index: ...

    def score(self, playlists: Histories) -> np.ndarray: ...


@dataclass(frozen=True)
class RankedPlaylists:
    """What a model says of n playlists."""

    ranks: np.ndarray
    """[held-out songs] rank of each in the catalogue, 1 is best, in the order of the held-out songs."""
    lists: np.ndarray
    """[n, k] codes of what it recommends, best first; -1 where nothing is left."""
    ranks_among: np.ndarray | None = None
    """[held-out songs] likewise among the songs that were asked for; of those that are not among them, a miss."""


def rank_playlists(
    model: Ranker,
    given: Histories,
    held_out: Histories,
    k: int = 50,
    among: np.ndarray | None = None,
) -> RankedPlaylists:
    """Rank the held-out songs of each playlist and list the k best songs, a batch of playlists at a time.

    Args:
        given: n playlists as the model gets them.
        held_out: the rest of the same n playlists; -1 for a song that is not in the catalogue.
        among: [songs] bool, songs that are ranked once more, among themselves; None for no such ranks.

    Raises:
        ValueError: numbers of playlists differ, a playlist has no held-out song, or scores are not finite.

    >>> import pandas as pd
    >>> from attrec.playlists import Popularity, encode, rank_playlists
    >>> from attrec.prepare import EvaluatedPlaylists
    >>> playlists = pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": ["a", "b", "b", "c", "b"]})
    >>> model = Popularity().fit(playlists)
    >>> asked = pd.DataFrame({"user_id": ["mine", "mine"], "item_id": ["a", "b"]})
    >>> given, held_out = encode(EvaluatedPlaylists(asked[:1], asked[1:]), model.items)
    >>> rank_playlists(model, given, held_out).ranks.tolist()
    [1]
    """
    if len(given) != len(held_out):
        raise ValueError(f"need as many playlists on both sides, got {len(given)} and {len(held_out)}")
    if (held_out.counts == 0).any():
        raise ValueError("need at least one held-out song a playlist")
    n_songs = len(model.items)
    ranks = np.empty(len(held_out.items), dtype=np.int64)
    ranks_among = None if among is None else np.empty_like(ranks)
    lists = np.empty((len(given), k), dtype=np.int64)
    for batch in given.batches(max(1, min(256, _CELLS_AT_ONCE // max(1, n_songs)))):
        playlists = given.take(batch)
        scores = model.score(playlists)
        seen = playlists.seen(n_songs)
        lists[batch] = top_items(scores, k, seen)
        for row, playlist in enumerate(batch):
            songs = slice(held_out.start[playlist], held_out.start[playlist + 1])
            wanted = held_out.items[songs]
            ranks[songs] = ranks_of(scores[row], wanted, seen[row])
            if among is not None and ranks_among is not None:
                ranks_among[songs] = ranks_of(scores[row], wanted, seen[row] | ~among)
    return RankedPlaylists(ranks, lists, ranks_among)


def encode(playlists: EvaluatedPlaylists, songs: pd.Index) -> tuple[Histories, Histories]:
    """Given and held-out songs as codes, playlists in the same order; a held-out song that is unknown is -1."""
    names = pd.Index(playlists.held_out["user_id"].unique())
    user = names.get_indexer(pd.Index(playlists.held_out["user_id"]))
    order = np.argsort(user, kind="stable")
    codes = songs.get_indexer(pd.Index(playlists.held_out["item_id"])).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=len(names)))])
    return Histories.of(playlists.given, names, songs), Histories(start, codes[order], names)


def validation_ndcg(model: Ranker, validation: EvaluatedPlaylists) -> float:
    """NDCG@10 on validation playlists: what a choice among fitted candidates goes by."""
    given, held_out = encode(validation, model.items)
    return mean_ndcg(rank_playlists(model, given, held_out, k=0).ranks, held_out)


def validation_mean(model: Ranker, validation: EvaluatedPlaylists) -> float:
    """Mean of R-precision, NDCG@10 and Recall@50 on validation playlists.

    What is looked at every epoch should not be decided by chance: of some dozens of playlists NDCG@10 alone jumps, and
    its highest value may be that of the first epoch.
    """
    given, held_out = encode(validation, model.items)
    ranks = rank_playlists(model, given, held_out, k=0).ranks
    # Named, and not whatever is reported: another metric shall not change which epoch is kept.
    values = (r_precision(ranks, held_out), ndcg_at(ranks, held_out, 10), recall_at(ranks, held_out, 50))
    return float(np.mean([value.mean() for value in values]))
