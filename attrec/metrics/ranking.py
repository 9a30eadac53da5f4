"""How high what a user did next is ranked: NDCG, hit rate and MRR against the whole catalogue.

One target a user, so the ideal gain is 1, and recall, hit rate and precision times k are one and the same (`hr`).
Ties are broken against the model: every item that scores as high as the target stands ahead of it. What a user has seen
is out of the ranking. A target that cannot be ranked, because it is not in the vocabulary or was seen, is a miss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from attrec.datasets.histories import Histories
from attrec.errors import NotFinite

MISS = np.iinfo(np.int64).max
"""Rank of a target that cannot be ranked; it counts as nothing at any cut-off."""
CUTOFFS = (5, 10, 20)
N_NEGATIVES = 100
_GROUPS = 8  # of items, for each of the k best that are sought


def ndcg_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """[n] 1 / log2(rank + 1) of each user, 0 past k (Järvelin & Kekäläinen 2002, with one relevant item)."""
    return np.where(ranks <= k, 1 / np.log2(ranks.astype(np.float64) + 1), 0.0)


def hit_rate_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """[n] 1 for each user whose target is among the first k, else 0; the same as recall."""
    return (ranks <= k).astype(np.float64)


def reciprocal_rank_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """[n] 1 / rank of each user, 0 past k; its mean is MRR (Voorhees 1999)."""
    return np.where(ranks <= k, 1 / ranks.astype(np.float64), 0.0)


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    f"{name}@{k}": partial(value, k=k)
    for name, value in (("ndcg", ndcg_at), ("hr", hit_rate_at), ("mrr", reciprocal_rank_at))
    for k in CUTOFFS
}
"""By name, the value of each user [n] from ranks in the whole catalogue [n]."""

SAMPLED_METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    f"ndcg@20-sampled-uniform{N_NEGATIVES}": partial(ndcg_at, k=20),
    f"recall@20-sampled-uniform{N_NEGATIVES}": partial(hit_rate_at, k=20),
}
"""The same from `sampled_ranks`: for comparison with published figures alone, since sampled metrics can order models
otherwise than the whole catalogue does (Krichene & Rendle 2020)."""


def target_ranks(scores: np.ndarray, targets: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Rank [b] of each user's target, 1 is best; `MISS` where it cannot be ranked.

    Args:
        scores: [b, items], finite.
        targets: [b] item codes, -1 for an item that is not in the vocabulary.
        seen: [b, items] bool, what is out of the ranking; None ranks all items.

    Raises:
        ValueError: a score is not a finite number.
    """
    _check_finite(scores)
    rows = np.arange(len(scores))
    ahead = scores >= scores[rows, targets][:, None]
    missed = targets < 0
    if seen is not None:
        ahead &= ~seen
        missed = missed | seen[rows, targets]
    return np.where(missed, MISS, np.count_nonzero(ahead, axis=1))


def top_items(scores: np.ndarray, k: int, seen: np.ndarray | None = None) -> np.ndarray:
    """Codes [b, k] of the k highest scores, best first, equal ones in order of the vocabulary.

    `seen` is left out; -1 fills up where fewer than k items are left.

    Raises:
        ValueError: a score is not a finite number.
    """
    _check_finite(scores)
    n_items = scores.shape[1]
    found = min(k, n_items)
    top = np.full((len(scores), k), -1, dtype=np.int64)
    if found == 0 or len(scores) == 0:
        return top
    allowed = scores if seen is None else np.where(seen, scores.dtype.type(-np.inf), scores)
    bound = _low_bound(allowed, found)
    likely = allowed >= bound
    if np.count_nonzero(likely) > _GROUPS * found * len(
        scores
    ):  # many are level with it, of which the first count
        level = allowed == bound
        likely &= ~level | (np.cumsum(level, axis=1, dtype=np.int32) <= found)
    rows, codes = np.divmod(np.flatnonzero(likely), n_items)
    values = allowed[rows, codes]
    order = np.lexsort((-values, rows))  # equal scores of a row stay in order of the vocabulary
    first = np.searchsorted(rows, np.arange(len(scores)))  # `rows` ascends, sorted or not
    chosen = order[first[:, None] + np.arange(found)]
    top[:, :found] = np.where(np.isneginf(values[chosen]), -1, codes[chosen])
    return top


def _low_bound(scores: np.ndarray, k: int) -> np.ndarray:
    """[b, 1] not above the k-th highest score of each row, and near it where scores differ.

    The k-th highest of the maxima of some groups of items, which costs a pass over the scores.
    """
    groups = min(scores.shape[1], _GROUPS * k)
    depth = scores.shape[1] // groups
    maxima = scores[:, : depth * groups].reshape(len(scores), depth, groups).max(axis=1)
    bound: np.ndarray = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]
    return bound


def draw_negatives(
    histories: Histories, targets: np.ndarray, n_items: int, n_negatives: int = N_NEGATIVES, seed: int = 0
) -> np.ndarray:
    """Codes [n, n_negatives] drawn uniformly, none twice, from what a user neither did nor is asked for.

    They depend on the users and the seed, not on a model, so that all models are asked the same. -1 fills up where
    too few items are left.
    """
    rng = np.random.default_rng(seed)
    negatives = np.full((len(histories), n_negatives), -1, dtype=np.int32)
    for user, target in enumerate(targets):
        free = np.ones(n_items, dtype=bool)
        free[histories.items[histories.start[user] : histories.start[user + 1]]] = False
        if target >= 0:
            free[target] = False
        codes = np.flatnonzero(free)
        drawn = rng.choice(codes, min(n_negatives, len(codes)), replace=False, shuffle=False)
        negatives[user, : len(drawn)] = drawn
    return negatives


def sampled_ranks(scores: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Rank [b] of each user's target among drawn negatives alone; `MISS` for a target that is not in the vocabulary.

    Args:
        scores: [b, items], finite.
        targets: [b] item codes, -1 for an unknown item.
        negatives: [b, m] of `draw_negatives`.

    Raises:
        ValueError: a score is not a finite number.
    """
    _check_finite(scores)
    own = scores[np.arange(len(scores)), targets][:, None]
    ahead = (np.take_along_axis(scores, np.maximum(negatives, 0), axis=1) >= own) & (negatives >= 0)
    return np.where(targets < 0, MISS, 1 + np.count_nonzero(ahead, axis=1))


def _check_finite(scores: np.ndarray) -> None:
    if not np.isfinite(scores).all():
        raise NotFinite("scores must be finite numbers")
