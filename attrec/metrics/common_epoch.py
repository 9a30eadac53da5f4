"""The one epoch that suits all folds: how attentive neural collaborative filtering was scored by its paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class CommonEpoch:
    """An epoch and what all trainings held out come to there."""

    epoch: int
    rmse: float
    """Mean over the trainings of the held-out RMSE. It is the lowest that the choice could find on the very rows it
    is measured on, so it is optimistic by construction."""


def common_epoch(curves: Sequence[pd.DataFrame]) -> CommonEpoch | None:
    """The epoch with the lowest mean of the held-out RMSE over all trainings, and that mean.

    "For each epoch we first average the root mean squared error over all 10 folds. Then we report the error at epoch
    producing lowest error" (Hutter et al., "Attentive Neural Collaborative Filtering", section III.B).

    Args:
        curves: Of each training (fold, seed): epoch, validation_loss (NaN where it was not measured). Early stopping
            ends them at different epochs: only epochs that all of them measured are looked at.

    Returns:
        None if there is no such epoch; of equal ones the first.
    """
    if not curves:
        return None
    columns = [
        curve.dropna(subset="validation_loss").set_index("epoch")["validation_loss"] for curve in curves
    ]
    mean = pd.concat(columns, axis=1, join="inner").mean(axis=1).sort_index()
    if mean.empty:
        return None
    best = int(mean.to_numpy().argmin())
    return CommonEpoch(int(mean.index[best]), float(mean.iloc[best]))
