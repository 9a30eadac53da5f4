"""What the ratings around a moment say of one more: moods that last a few ratings, days that differ, an item's season.

People rate in bursts, and their ratings of one sitting err alike. The features look at both sides of a moment, as do
those of a test set whose ratings were drawn from among the training ratings; of tomorrow's rating only the past is
known, so figures of models that see these features stand apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.models.storage import read_arrays, write_arrays
from attrec.ratings.catalogue import EncodedRatings

NEAREST = (1, 2, 5, 15)
"""Ratings on either side of a moment."""
SECONDS = (60, 600, 86_400)
"""On either side of a moment."""
SEASON = 20 * 86_400
CLOCK = 2**36
"""Seconds; beyond every timestamp."""


@dataclass(frozen=True)
class Sequences:
    """Residuals of each user's, or each item's, ratings in order of time."""

    keys: np.ndarray
    """[n] code and time as one number, ascending."""
    sums: np.ndarray
    """[n + 1] running sum of the residuals."""

    @classmethod
    def of(cls, codes: np.ndarray, times: np.ndarray, residuals: np.ndarray) -> Self:
        keys = codes.astype("int64") * CLOCK + times
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], np.concatenate([[0.0], np.cumsum(residuals[order], dtype="float64")]))

    def at(self, codes: np.ndarray, times: np.ndarray) -> Neighbourhood:
        """Where moments stand in the sequences of their codes; a code without ratings has an empty one."""
        codes = codes.astype("int64")
        return Neighbourhood(self, codes, times)


@dataclass(frozen=True)
class Neighbourhood:
    """Moments [q] of the sequences with `codes` [q]."""

    sequences: Sequences
    codes: np.ndarray
    times: np.ndarray

    def place(self, seconds: int, side: str) -> np.ndarray:
        """[q] first rating not before (`left`), or after (`right`), the moment moved by `seconds`."""
        moved = self.codes * CLOCK + np.clip(self.times + seconds, 0, CLOCK - 1)
        places: np.ndarray = np.searchsorted(self.sequences.keys, moved, side)  # type: ignore[call-overload]
        return places

    @cached_property
    def start(self) -> np.ndarray:
        return np.searchsorted(self.sequences.keys, self.codes * CLOCK)

    @cached_property
    def end(self) -> np.ndarray:
        return np.searchsorted(self.sequences.keys, (self.codes + 1) * CLOCK)

    @cached_property
    def before(self) -> np.ndarray:
        return self.place(0, "left")

    @cached_property
    def after(self) -> np.ndarray:
        return self.place(0, "right")

    def mean(self, first: np.ndarray, last: np.ndarray, regularization: float) -> np.ndarray:
        """[q] mean residual of the ratings from `first` until before `last`, shrunk to zero."""
        sums = self.sequences.sums
        return (sums[last] - sums[first]) / (last - first + regularization)

    def nearest(self, before: int, after: int, regularization: float) -> np.ndarray:
        """[q] mean residual of so many ratings before and after the moment, with all at it if both are asked for."""
        first = self.before if before else self.after
        last = self.after if after else self.before
        first, last = np.maximum(first - before, self.start), np.minimum(last + after, self.end)
        return self.mean(first, np.maximum(first, last), regularization)

    def within(self, seconds: int) -> tuple[np.ndarray, np.ndarray]:
        """[q] the ratings at most `seconds` from the moment."""
        return self.place(-seconds, "left"), self.place(seconds, "right")

    def gap(self, side: str) -> np.ndarray:
        """[q] log(1 + seconds) since the rating before, or until the one after; -1 where there is none."""
        place = self.before - 1 if side == "before" else self.after
        inside = (place >= self.start) & (place < self.end)
        keys = self.sequences.keys
        if not len(keys):
            return np.full(len(self.codes), -1.0)
        seconds = np.abs(keys[place.clip(0, len(keys) - 1)] % CLOCK - self.times)
        return np.where(inside, np.log1p(seconds), -1.0)

    def age(self) -> np.ndarray:
        """[q] seconds since the first rating; 0 before it and where there is none."""
        keys = self.sequences.keys
        if not len(keys):
            return np.zeros(len(self.codes))
        first = keys[self.start.clip(max=len(keys) - 1)] % CLOCK
        return np.where(self.end > self.start, np.maximum(self.times - first, 0), 0)


def moment_features(
    of_users: Sequences, of_items: Sequences, users: np.ndarray, items: np.ndarray, times: np.ndarray
) -> pd.DataFrame:
    """Features [q] of coded pairs at `times` (seconds), from residuals that do not know the pairs' own ratings."""
    user, item = of_users.at(users, times), of_items.at(items, times)
    columns = {
        "same moment residual": user.mean(user.before, user.after, 2.0),
        "same moment count": user.after - user.before,
        **{f"nearest {n} residual": user.nearest(n, n, 2.0) for n in NEAREST},
        "last 2 residual": user.nearest(2, 0, 1.0),
        "next 2 residual": user.nearest(0, 2, 1.0),
    }
    for seconds in SECONDS:
        first, last = user.within(seconds)
        columns[f"within {seconds} s residual"] = user.mean(first, last, 2.0)
        columns[f"within {seconds} s log count"] = np.log1p(last - first)
    position = (user.before + user.after) / 2 - user.start
    first, last = item.within(SEASON)
    columns |= {
        "user's log position": np.log1p(position),
        "user's share of ratings before": position / np.maximum(user.end - user.start, 1),
        "gap before": user.gap("before"),
        "gap after": user.gap("after"),
        "user's log age": np.log1p(user.age()),
        "item's season residual": item.mean(first, last, 5.0),
        "item's season log count": np.log1p(last - first),
        "item's log age": np.log1p(item.age() / 86_400),
        "day": times / 86_400,
    }
    return pd.DataFrame(columns, dtype="float32")


