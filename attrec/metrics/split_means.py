"""The mean of a rating error over several splits of the same ratings, with an interval by bootstrap over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from attrec.metrics.intervals import LEVEL, LOSSES, RESAMPLES, Interval, Metric, percentiles

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """The test part of one split with its predictions."""

    users: ArrayLike
    """[n]"""
    truth: ArrayLike
    """[n]"""
    predicted: ArrayLike
    """[n], or [seeds, n]; splits may have different numbers of seeds."""


def mean_over_splits(
    splits: Sequence[Scored],
    metric: Metric = "rmse",
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Mean over splits of the mean over seeds of the metric: not the metric of all ratings together.

    A user can be in the test parts of several splits, so that their errors are no independent samples: a resample
    draws users once and scores every split on them, as often as each was drawn. A split of which a resample draws
    nobody is left out of that resample's mean. The interval is told as any other: widened, and none of too few users.

    Raises:
        ValueError: there is no split, shapes disagree, or a value is missing.
    """
    if not splits:
        raise ValueError("need at least one split")
    known = pd.unique(np.concatenate([np.asarray(split.users) for split in splits]))
    losses = [_user_losses(split, pd.Index(known), metric) for split in splits]

    def value(times: FloatArray) -> float:
        """From how often each user was drawn [users]."""
        drawn = [(sums @ times, counts @ times) for sums, counts in losses]
        means = [loss / ratings for loss, ratings in drawn if ratings > 0]
        return float(np.mean([(np.sqrt(mean) if LOSSES[metric].root else mean).mean() for mean in means]))

    observed = value(np.ones(len(known)))
    rng = np.random.default_rng(seed)
    shares = np.full(len(known), 1 / len(known))
    draws = [value(rng.multinomial(len(known), shares).astype(np.float64)) for _ in range(resamples)]
    return Interval(observed, *percentiles(np.array(draws), len(known), level), level)


def _user_losses(split: Scored, known: pd.Index, metric: Metric) -> tuple[FloatArray, FloatArray]:
    """Sums of the losses [seeds, users] and numbers of ratings [users] of one split."""
    codes = known.get_indexer(pd.Index(np.asarray(split.users)))
    truth = np.asarray(split.truth, dtype=np.float64)
    predicted = np.atleast_2d(np.asarray(split.predicted, dtype=np.float64))
    if truth.shape != codes.shape or predicted.shape[1:] != codes.shape or codes.size == 0:
        raise ValueError(
            f"users {codes.shape}, truth {truth.shape} and predictions {predicted.shape} of a split must have one "
            "entry a rating, and one rating at least"
        )
    errors = predicted - truth
    if (codes < 0).any() or not np.isfinite(errors).all():
        raise ValueError("user ids, ratings and predictions must not be missing or infinite")
    losses = LOSSES[metric].of(errors)
    sums = np.array([np.bincount(codes, weights=row, minlength=len(known)) for row in losses])
    return sums, np.bincount(codes, minlength=len(known)).astype(np.float64)
