"""Intervals and paired tests by bootstrap over users, for rating errors and for one value a user; spread over seeds.

A user's errors resemble each other, so rows are not independent: whole users are drawn with replacement
(the cluster bootstrap, Field & Welsh 2007), never single ratings. What a metric needs of a user are the sum
of his losses and the number of his ratings, so a resample is one product over users, not over ratings. A value a
user, such as the NDCG of what he did next, is a sum over one rating.

Percentiles of the resamples are too near each other where users are few, by the factor between Student's distribution
and the normal one and by sqrt(n / (n - 1)); their levels are widened by both (Hesterberg 2015, "expanded percentile").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Metric = Literal["rmse", "mae"]
"""Errors of ratings: each is in `LOSSES`."""
Name = TypeVar("Name")
FloatArray = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
FEWEST_USERS = 20
"""With fewer a bootstrap over users does not keep its level: there is no interval, and no difference is one."""


class Loss(NamedTuple):
    """How an error of ratings is measured."""

    of: Callable[[FloatArray], FloatArray]
    """Of each error."""
    root: bool
    """Whether the metric is the square root of the mean loss."""


LOSSES: dict[Metric, Loss] = {"rmse": Loss(np.square, root=True), "mae": Loss(np.abs, root=False)}
_DRAWS_AT_ONCE = 4_000_000  # 32 MB of drawn user codes


@dataclass(frozen=True)
class Interval:
    """A figure and its interval; bounds are NaN for fewer than `FEWEST_USERS`."""

    value: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class PairedTest:
    """Metric of model A minus that of model B on the same rows or users; of errors, A has the smaller below zero.

    For fewer than `FEWEST_USERS` the bounds are NaN and p is 1.
    """

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
    sums = UserSums.of_errors(users, truth, predicted, metric)
    return _interval(sums, _resample([sums], resamples, seed)[0], level)


def mean_intervals(
    values: Mapping[Name, ArrayLike], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[Name, Interval]:
    """Percentile intervals of means of one value a user, by drawing users with replacement once for all of them.

    Args:
        values: by name, shape (users,), or (seeds, users) for one row a seed: the figure is then the mean over the
            seeds, and every resample scores all seeds on the same users.

    Raises:
        ValueError: when there is no value, one is not finite, numbers of users differ, or an option is out of range.
    """
    return intervals(
        {name: UserSums.of_values(rows) for name, rows in values.items()}, resamples, level, seed
    )


def intervals(
    sums: Mapping[Name, UserSums], resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[Name, Interval]:
    """Percentile intervals of any metric that is made of sums a user, drawing users once for all of them.

    Raises:
        ValueError: numbers of users differ, or an option is out of range.
    """
    draws = _resample(list(sums.values()), resamples, seed) if sums else []
    return {name: _interval(sums[name], of_name, level) for name, of_name in zip(sums, draws, strict=True)}


def mean_interval(
    values: ArrayLike, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """`mean_intervals` of a single name."""
    return mean_intervals({"": values}, resamples=resamples, level=level, seed=seed)[""]


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

    Both models are scored on the same drawn users, so what makes a user hard for both cancels. The two-sided p is that
    of the interval which ends at zero, by the share of resamples on the other side of it, one added to each count so
    that it is never zero (Davison & Hinkley 1997, eq. 4.11): it falls below 0.05 where the 95 % interval leaves zero
    out. The models may have different numbers of seeds; else arguments and errors are `bootstrap_interval`'s.
    """
    a, b = (UserSums.of_errors(users, truth, rows, metric) for rows in (predicted_a, predicted_b))
    draws = _resample([a, b], resamples, seed)
    return _paired_test(a, b, draws[0] - draws[1], level)


