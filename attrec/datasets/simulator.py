"""Ratings drawn from a stated model, so that the best possible error is known.

The generative model (all draws from one seeded generator):

- A user has an age, a gender and an occupation that depends on the age. An item has a primary genre and up to
  two more, a year, and a place in a franchise whose members share most of their character.
- Taste: item vector q_i = Σ genre vectors / √n + franchise vector + own part; user vector p_u = share of the
  demographic vectors (age group, gender, occupation) + own part. d = ``dimensions``.
- Mean: m_ui(t) = μ + b_u + b_i + ``taste`` p_u·q_i + s_u·τ_u + s_i·τ, where τ in [-1, 1] is calendar time over the
  whole period and τ_u the same over the user's own activity: slow linear drifts.
- Tastes move slowly: at x in [-1, 1], the place of a rating among the user's own, p_u is
  (p_u + ``taste_drift`` x v_u) / √(1 + ``taste_drift``² / 3), v_u a direction of the user's own.
- What is rated, and when, is not random. Ratings a user follow a shifted log-normal with at least
  ``min_ratings_per_user``, in sittings (`attrec.datasets.simulated_times`). Which film comes next goes by the
  series of the film before, by the theme that the user is on, by popularity (which goes along with b_i) and by
  taste: P(i) stands in closed form in `attrec.datasets.simulated_choices`, and ratings are drawn by it exactly.
- Rating: r = clip(round(m + ε), 1, 5), ε ~ N(0, ``noise``²).

What the truth table has of it:

- ``expected`` is E[r | m] = 1 + Σ_{k=1..4} Φ((m − k − ½) / noise): exact for the rounding and the clipping, so the
  root mean square of r − expected is the noise floor of the RMSE.
- ``rank`` of a user's last film is its place among those unseen when they are sorted by P; null for all other
  ratings, and for the last ones of all but ``truth_users`` users. No ranking has a higher NDCG in expectation; it is
  of who knows the parameters of the world, and of the user what no data say: the taste, and the theme. So it bounds
  every model from above, and none can be expected to reach it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtr

from attrec.datasets.simulated_choices import UNRANKED, ChoiceModel, walk
from attrec.datasets.simulated_times import DAY, draw_times
from attrec.datasets.simulated_world import draw_items, draw_users
from attrec.datasets.tables import Tables, source_columns
from attrec.parameters import Seed

SOURCE = "simulated"
_RATINGS_A_BLOCK = 4_000_000
_FILMS_A_BLOCK = 500_000_000  # of all users of a block together: a bit each


class SimulatorConfig(BaseModel):
    """Size and character of the simulated world; the defaults resemble MovieLens 100K."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_users: int = Field(default=943, ge=2, le=2_000_000)
    n_items: int = Field(default=1682, ge=20, le=1_000_000)
    n_ratings: int = Field(default=100_000, ge=1, le=200_000_000)
    seed: Seed = 0
    dimensions: int = Field(default=3, ge=1, le=64)
    """Length of the latent taste vectors."""
    mean: float = 3.07
    """μ of the rating before selection; the mean of what is rated is higher."""
    user_bias: float = Field(default=0.45, ge=0)
    """Standard deviation of b_u, in stars."""
    item_bias: float = Field(default=0.55, ge=0)
    """Standard deviation of b_i, in stars."""
    taste: float = Field(default=0.65, ge=0)
    """Standard deviation of p_u·q_i over all pairs, in stars."""
    drift: float = Field(default=0.12, ge=0)
    """Standard deviation of the slopes s_u and s_i, in stars."""
    noise: float = Field(default=0.85, gt=0)
    """Standard deviation of ε, in stars."""
    selection: float = Field(default=1.0, ge=0, le=50)
    """λ: how strongly taste decides what is seen; 0: not at all."""
    series: float = Field(default=0.7, ge=0, lt=1)
    """α: how often the next part of a series is proposed after a part; 0: no more than any film."""
    theme: float = Field(default=0.85, ge=0, le=1)
    """θ: share of the other proposals that go by a theme; 0: none, all by popularity."""
    theme_films: int = Field(default=90, ge=1)
    """Films of a theme, about: those of one genre that follow each other by year."""
    theme_change: float = Field(default=0.03, ge=0, le=1)
    """ρ: share of the proposals by theme that open another theme; 1: no theme lasts."""
    theme_taste: float = Field(default=2.0, ge=0, le=50)
    """κ: how strongly taste decides which themes are taken up; 0: not at all."""
    taste_drift: float = Field(default=0.3, ge=0, le=10)
    """δ: how far tastes move over a user's ratings, either way from the middle, relative to their length."""
    truth_users: int = Field(default=10_000, ge=0)
    """Users, drawn at random, whose last action the truth table ranks; all where there are fewer."""
    min_ratings_per_user: int = Field(default=20, ge=1)
    days: int = Field(default=215, ge=1)
    """Length of the whole period; ML-100K spans 215 days."""

    @model_validator(mode="after")
    def _check_room(self) -> SimulatorConfig:
        if self.n_ratings > self.n_users * self.most_ratings_per_user:
            raise ValueError("n_ratings may be at most 45 % of all user-item pairs")
        if self.n_ratings < self.n_users:
            raise ValueError("n_ratings must be at least n_users: everyone rates something")
        if self.theme == 1 and self.theme_change == 0:
            raise ValueError(
                "theme must be below 1, or theme_change above 0: who has seen a theme could go nowhere"
            )
        if 3 * min(self.most_ratings_per_user, self.n_ratings) > self.days * DAY:
            raise ValueError(
                "days are too few: who rates most has three seconds for each rating, no two in one"
            )
        return self

    @property
    def most_ratings_per_user(self) -> int:
        """45 % of the items: the most active user of ML-100K rated 44 %."""
        return max(1, int(0.45 * self.n_items))


