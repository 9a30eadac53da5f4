"""Ratings drawn from a stated model, so that the best possible error is known.

The generative model (all draws from one seeded generator):

- A user has an age, a gender and an occupation that depends on the age. An item has a primary genre and up to
  two more, a year, and a place in a franchise whose members share most of their character.
- Taste: item vector q_i = Σ genre vectors / √n + franchise vector + own part; user vector p_u = share of the
  demographic vectors (age group, gender, occupation) + own part. d = ``dimensions``.
- Mean: m_ui(t) = μ + b_u + b_i + p_u·q_i + s_u·τ_u + s_i·τ, where τ in [-1, 1] is calendar time over the
  whole period and τ_u the same over the user's own activity: slow linear drifts.
- What is rated is not random: ratings a user follow a shifted log-normal with at least
  ``min_ratings_per_user``; a user tries items by popularity (which goes along with b_i) and keeps one with
  probability σ(``selection`` · p_u·q_i), so that tastes decide what is seen.
- Rating: r = clip(round(m + ε), 1, 5), ε ~ N(0, ``noise``²).

``expected`` in the truth table is E[r | m] = 1 + Σ_{k=1..4} Φ((m − k − ½) / noise): exact for the rounding
and the clipping, so the root mean square of r − expected is the noise floor of the RMSE.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import expit, ndtr

from attrec.datasets.simulated_world import FilmWorld, People, draw_items, draw_users
from attrec.datasets.tables import Tables, source_columns
from attrec.parameters import Seed

SOURCE = "simulated"
_RATINGS_A_BLOCK = 2_000_000


class SimulatorConfig(BaseModel):
    """Size and character of the simulated world; the defaults resemble MovieLens 100K."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_users: int = Field(default=943, ge=2, le=2_000_000)
    n_items: int = Field(default=1682, ge=20, le=1_000_000)
    n_ratings: int = Field(default=100_000, ge=1, le=200_000_000)
    seed: Seed = 0
    dimensions: int = Field(default=3, ge=1, le=64)
    """Length of the latent taste vectors."""
    mean: float = 3.05
    """μ of the rating before selection; the mean of what is rated is higher."""
    user_bias: float = Field(default=0.45, ge=0)
    """Standard deviation of b_u, in stars."""
    item_bias: float = Field(default=0.55, ge=0)
    """Standard deviation of b_i, in stars."""
    taste: float = Field(default=0.6, ge=0)
    """Standard deviation of p_u·q_i over all pairs, in stars."""
    drift: float = Field(default=0.12, ge=0)
    """Standard deviation of the slopes s_u and s_i, in stars."""
    noise: float = Field(default=0.85, gt=0)
    """Standard deviation of ε, in stars."""
    selection: float = Field(default=1.0, ge=0)
    """How strongly taste decides what is seen; 0: not at all."""
    min_ratings_per_user: int = Field(default=20, ge=1)
    days: int = Field(default=215, ge=1)
    """Length of the whole period; ML-100K spans 215 days."""

    @model_validator(mode="after")
    def _check_room(self) -> SimulatorConfig:
        if self.n_ratings > self.n_users * self.most_ratings_per_user:
            raise ValueError("n_ratings may be at most 45 % of all user-item pairs")
        if self.n_ratings < self.n_users:
            raise ValueError("n_ratings must be at least n_users: everyone rates something")
        return self

    @property
    def most_ratings_per_user(self) -> int:
        """45 % of the items: the most active user of ML-100K rated 44 %."""
        return max(1, int(0.45 * self.n_items))


