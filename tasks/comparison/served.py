"""A model of any family as MLflow serves it: written from this file, so that no pickle is involved.

MLflow stores this file alone, with `attrec` packed beside it, so it imports nothing else of the project.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

LIBRARY_FILE = "attrec.zip"
# Before what is imported from it.
if (Path(__file__).parent / "code" / LIBRARY_FILE).is_file():
    sys.path.insert(0, str(Path(__file__).parent / "code" / LIBRARY_FILE))

from attrec.errors import DataError  # noqa: E402
from attrec.serving.served import DEFAULT_K, Served, read_served  # noqa: E402


class ServedModel(PythonModel):
    """Answers as its family does (see `ServedRatings`, `ServedSequences`, `ServedPlaylists`)."""

    answers: Served

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model and what is shown of its items."""
        self.answers = read_served(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer a request.

        Raises:
            MlflowException: it cannot be answered. The server sends its sentence, and no traceback.
        """
        k = (params or {}).get("k")
        try:
            return self.answers.answer(model_input, DEFAULT_K if k is None else int(k))
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        except Exception as error:
            # Of any other exception MLflow would send the traceback.
            logging.getLogger(__name__).exception("A request met a fault of this server.")
            raise MlflowException("The request met a fault of this server, which its log tells.") from error


mlflow.models.set_model(ServedModel())
