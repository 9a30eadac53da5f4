"""Intervals and paired tests for rating errors, by bootstrap over users, and the spread over seeds.

A user's errors resemble each other, so rows are not independent: whole users are drawn with replacement
(the cluster bootstrap, Field & Welsh 2007), never single ratings. What a metric needs of a user are the sum
of his losses and the number of his ratings, so a resample costs one gather over users, not over ratings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Metric = Literal["rmse", "mae"]
FloatArray = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
_DRAWS_AT_ONCE = 4_000_000  # 32 MB of drawn user codes


@dataclass(frozen=True)
class Interval:
    """A figure and the interval that holds `level` of the resamples; bounds are NaN for a single user."""

    value: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class PairedTest:
    """Metric of model A minus that of model B on the same rows; below zero, A has the smaller error."""

    difference: float
    low: float
    high: float
    p_value: float
    users: int
    level: float = LEVEL

    @property
    def significant(self) -> bool:
        """Whether a difference of zero is rejected at `1 - level`, two-sided."""
        return self.p_value < 1 - self.level


@dataclass(frozen=True)
class SeedSpread:
    """Mean and standard deviation (ddof 1) over seeds, with Student's t interval; NaN for a single seed."""

    mean: float
    sd: float
    low: float
    high: float
    seeds: int
    level: float = LEVEL


