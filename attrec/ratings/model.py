"""The interface that every rating model has: config in the constructor, external ids at every boundary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.ratings.catalogue import Catalogue, EncodedRatings

if TYPE_CHECKING:
    from attrec.models.training import Losses


class RatingModel(ABC):
    """Predicts the rating a user would give an item.

    An unknown user without history, or an unknown item, contributes nothing of its own: what is predicted is
    then what the model knows of the other side, in the last resort the mean rating.
    """

    catalogue: Catalogue
    rating_range: tuple[float, float]
    """Lowest and highest training rating; predictions stay inside."""
    seen: np.ndarray
    """[n, 2] codes of the (user, item) pairs the model was fitted on, sorted by user."""

    @abstractmethod
    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
    ) -> Self:
        """Fit on `ratings` (user_id, item_id, rating); every choice is made on `validation` (same columns).

        The feature tables, indexed by user_id and item_id, have a row for every id the model shall know.

        Raises:
            DataError: a rated id has no feature row, or there are no ratings.
        """

    @abstractmethod
    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        """Predicted rating of each row of `pairs` (user_id, item_id), in rating units.

        `history` (user_id, item_id, rating) describes users never seen in training; nothing is retrained.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the fitted model into `directory`."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote. Raises: DataError if a file is missing or unreadable."""

    def recommend(
        self, user_id: int | str, k: int = 10, exclude_seen: bool = True, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """The k items with the highest predicted rating, best first, ties by catalogue order: item_id, score.

        `exclude_seen` leaves out what the user rated in training or in `history`.

        Raises:
            DataError: the user is neither known nor in `history`.
        """
        code = self.catalogue.users.get_indexer(pd.Index([user_id]))[0]
        known_history = history is not None and bool((history["user_id"] == user_id).any())
        if code < 0 and not known_history:
            raise DataError(
                f"user {user_id} is unknown to this model; pass some of their ratings as history."
            )
        pairs = pd.DataFrame({"user_id": user_id, "item_id": self.catalogue.items})
        scores = self.predict(pairs, history)
        allowed = np.ones(len(scores), dtype=bool)
        if exclude_seen:
            allowed[self.seen[self.seen[:, 0] == code, 1]] = False
            if history is not None:
                rated = history.loc[history["user_id"] == user_id, "item_id"]
                allowed &= ~self.catalogue.items.isin(rated)
        order = np.argsort(-scores, kind="stable")
        best = order[allowed[order]][:k]
        return pd.DataFrame({"item_id": self.catalogue.items[best], "score": scores[best]})

    @property
    def losses(self) -> dict[str, Losses]:
        """Losses of what was trained by epochs, by name of the part; of a single training the name is empty."""
        return {}

    @property
    def attends(self) -> bool:
        """Whether `explain` has an answer."""
        return False

    def explain(
        self, user_id: int | str, item_id: int | str, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """What a prediction rests on: item_id, rating, weight of what the user rated, largest weight first.

        Raises:
            DataError: the model has no attention, the item is unknown, or the user has no rating it knows.
        """
        raise DataError(
            "This model has no attention weights to explain a prediction by; ask an attentive one."
        )

    def remember_seen(self, ratings: EncodedRatings) -> None:
        pairs = np.stack([ratings.users, ratings.items], axis=1).astype("int32")
        self.seen = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        self.rating_range = float(ratings.values.min()), float(ratings.values.max())

    def save_base(self, directory: Path) -> None:
        content = {"catalogue": self.catalogue.to_json(), "rating_range": self.rating_range}
        write_json(directory / "rating_model.json", content)
        write_arrays(directory / "seen.safetensors", {"pairs": self.seen})

    def load_base(self, directory: Path) -> None:
        content = read_json(directory / "rating_model.json")
        self.catalogue = Catalogue.from_json(content["catalogue"])
        low, high = content["rating_range"]
        self.rating_range = float(low), float(high)
        self.seen = read_arrays(directory / "seen.safetensors")["pairs"]
