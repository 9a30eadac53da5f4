"""Partitions of rating rows into folds."""

from __future__ import annotations

import numpy as np
import pandas as pd


def fold_of_rows(ratings: pd.DataFrame, folds: int, partition: int, seed: int) -> np.ndarray:
    """The fold [n] of each row: folds of equal size, drawn from the set of pairs whatever their order."""
    order = np.lexsort((ratings["item_id"].to_numpy(), ratings["user_id"].to_numpy()))
    fold = np.empty(len(ratings), dtype=np.int64)
    fold[order] = np.random.default_rng([seed, partition]).permutation(len(ratings)) % folds
    return fold
