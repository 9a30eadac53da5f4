"""A rating model that answers: what somebody would rate an item."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.ratings.model import RatingModel
from attrec.serving.asked import Asked
from attrec.serving.served import DEFAULT_K, Column, Served


class ServedRatings(Served):
    """Rates pairs of raw ids.

    Input columns: user_id, item_id, and optionally rating. A row with a rating is something that a user, who may be
    new, has rated already; a row without one is a question, asked for the moment `timestamp` (seconds UTC) where the
    column is given, which models `+time` read. Output: user_id, item_id, prediction of each question.
    """

    family: ClassVar = "rating"
    model_class = RatingModel
    inputs: ClassVar = (
        Column("user_id", "user_id"),
        Column("item_id", "item_id"),
        Column("rating", "real", required=False),
        Column("timestamp", "number or nothing", required=False),
    )
    outputs: ClassVar = (
        Column("user_id", "user_id"),
        Column("item_id", "item_id"),
        Column("prediction", "real"),
    )
    told = ("user_id", "item_id", "rating")
    lists = False

    model: RatingModel

    def example(self) -> pd.DataFrame:
        """A question about somebody who is in the data."""
        catalogue = self.model.catalogue
        return pd.DataFrame(
            {"user_id": catalogue.users[:1].to_numpy(), "item_id": catalogue.items[:1].to_numpy()}
        )

    @property
    def explains(self) -> bool:
        return self.model.attends

    @property
    def known_items(self) -> pd.Index:
        return self.model.catalogue.items

    def understand(self, told: pd.DataFrame, place: str) -> pd.DataFrame:
        low, high = self.model.rating_range
        bad = ~told["rating"].between(low, high).to_numpy()
        if bad.any():
            row = told[bad].iloc[0]
            raise DataError(
                f"{place}, line {row.name}: {row['rating']:g} is no rating: give a number in {low:g} to {high:g}."
            )
        return super().understand(told.astype({"rating": "float32"}), place)

    def recommend_all(self, asked: Asked, k: int, exclude_seen: bool | None) -> pd.DataFrame:
        if asked.rows is None:
            return self.model.recommend(asked.ids, k, exclude_seen is not False)
        # Whoever tells what they have rated is somebody new, though a user of the data may have the same id.
        strangers = self._strangers(len(asked))
        codes = asked.ids.get_indexer(pd.Index(asked.rows["user_id"]))
        rows = asked.rows.assign(user_id=strangers[codes])
        best = self.model.recommend(strangers, k, exclude_seen is not False, rows)
        return best.assign(user_id=asked.ids[strangers.get_indexer(pd.Index(best["user_id"]))])

    def _strangers(self, number: int) -> pd.Index:
        """So many ids that no user of the data has."""
        users = self.model.catalogue.users
        if pd.api.types.is_integer_dtype(users):
            return pd.Index(int(users.min()) - 1 - np.arange(number))
        longest = "x" * (1 + int(users.astype(str).str.len().max()))
        return pd.Index([f"{longest}{code}" for code in range(number)])

    def answer(self, rows: pd.DataFrame, k: int = DEFAULT_K) -> pd.DataFrame:
        """Predict every row without a rating.

        Raises:
            DataError: some questions have a moment and others none, and the model reads it.
        """
        rated = rows["rating"].notna() if "rating" in rows else pd.Series(False, index=rows.index)
        questions = rows.loc[~rated, ["user_id", "item_id"]]
        asked = questions
        if "timestamp" in rows and rows.loc[~rated, "timestamp"].notna().any():
            moments = pd.to_numeric(rows.loc[~rated, "timestamp"], errors="coerce")
            asked = questions.assign(timestamp=moments)
        history = rows.loc[rated, ["user_id", "item_id", "rating"]] if rated.any() else None
        return questions.assign(prediction=self.model.predict(asked, history))


SERVED = ServedRatings
