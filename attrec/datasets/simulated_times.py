"""When simulated users act: sittings with breaks between them, shaped like those of MovieLens 100K."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY = 86_400
_STARTS_WITHIN = 0.9
_RETURNING = 0.55
"""Share of users who may come back; 39 % in ML-100K do, where an hour without a rating ends a sitting, and here not all
who may have ratings enough for it."""
_BREAK_EVERY = 45.0
"""Ratings of a returning user between two breaks: the median user; others log-normal around it."""
_SECONDS_BETWEEN = 35.0
"""Mean time between two ratings of a sitting, beyond the second that there is at least."""
_SHORTEST_BREAK = 3_600.0
_MEDIAN_BREAK = 7 * DAY


@dataclass(frozen=True)
class Times:
    """Of actions grouped by user, each user's in order."""

    seconds: np.ndarray
    """Since the beginning of the period, (actions,), strictly increasing within a user."""
    begins: np.ndarray
    """Whether an action is the first of a sitting, (actions,)."""
    own_time: np.ndarray
    """τ_u, (actions,): from -1 to 1 over the user's time, times the share of the period that it spans."""
    progress: np.ndarray
    """x, (actions,): from -1 to 1 over the user's actions."""


def draw_times(counts: np.ndarray, days: int, rng: np.random.Generator) -> Times:
    """Times of users with so many actions; the most that one may have is a third of the seconds of the period."""
    period = days * DAY
    n = int(counts.sum())
    owner = np.repeat(np.arange(len(counts)), counts)
    firsts = np.cumsum(counts) - counts
    number = np.arange(n) - firsts[owner]
    pause = rng.lognormal(0.0, 1.0, len(counts)) / _BREAK_EVERY
    pause *= rng.random(len(counts)) < _RETURNING
    begins = (rng.random(n) < pause[owner]) | (number == 0)
    gap = rng.exponential(_SECONDS_BETWEEN, n)
    breaks = _SHORTEST_BREAK + rng.lognormal(np.log(_MEDIAN_BREAK), 1.4, int(begins.sum()))
    gap[begins] = breaks
    gap[firsts] = 0.0
    start = rng.random(len(counts)) * np.minimum(_STARTS_WITHIN * period, period - 2.0 * counts)
    # Whoever would be at it beyond the end of the period comes back sooner; a second a rating is left.
    whole = np.add.reduceat(gap, firsts)
    room = period - start - counts - 1
    after = np.cumsum(gap)
    after -= (after[firsts] - gap[firsts])[owner]
    after *= np.minimum(1.0, room / np.maximum(whole, 1.0))[owner]
    seconds = np.floor(start[owner] + after).astype(np.int64) + number
    low, high = seconds[firsts][owner], seconds[firsts + counts - 1][owner]
    span = np.maximum(high - low, 1)
    # The drift scales with how long the user stayed, so that one sitting has next to none.
    own_time = (2.0 * (seconds - low) / span - 1.0) * (span / period)
    progress = (2.0 * number + 1.0) / counts[owner] - 1.0
    return Times(seconds, begins, own_time, progress)