def simulate(config: SimulatorConfig) -> Tables:
    """Draw a world and its ratings; equal configurations give equal tables.

    About 1.5 s at the default size, one to two minutes and 2 GB for 20 million ratings of 27,000 films; memory grows
    with the tables alone, ratings being drawn in blocks of users. Blocks of another size give another world.

    Returns:
        Canonical tables with ``truth``; ids count from 1, ``file`` is ``simulated``, ``line`` the row.
    """
    rng = np.random.default_rng(config.seed)
    people = draw_users(config.n_users, config.dimensions, rng)
    films = draw_items(config.n_items, config.dimensions, config.theme_films, rng)
    counts = _ratings_per_user(config, rng)
    user_bias = rng.normal(0.0, config.user_bias, config.n_users)
    item_bias = config.item_bias * films.quality
    user_slope = rng.normal(0.0, config.drift, config.n_users)
    item_slope = rng.normal(0.0, config.drift, config.n_items)
    turn = rng.standard_normal(people.taste.shape).astype(np.float32) / np.float32(np.sqrt(config.dimensions))
    asked = rng.permutation(config.n_users) < config.truth_users
    model = ChoiceModel(
        films, config.selection, config.series, config.theme, config.theme_change, config.theme_taste
    )

    n = int(counts.sum())
    users, items = np.empty(n, np.int64), np.empty(n, np.int64)
    timestamps, ratings, expected = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.float32)
    rank = np.zeros(n, np.int32)
    ends = np.cumsum(counts)
    most_users = max(1, _FILMS_A_BLOCK // config.n_items)
    first = 0
    while first < config.n_users:
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + _RATINGS_A_BLOCK, side="right")))
        last = min(last, first + most_users)
        rows, block = slice(done, int(ends[last - 1])), slice(first, last)
        u = np.repeat(np.arange(first, last), counts[block])
        times = draw_times(counts[block], config.days, rng)
        taste = people.taste[u] + (config.taste_drift * times.progress).astype(np.float32)[:, None] * turn[u]
        taste /= np.float32(np.sqrt(1 + config.taste_drift**2 / 3))
        walked = walk(model, counts[block], taste, times.begins, asked[block], rng)
        i = walked.items
        mean = (
            config.mean
            + user_bias[u]
            + item_bias[i]
            + config.taste * np.einsum("nd,nd->n", taste, films.character[i])
            + user_slope[u] * times.own_time
            + item_slope[i] * (2.0 * times.seconds / (config.days * DAY) - 1.0)
        )
        users[rows], items[rows] = u + 1, i + 1
        timestamps[rows] = EPOCH + times.seconds
        ratings[rows] = np.clip(np.rint(mean + rng.normal(0.0, config.noise, len(mean))), 1, 5)
        expected[rows] = expected_rating(mean, config.noise)
        rank[ends[block] - 1] = walked.rank
        first = last

    table = pd.DataFrame({"user_id": users, "item_id": items, "rating": ratings, "timestamp": timestamps})
    ranked = pd.Series(pd.arrays.IntegerArray(rank, rank == UNRANKED))
    truth = table[["user_id", "item_id"]].assign(expected=expected, rank=ranked)
    return Tables(
        table.assign(**source_columns(SOURCE, n)),
        people.table.assign(**source_columns(SOURCE, config.n_users)),
        films.table.assign(**source_columns(SOURCE, config.n_items)),
        truth,
    )


EPOCH = 874_724_710  # the first rating of ML-100K: 20 September 1997


def expected_rating(mean: np.ndarray, noise: float) -> np.ndarray:
    """E[clip(round(m + ε), 1, 5)] for ε ~ N(0, noise²): one plus the chances of passing 1½, 2½, 3½ and 4½."""
    total = np.ones_like(mean)
    for threshold in (1.5, 2.5, 3.5, 4.5):
        total += ndtr((mean - threshold) / noise)
    return total


def _ratings_per_user(config: SimulatorConfig, rng: np.random.Generator) -> np.ndarray:
    """Shifted log-normal counts that sum to ``n_ratings`` exactly and never pass the cap."""
    cap = config.most_ratings_per_user
    low = min(config.min_ratings_per_user, config.n_ratings // config.n_users, cap)
    tail = rng.lognormal(0.0, 1.14, config.n_users)
    spare = config.n_ratings - low * config.n_users
    counts = np.full(config.n_users, low, dtype=np.int64)
    while spare > 0:
        open_ = np.flatnonzero(counts < cap)
        share = spare * tail[open_] / tail[open_].sum()
        add = np.minimum(np.floor(share).astype(np.int64), cap - counts[open_])
        if add.sum() == 0:  # less than one each: hand the rest to those with the largest tails
            order = open_[np.argsort(-tail[open_], kind="stable")][:spare]
            counts[order] += 1
            spare -= len(order)
            continue
        counts[open_] += add
        spare -= int(add.sum())
    return counts
