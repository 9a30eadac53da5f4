"""The users and items a model knows, and the integer codes they have inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from attrec.errors import DataError


@dataclass(frozen=True)
class Catalogue:
    """External ids in code order."""

    users: pd.Index
    items: pd.Index

    @classmethod
    def of(cls, user_features: pd.DataFrame, item_features: pd.DataFrame) -> Catalogue:
        """Every user and item that has a feature row (of no columns, perhaps)."""
        return cls(pd.Index(user_features.index), pd.Index(item_features.index))

    def encode(self, pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """User and item codes of the rows of `pairs`; -1 for an id that is unknown."""
        return self.users.get_indexer(pd.Index(pairs["user_id"])), self.items.get_indexer(
            pd.Index(pairs["item_id"])
        )

    def encode_ratings(self, ratings: pd.DataFrame) -> EncodedRatings:
        """Raises: DataError if a rated user or item is unknown, or if there is no rating."""
        if ratings.empty:
            raise DataError("there is no rating to fit a model on; give at least one row.")
        users, items = self.encode(ratings)
        for codes, column in ((users, "user_id"), (items, "item_id")):
            if (codes < 0).any():
                unknown = ratings[column].to_numpy()[codes < 0][0]
                raise DataError(
                    f"{column} {unknown} is rated but has no feature row; add one, all zeros if need be."
                )
        return EncodedRatings(
            users, items, ratings["rating"].to_numpy("float32"), len(self.users), len(self.items)
        )

    def newcomers(self, history: pd.DataFrame) -> Newcomers:
        """The users of `history` (user_id, item_id, rating) outside the catalogue, and how they rate items inside it.

        Of an item rated twice the later rating counts.
        """
        users, items = self.encode(history)
        own = history[(users < 0) & (items >= 0)].drop_duplicates(["user_id", "item_id"], keep="last")
        ids = pd.Index(own["user_id"].unique())
        return Newcomers(
            ids,
            ids.get_indexer(pd.Index(own["user_id"])),
            self.items.get_indexer(pd.Index(own["item_id"])),
            own["rating"].to_numpy("float64"),
        )

    def to_json(self) -> dict[str, list[Any]]:
        return {"users": self.users.tolist(), "items": self.items.tolist()}

    @classmethod
    def from_json(cls, content: dict[str, list[Any]]) -> Catalogue:
        return cls(pd.Index(content["users"], name="user_id"), pd.Index(content["items"], name="item_id"))


@dataclass(frozen=True)
class Newcomers:
    """Users outside a catalogue and their ratings of its items."""

    ids: pd.Index
    users: np.ndarray
    """[ratings] place of the user in `ids`."""
    items: np.ndarray
    """[ratings] codes."""
    ratings: np.ndarray
    """[ratings] float64."""


@dataclass(frozen=True)
class EncodedRatings:
    """Ratings as parallel arrays of user codes, item codes and values."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.values)

    def where(self, mask: np.ndarray) -> EncodedRatings:
        return EncodedRatings(
            self.users[mask], self.items[mask], self.values[mask], self.n_users, self.n_items
        )