@dataclass(frozen=True)
class Moments:
    """When the training ratings were made, and what members, each fitted on some of them, leave unexplained."""

    users: np.ndarray
    """[n] codes."""
    items: np.ndarray
    """[n] codes."""
    times: np.ndarray
    """[n] seconds."""
    residuals: np.ndarray
    """[members, n] float32; NaN where the member was not fitted on the rating."""

    @classmethod
    def of(cls, ratings: EncodedRatings, timestamps: np.ndarray, residuals: np.ndarray) -> Self:
        return cls(ratings.users, ratings.items, seconds(timestamps), residuals)

    def of_member(self, member: int, users: np.ndarray, items: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """`moment_features` from the ratings that one member was fitted on."""
        return moment_features(*self._sequences[member], users, items, times)

    def last(self, users: np.ndarray) -> np.ndarray:
        """[n] when coded users last rated anything; of users who never did, -1 among them, when anybody did."""
        last = np.full(max(int(self.users.max()), int(users.max(initial=0))) + 2, self.times.max())
        latest = pd.Series(self.times).groupby(self.users).max()
        last[latest.index.to_numpy()] = latest.to_numpy()
        return last[users]

    def save(self, directory: Path) -> None:
        names = ("users", "items", "times", "residuals")
        write_arrays(directory / "moments.safetensors", {name: getattr(self, name) for name in names})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if the file is missing or unreadable."""
        return cls(**read_arrays(directory / "moments.safetensors"))

    @cached_property
    def _sequences(self) -> list[tuple[Sequences, Sequences]]:
        sequences = []
        for residuals in self.residuals:
            own = ~np.isnan(residuals)
            sequences.append(
                (
                    Sequences.of(self.users[own], self.times[own], residuals[own]),
                    Sequences.of(self.items[own], self.times[own], residuals[own]),
                )
            )
        return sequences


def seconds(timestamps: np.ndarray) -> np.ndarray:
    """Timestamps as the sequences count them.

    Raises:
        DataError: one is missing.
    """
    return np.clip(whole_seconds(timestamps), 0, CLOCK - 1)


def whole_seconds(timestamps: np.ndarray) -> np.ndarray:
    """Timestamps of pairs as integers. Raises: DataError if one is missing."""
    if pd.isna(timestamps).any():
        raise DataError("a pair has no timestamp: give every pair one, or leave the column out.")
    return timestamps.astype("int64")
