"""How well a model finds the held-out songs of playlists in the whole catalogue: R-precision, NDCG and recall.

The given songs of a playlist are out of the ranking. Ties are broken against the model: of songs with equal scores the
held-out ones stand last. A held-out song that cannot be ranked, because it is not in the catalogue or was given, is a
miss, and counts among those that should have been found.

One value a playlist, so that `attrec.metrics.intervals` (`mean_intervals`, `compare_means`) takes them as they
are; the lists go to `attrec.metrics.beyond_accuracy.coverage_at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attrec.datasets.histories import Histories
from attrec.metrics.ranking import MISS, top_items

if TYPE_CHECKING:
    from attrec.playlists.model import PlaylistModel

METRICS = ("r-precision", "ndcg@10", "recall@50")
_CELLS_AT_ONCE = 2**23  # scores of one batch: 32 MB


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
    model: PlaylistModel,
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


def ranks_of(scores: np.ndarray, wanted: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Ranks [r] of the songs `wanted` (codes, none twice, -1 for unknown) by `scores` [songs]; `MISS` for a miss.

    Args:
        seen: [songs] bool, what is out of the ranking.
    """
    ranks = np.full(len(wanted), MISS)
    ranked = np.flatnonzero(wanted >= 0)
    ranked = ranked[~seen[wanted[ranked]]]
    own = scores[wanted[ranked]]
    others = ~seen
    others[wanted[ranked]] = False
    rivals = np.sort(scores[others])
    ahead = len(rivals) - np.searchsorted(rivals, own, side="left")
    place = np.empty(len(ranked), dtype=np.int64)
    place[np.argsort(-own, kind="stable")] = np.arange(1, len(ranked) + 1)
    ranks[ranked] = ahead + place
    return ranks


def r_precision(ranks: np.ndarray, held_out: Histories) -> np.ndarray:
    """[n] share of the first R songs that were held out, R being how many were (Manning et al. 2008, Section 8.4)."""
    return _sums(ranks <= held_out.counts[held_out.users], held_out) / held_out.counts


def ndcg_at(ranks: np.ndarray, held_out: Histories, k: int) -> np.ndarray:
    """[n] Σ 1 / log2(rank + 1) of the held-out songs among the first k, over the same of a perfect ranking.

    Järvelin & Kekäläinen 2002; the perfect ranking begins with min(k, R) held-out songs.
    """
    gains = np.where(ranks <= k, 1 / np.log2(ranks.astype(np.float64) + 1), 0.0)
    ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return _sums(gains, held_out) / ideal[np.minimum(held_out.counts, k)]


def recall_at(ranks: np.ndarray, held_out: Histories, k: int) -> np.ndarray:
    """[n] share of the held-out songs that are among the first k; below 1 at best where more than k were held out."""
    return _sums(ranks <= k, held_out) / held_out.counts


def playlist_metrics(ranks: np.ndarray, held_out: Histories) -> dict[str, np.ndarray]:
    """The values [n] of each of `METRICS`, one a playlist."""
    return {
        "r-precision": r_precision(ranks, held_out),
        "ndcg@10": ndcg_at(ranks, held_out, 10),
        "recall@50": recall_at(ranks, held_out, 50),
    }


def mean_ndcg(ranks: np.ndarray, held_out: Histories) -> float:
    """Mean NDCG@10 over playlists."""
    return float(ndcg_at(ranks, held_out, 10).mean())


def _sums(values: np.ndarray, held_out: Histories) -> np.ndarray:
    sums: np.ndarray = np.bincount(held_out.users, values, minlength=len(held_out))
    return sums
