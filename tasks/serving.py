"""The registered rating model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.ratings.model import RatingModel
from attrec.serving.items import read_shown_items


class ServedRatingModel(PythonModel):
    """Rates pairs of raw ids.

    Input columns: user_id, item_id, and optionally rating. A row with a rating is something that a user, who may be
    new, has rated already; a row without one is a question, asked for the moment `timestamp` (seconds UTC) where the
    column is given, which models `+time` read. Output: user_id, item_id, prediction of each question.
    """

    rating_model: RatingModel
    items: pd.DataFrame

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model and the titles."""
        folder = Path(context.artifacts["model"])
        self.rating_model = RatingModel.load(folder)
        self.items = read_shown_items(folder)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict every row without a rating.

        Raises:
            MlflowException: some questions have a moment and others none, and the model reads it. The server sends its
                sentence, and no traceback.
        """
        rated = (
            model_input["rating"].notna()
            if "rating" in model_input
            else pd.Series(False, index=model_input.index)
        )
        questions = model_input.loc[~rated, ["user_id", "item_id"]]
        asked = questions
        if "timestamp" in model_input and model_input.loc[~rated, "timestamp"].notna().any():
            moments = pd.to_numeric(model_input.loc[~rated, "timestamp"], errors="coerce")
            asked = questions.assign(timestamp=moments)
        history = model_input.loc[rated, ["user_id", "item_id", "rating"]] if rated.any() else None
        try:
            predicted = self.rating_model.predict(asked, history)
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return questions.assign(prediction=predicted)

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title and genres to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")


mlflow.models.set_model(ServedRatingModel())