def simulate(config: SimulatorConfig) -> Tables:
    """Draw a world and its ratings; equal configurations give equal tables.

    About 0.3 s at the default size; memory grows with the tables alone, ratings being drawn in blocks of
    users.

    Returns:
        Canonical tables with ``truth``; ids count from 1, ``file`` is ``simulated``, ``line`` the row.
    """
    rng = np.random.default_rng(config.seed)
    people = draw_users(config.n_users, config.dimensions, rng)
    films = draw_items(config.n_items, config.dimensions, rng)
    counts = _ratings_per_user(config, rng)
    user_bias = rng.normal(0.0, config.user_bias, config.n_users)
    item_bias = config.item_bias * films.quality
    user_slope = rng.normal(0.0, config.drift, config.n_users)
    item_slope = rng.normal(0.0, config.drift, config.n_items)

    n = int(counts.sum())
    users, items = np.empty(n, np.int64), np.empty(n, np.int64)
    timestamps, ratings, expected = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.float32)
    ends = np.cumsum(counts)
    first = 0
    while first < config.n_users:
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + _RATINGS_A_BLOCK, side="right")))
        rows = slice(done, int(ends[last - 1]))
        u, i = _choose_items(np.arange(first, last), counts[first:last], people, films, config, rng)
        seconds, own_time = _draw_times(counts[first:last], config, rng)
        calendar = 2.0 * seconds / (config.days * 86_400) - 1.0
        mean = (
            config.mean
            + user_bias[u]
            + item_bias[i]
            + config.taste * _affinity(people, films, u, i)
            + user_slope[u] * own_time
            + item_slope[i] * calendar
        )
        users[rows], items[rows] = u + 1, i + 1
        timestamps[rows] = EPOCH + seconds
        ratings[rows] = np.clip(np.rint(mean + rng.normal(0.0, config.noise, len(mean))), 1, 5)
        expected[rows] = expected_rating(mean, config.noise)
        first = last

    table = pd.DataFrame({"user_id": users, "item_id": items, "rating": ratings, "timestamp": timestamps})
    truth = table[["user_id", "item_id"]].assign(expected=expected)
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


def _affinity(people: People, films: FilmWorld, u: np.ndarray, i: np.ndarray) -> np.ndarray:
    """p_u·q_i of each pair, in standard deviations."""
    return np.einsum("nd,nd->n", people.taste[u], films.character[i])


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


def _choose_items(
    block: np.ndarray,
    counts: np.ndarray,
    people: People,
    films: FilmWorld,
    config: SimulatorConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """(user, item) indices of one block, grouped by user, no pair twice.

    Each round tries popular items first and keeps those that suit; later rounds flatten the popularity, so
    that the most active users find what they lack further down the tail.
    """
    first, n_items = int(block[0]), films.n_items
    kept = np.empty(0, dtype=np.int64)
    lacking = counts.copy()
    flattening = 1.0
    while lacking.any():
        tried_users = np.repeat(block, np.where(lacking > 0, 2 * lacking + 8, 0))
        cumulative = np.cumsum(films.popularity**flattening)
        tried_items = np.searchsorted(cumulative, rng.random(len(tried_users)) * cumulative[-1], side="right")
        tried_items = np.minimum(tried_items, n_items - 1)
        suits = expit(config.selection * _affinity(people, films, tried_users, tried_items))
        accepted = rng.random(len(tried_users)) < suits
        keys = (tried_users[accepted] - first) * n_items + tried_items[accepted]
        # New ones only, in order of trial, so that the cut below keeps what was tried first.
        _, at = np.unique(np.concatenate([kept, keys]), return_index=True)
        keys = keys[np.sort(at[at >= len(kept)]) - len(kept)]
        kept = np.concatenate([kept, _first_of_each_user(keys, lacking, n_items)])
        lacking = counts - np.bincount(kept // n_items, minlength=len(block))
        flattening *= 0.8
    kept = kept[np.argsort(kept // n_items, kind="stable")]
    return kept // n_items + first, kept % n_items


def _first_of_each_user(keys: np.ndarray, wanted: np.ndarray, n_items: int) -> np.ndarray:
    """The first ``wanted[u]`` keys of each user; keys stand grouped by user already."""
    users = keys // n_items
    per_user = np.bincount(users, minlength=len(wanted))
    starts = np.cumsum(per_user) - per_user
    rank = np.arange(len(keys)) - starts[users]
    return keys[rank < wanted[users]]


def _draw_times(
    counts: np.ndarray, config: SimulatorConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the epoch, and τ_u in [-1, 1]: most ratings in one sitting, the rest in later ones."""
    period = config.days * 86_400
    start = rng.uniform(0.0, 0.9, len(counts)) * period
    owner = np.repeat(np.arange(len(counts)), counts)
    stays = rng.random(len(counts)) < 0.35
    gap = rng.exponential(0.2, len(owner)) * stays[owner] * (rng.random(len(owner)) < 0.5)
    seconds = start[owner] + gap * period + rng.uniform(0.0, 3_600.0, len(owner))
    seconds = np.minimum(seconds, period - 1).astype(np.int64)
    seconds = seconds[np.lexsort((seconds, owner))]
    ends = np.cumsum(counts)
    low, high = seconds[ends - counts], seconds[ends - 1]
    span = np.maximum(high - low, 1)[owner]
    # The drift scales with how long the user stayed, so that one sitting has none.
    own_time = (2.0 * (seconds - low[owner]) / span - 1.0) * (span / period)
    return seconds, own_time