def paired_mean_test(
    values_a: ArrayLike,
    values_b: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedTest:
    """Whether the means of one value a user differ between two models, scored on the same users in the same order.

    As `paired_test`; arguments and errors are `mean_intervals`'s.
    """
    a, b = UserSums.of_values(values_a), UserSums.of_values(values_b)
    draws = _resample([a, b], resamples, seed)
    return _paired_test(a, b, draws[0] - draws[1], level)


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
    sums = {model: UserSums.of_errors(users, truth, rows, metric) for model, rows in predictions.items()}
    return compare_sums(sums, metric, lower_is_better=True, resamples=resamples, level=level, seed=seed)


def compare_means(
    values: Mapping[str, ArrayLike],
    metric: str,
    reference: str | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """As `compare_to_best` for one value a user of which more is better; differences are below zero then.

    Args:
        values: by model, (users,) or (seeds, users), the users in the same order.
        metric: its name, for the table.
        reference: the model that all others are held against; None for the best.

    Raises:
        ValueError: as `mean_intervals`.
    """
    sums = {model: UserSums.of_values(rows) for model, rows in values.items()}
    return compare_sums(sums, metric, reference, resamples=resamples, level=level, seed=seed)


def compare_sums(
    sums: Mapping[str, UserSums],
    metric: str,
    reference: str | None = None,
    *,
    lower_is_better: bool = False,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """As `compare_to_best` for any metric that is made of sums a user.

    Args:
        reference: the model that all others are held against; None for the best.
    """
    sign = 1 if lower_is_better else -1
    ranked = sorted(sums, key=lambda model: (model != reference, sign * sums[model].observed(), model))
    return _compare_to_first(sums, ranked, metric, resamples, level, seed)


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's step-down adjustment (1979): with 5 % chance at most is any result under 0.05 false."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
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
class UserSums:
    """Of each user the sum of what is averaged, shape (seeds, users), and over how many ratings, shape (users,).

    All that scores, intervals and tests need of a model's answers, whatever its family.
    """

    sums: FloatArray
    counts: FloatArray
    root: bool = False
    """Whether the metric is the square root of the mean."""

    @classmethod
    def of_errors(cls, users: ArrayLike, truth: ArrayLike, predicted: ArrayLike, metric: Metric) -> UserSums:
        codes, _ = pd.factorize(np.asarray(users), sort=True)
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
        losses = LOSSES[metric].of(errors)
        sums = np.array([np.bincount(codes, weights=row) for row in losses])
        return cls(sums, np.bincount(codes).astype(np.float64), root=LOSSES[metric].root)

    @classmethod
    def of_values(cls, values: ArrayLike) -> UserSums:
        sums = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if sums.ndim != 2 or sums.size == 0 or not np.isfinite(sums).all():
            raise ValueError("need one finite value or more, one a user, in a row for each seed")
        return cls(sums, np.ones(sums.shape[1]))

    def by_seed(self) -> FloatArray:
        """The metric of each seed, shape (seeds,)."""
        return self.metric(self.sums.sum(axis=1) / self.counts.sum())

    def observed(self) -> float:
        """The metric, mean over the seeds."""
        return self.by_seed().mean().item()

    def of_users(self, kept: NDArray[np.bool_]) -> UserSums:
        """Those of some users alone."""
        return UserSums(self.sums[:, kept], self.counts[kept], self.root)

    def metric(self, means: FloatArray) -> FloatArray:
        return np.sqrt(means) if self.root else means


def _resample(models: Sequence[UserSums], resamples: int, seed: int) -> list[FloatArray]:
    """Of each model (resamples,): the mean over seeds of the metric; all models, and equal seeds, draw equal users."""
    if resamples < 1:
        raise ValueError(f"need at least one resample, got {resamples}")
    counts = models[0].counts
    if any(model.counts.size != counts.size for model in models):
        raise ValueError("need the same users for every model")
    n_users = counts.size
    rng = np.random.default_rng(seed)
    sums = np.concatenate([model.sums for model in models])
    means = np.empty((len(sums), resamples))
    step = max(1, _DRAWS_AT_ONCE // n_users)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = rng.integers(n_users, size=(stop - start, n_users))  # (resamples, users)
        cells = drawn + n_users * np.arange(stop - start)[:, None]
        times = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape).astype(np.float64)
        means[:, start:stop] = sums @ times.T / (times @ counts)
    of_model = np.split(means, np.cumsum([len(model.sums) for model in models])[:-1])
    return [model.metric(rows).mean(axis=0) for model, rows in zip(models, of_model, strict=True)]


def _interval(model: UserSums, draws: FloatArray, level: float) -> Interval:
    return Interval(model.observed(), *percentiles(draws, model.counts.size, level), level)


def _compare_to_first(
    sums: Mapping[str, UserSums],
    ranked: Sequence[str],
    metric: str,
    resamples: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    first, rows = ranked[0], []
    draws = dict(zip(ranked, _resample([sums[model] for model in ranked], resamples, seed), strict=True))
    for model in ranked[1:]:
        test = _paired_test(sums[model], sums[first], draws[model] - draws[first], level)
        rows.append((model, first, metric, test.difference, test.low, test.high, test.p_value))
    columns = ["model", "reference", "metric", "difference", "ci_low", "ci_high", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adjusted=holm(table["p_value"].to_numpy(dtype=np.float64)))


def _paired_test(a: UserSums, b: UserSums, differences: FloatArray, level: float) -> PairedTest:
    users = a.counts.size
    low, high = percentiles(differences, users, level)
    smaller_side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    p_value = 1.0
    if users >= FEWEST_USERS:
        share = min((smaller_side + 1) / (differences.size + 1), 0.5)
        p_value = 2 * float(stdtr(users - 1, ndtri(share) / _widening(users)))
    return PairedTest(a.observed() - b.observed(), low, high, p_value, users, level)


def percentiles(draws: FloatArray, users: int, level: float) -> tuple[float, float]:
    """Ends of the interval of what resamples of so many users gave, at the widened level; NaN for too few users.

    Raises:
        ValueError: the level is out of range.
    """
    _check_level(level)
    if users < FEWEST_USERS:
        return np.nan, np.nan
    tail = float(ndtr(_widening(users) * stdtrit(users - 1, (1 - level) / 2)))
    # The ends leave zero out where the share that p counts is below the tail.
    outside = max(int(np.ceil(tail * (draws.size + 1))) - 2, 0)
    ordered = np.sort(draws)
    return float(ordered[outside]), float(ordered[-1 - outside])


def _widening(users: int) -> float:
    """A bootstrap draws from n values, whose variance is (n - 1) / n of what it estimates."""
    return float(np.sqrt(users / (users - 1)))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
