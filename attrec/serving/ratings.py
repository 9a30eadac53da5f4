"""A rating model that answers: what somebody would rate an item."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from attrec.ratings.model import RatingModel
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
