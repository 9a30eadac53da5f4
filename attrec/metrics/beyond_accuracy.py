"""What recommended lists are like, whether they hit or not: how much of the catalogue they reach, and how popular."""

from __future__ import annotations

import numpy as np


def coverage_at(lists: np.ndarray, n_items: int, k: int) -> float:
    """Share of the vocabulary that is among anybody's first k (Ge, Delgado-Battenfeld & Jannach 2010).

    Args:
        lists: [n, ≥ k] item codes, best first, -1 for nothing.
    """
    shown = lists[:, :k]
    return len(np.unique(shown[shown >= 0])) / n_items


def popularity_at(lists: np.ndarray, counts: np.ndarray, k: int) -> float:
    """Average recommendation popularity (Yin et al. 2012): mean over users of the mean count of their first k.

    Args:
        lists: [n, ≥ k] item codes, best first, -1 for nothing.
        counts: [items] how often each item occurs in training.
    """
    shown = lists[:, :k]
    listed = shown >= 0
    totals = np.where(listed, counts[shown], 0).sum(axis=1)
    n = listed.sum(axis=1)
    return float((totals[n > 0] / n[n > 0]).mean()) if (n > 0).any() else float("nan")


def popularity_lift_at(lists: np.ndarray, targets: np.ndarray, counts: np.ndarray, k: int) -> float:
    """How much more popular what is recommended is than what users did next: 0.5 is by half, below 0 less popular.

    As ΔGAP of Abdollahpouri et al. 2019 ("The Unfairness of Popularity Bias in Recommendation"), but against the
    targets in the place of the profiles, so that the best answer there is has no lift.

    Args:
        targets: [n] item codes; -1, an item that is not in training, has no popularity.
    """
    wanted = float(np.where(targets >= 0, counts[targets], 0).mean())
    return popularity_at(lists, counts, k) / wanted - 1 if wanted else float("nan")
