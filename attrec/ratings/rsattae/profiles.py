"""How users spread their ratings over the scale and how popular their choices are; the same of items and raters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from attrec.models.storage import read_arrays, write_arrays
from attrec.ratings.catalogue import EncodedRatings

MAX_LEVELS = 10
REGULARIZATION = 5.0


@dataclass(frozen=True)
class Profiles:
    """Share of each level of the rating scale, shrunk to its share among all ratings, and mean log(1 + count) of the
    counterparts."""

    levels: np.ndarray
    """[levels] lowest rating of each, ascending."""
    shares: np.ndarray
    """[levels] of all ratings."""
    item_activity: np.ndarray
    """[n_items] log(1 + ratings)."""
    user: pd.DataFrame
    """[n_users, levels + 1]"""
    item: pd.DataFrame
    """[n_items, levels + 1]"""

    @classmethod
    def fit(cls, ratings: EncodedRatings, levels: np.ndarray) -> Profiles:
        """`levels` as of `levels_of`; of all ratings, where these are some of them."""
        shares = np.bincount(_level(ratings.values, levels), minlength=len(levels)) / len(ratings)
        user_activity = np.log1p(np.bincount(ratings.users, minlength=ratings.n_users))
        item_activity = np.log1p(np.bincount(ratings.items, minlength=ratings.n_items))
        user = _profile("user", ratings.users, ratings.n_users, ratings.values, levels, shares)
        item = _profile("item", ratings.items, ratings.n_items, ratings.values, levels, shares)
        user["user choices"] = _mean(ratings.users, item_activity[ratings.items], ratings.n_users)
        item["item audience"] = _mean(ratings.items, user_activity[ratings.users], ratings.n_items)
        return cls(levels, shares, item_activity, user.astype("float32"), item.astype("float32"))

    def of_new_users(
        self, users: np.ndarray, items: np.ndarray, values: np.ndarray, n_users: int
    ) -> pd.DataFrame:
        """The table of users 0 … n_users - 1 that were not fitted on, from their ratings of known items."""
        table = _profile("user", users, n_users, values, self.levels, self.shares)
        table["user choices"] = _mean(users, self.item_activity[items], n_users)
        return table.astype("float32")

    def save(self, directory: Path) -> None:
        arrays = {name: getattr(self, name) for name in ("levels", "shares", "item_activity")}
        tables = {"user": self.user.to_numpy(), "item": self.item.to_numpy()}
        write_arrays(directory / "profiles.safetensors", arrays | tables)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if the file is missing or unreadable."""
        arrays = read_arrays(directory / "profiles.safetensors")
        levels = arrays["levels"]
        user = pd.DataFrame(arrays["user"], columns=[*_share_names("user", levels), "user choices"])
        item = pd.DataFrame(arrays["item"], columns=[*_share_names("item", levels), "item audience"])
        return cls(levels, arrays["shares"], arrays["item_activity"], user, item)


def levels_of(values: np.ndarray) -> np.ndarray:
    """The values that occur, ascending; the deciles where there are more than ten."""
    levels = np.unique(values)
    if len(levels) <= MAX_LEVELS:
        return levels
    return np.unique(np.quantile(values, np.arange(MAX_LEVELS) / MAX_LEVELS, method="inverted_cdf"))


def _level(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.maximum(np.searchsorted(levels, values, "right") - 1, 0)


def _profile(
    side: str, codes: np.ndarray, size: int, values: np.ndarray, levels: np.ndarray, shares: np.ndarray
) -> pd.DataFrame:
    counts = np.zeros((size, len(levels)))
    np.add.at(counts, (codes, _level(values, levels)), 1.0)
    shrunk = (counts + REGULARIZATION * shares) / (counts.sum(axis=1, keepdims=True) + REGULARIZATION)
    return pd.DataFrame(shrunk, columns=_share_names(side, levels))


def _share_names(side: str, levels: np.ndarray) -> list[str]:
    return [f"{side} share of {level}" for level in levels.tolist()]


def _mean(codes: np.ndarray, activity: np.ndarray, size: int) -> np.ndarray:
    sums = np.bincount(codes, activity, minlength=size)
    return sums / np.maximum(np.bincount(codes, minlength=size), 1)