def bootstrap_interval(
    users: ArrayLike,
    truth: ArrayLike,
    predicted: ArrayLike,
    metric: Metric = "rmse",
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a rating error by drawing users with replacement.

    Args:
        users: shape (n,), the user of each scored rating.
        truth: shape (n,), the observed ratings.
        predicted: shape (n,), or (seeds, n) for one row a seed: the figure is then the mean over the seeds of
            the metric, and every resample scores all seeds on the same users.

    Raises:
        ValueError: when shapes disagree, a value is missing, or an option is out of range.
    """
    losses = _UserLosses.of(users, truth, predicted, metric)
    draws = losses.resampled(resamples, seed)
    low, high = _percentile_interval(draws, level)
    return Interval(losses.observed(), low, high, level)


def paired_test(
    users: ArrayLike,
    truth: ArrayLike,
    predicted_a: ArrayLike,
    predicted_b: ArrayLike,
    metric: Metric = "rmse",
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedTest:
    """Whether two models' errors on the same rows differ, by drawing users with replacement.

    Both models are scored on the same drawn users, so what makes a user hard for both cancels. The two-sided
    p is twice the smaller share of resamples on either side of zero, one added to each count so that it
    is never zero (Davison & Hinkley 1997, eq. 4.11): it falls below 0.05 where the 95 % interval leaves zero
    out. The models may have different numbers of seeds; else arguments and errors are `bootstrap_interval`'s.
    """
    losses_a = _UserLosses.of(users, truth, predicted_a, metric)
    losses_b = _UserLosses.of(users, truth, predicted_b, metric)
    differences = losses_a.resampled(resamples, seed) - losses_b.resampled(resamples, seed)
    return _paired_test(losses_a, losses_b, differences, level)


def compare_to_best(
    users: ArrayLike,
    truth: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    metric: Metric = "rmse",
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired test of every model against the one with the smallest error.

    Returns:
        One row a model but the best, in order of its error: model, reference (the best), metric, difference
        (model - reference, so above zero), ci_low, ci_high, p_value, and p_adjusted (Holm, over the rows).
    """
    losses = {model: _UserLosses.of(users, truth, rows, metric) for model, rows in predictions.items()}
    ranked = sorted(losses, key=lambda model: (losses[model].observed(), model))
    rows = []
    for model in ranked[1:]:
        best = losses[ranked[0]]
        differences = losses[model].resampled(resamples, seed) - best.resampled(resamples, seed)
        test = _paired_test(losses[model], best, differences, level)
        rows.append((model, ranked[0], metric, test.difference, test.low, test.high, test.p_value))
    columns = ["model", "reference", "metric", "difference", "ci_low", "ci_high", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adjusted=holm(table["p_value"].to_numpy(dtype=np.float64)))


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's step-down adjustment (1979): with 5 % chance at most is any result under 0.05 false."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def seed_spread(values: Sequence[float] | FloatArray, level: float = LEVEL) -> SeedSpread:
    """Summarise one metric measured under several seeds; it says nothing of the users: see the bootstrap.

    Raises:
        ValueError: when there is no value, or one that is not finite.
    """
    _check_level(level)
    figures = np.asarray(values, dtype=np.float64)
    if figures.ndim != 1 or figures.size == 0 or not np.isfinite(figures).all():
        raise ValueError("need one finite value or more, one a seed")
    mean, n = float(figures.mean()), figures.size
    if n == 1:
        return SeedSpread(mean, np.nan, np.nan, np.nan, 1, level)
    sd = float(figures.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / np.sqrt(n)
    return SeedSpread(mean, sd, mean - half, mean + half, n, level)


@dataclass(frozen=True)
class _UserLosses:
    """Sums of the losses, shape (seeds, users), and numbers of ratings, shape (users,)."""

    sums: FloatArray
    counts: FloatArray
    metric: Metric

    @classmethod
    def of(cls, users: ArrayLike, truth: ArrayLike, predicted: ArrayLike, metric: Metric) -> _UserLosses:
        codes, known = pd.factorize(np.asarray(users), sort=True)
        true_ratings = np.asarray(truth, dtype=np.float64)
        predictions = np.atleast_2d(np.asarray(predicted, dtype=np.float64))
        if true_ratings.shape != codes.shape or predictions.shape[1:] != codes.shape:
            raise ValueError(
                f"users {codes.shape}, truth {true_ratings.shape} and predictions {predictions.shape} "
                "must have one entry a rating"
            )
        if codes.size == 0:
            raise ValueError("need at least one rating to score")
        errors = predictions - true_ratings
        if (codes < 0).any() or not np.isfinite(errors).all():
            raise ValueError("user ids, ratings and predictions must not be missing or infinite")
        losses = np.square(errors) if metric == "rmse" else np.abs(errors)
        sums = np.array(
            [np.bincount(codes, weights=row, minlength=len(known)) for row in losses], dtype=np.float64
        )
        counts = np.bincount(codes, minlength=len(known)).astype(np.float64)
        return cls(sums, counts, metric)

    def observed(self) -> float:
        ratings = self.counts.sum(keepdims=True)
        return float(self._metric(self.sums.sum(axis=1), ratings).mean())

    def resampled(self, resamples: int, seed: int) -> FloatArray:
        """Shape (resamples,): the mean over seeds of the metric; equal seeds draw equal users."""
        if resamples < 1:
            raise ValueError(f"need at least one resample, got {resamples}")
        n_users = self.counts.size
        if n_users == 1:
            return np.full(resamples, np.nan)
        rng = np.random.default_rng(seed)
        results = np.empty(resamples)
        step = max(1, _DRAWS_AT_ONCE // n_users)
        for start in range(0, resamples, step):
            stop = min(start + step, resamples)
            drawn = rng.integers(n_users, size=(stop - start, n_users))  # (resamples, users)
            ratings = self.counts[drawn].sum(axis=1)
            by_seed = [self._metric(sums[drawn].sum(axis=1), ratings) for sums in self.sums]
            results[start:stop] = np.mean(by_seed, axis=0)
        return results

    def _metric(self, loss: FloatArray, ratings: FloatArray) -> FloatArray:
        mean = loss / ratings
        return np.sqrt(mean) if self.metric == "rmse" else mean


def _paired_test(a: _UserLosses, b: _UserLosses, differences: FloatArray, level: float) -> PairedTest:
    low, high = _percentile_interval(differences, level)
    # ~(>) rather than <=, so that the undefined differences of a single user reject nothing
    smaller_side = min(np.count_nonzero(~(differences > 0)), np.count_nonzero(~(differences < 0)))
    p_value = min(1.0, 2 * (smaller_side + 1) / (differences.size + 1))
    return PairedTest(a.observed() - b.observed(), low, high, p_value, a.counts.size, level)


def _percentile_interval(draws: FloatArray, level: float) -> tuple[float, float]:
    _check_level(level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
