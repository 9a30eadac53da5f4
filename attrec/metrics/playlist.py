"""How well the held-out songs of playlists are found in the whole catalogue: R-precision, NDCG and recall.

The given songs of a playlist are out of the ranking. Ties are broken against the model: of songs with equal scores the
held-out ones stand last. A held-out song that cannot be ranked, because it is not in the catalogue or was given, is a
miss, and counts among those that should have been found.

One value a playlist, so that `attrec.metrics.intervals` (`mean_intervals`, `compare_means`) takes them as they
are; the lists go to `attrec.metrics.beyond_accuracy.coverage_at`.
"""

from __future__ import annotations

import numpy as np

from attrec.datasets.histories import Histories
from attrec.metrics.ranking import MISS

METRICS = ("r-precision", "ndcg@10", "recall@50")


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
