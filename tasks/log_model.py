"""Log a fitted model so that MLflow can serve it: written from code, with the library beside it, and no pickle."""

from __future__ import annotations

import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import DataType
from mlflow.types.schema import AnyType

from attrec.serving.items import save_shown_items
from tasks.engine.artifacts import Artifact

LIBRARY = Path(__file__).resolve().parents[1] / "attrec"
SERVING_PACKAGES = (
    "mlflow",
    "torch",
    "xgboost-cpu",
    "pandas",
    "numpy",
    "pydantic",
    "safetensors",
    "pyarrow",
    "scipy",
    "rapidfuzz",
)


def log_served_model(
    serving: ModuleType,
    model: Artifact,
    items: pd.DataFrame,
    signature: ModelSignature,
    run_id: str,
    scratch: Path,
) -> str:
    """Log a model under a run.

    Args:
        serving: The module that sets the pyfunc model; it alone is stored, so it imports nothing but attrec.
        model: Folder of the saved model.
        items: item_id, and title, artist and genres where known; kept beside the model.
        scratch: Empty folder for the copy that is logged.

    Returns:
        URI of the logged model.
    """
    folder = scratch / "model"
    shutil.copytree(model.path, folder)
    save_shown_items(items, folder)
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # The signature is stated, so no input example is needed to infer one.
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(serving.__file__),
            artifacts={"model": str(folder)},
            code_paths=[str(LIBRARY)],
            signature=signature,
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in SERVING_PACKAGES],
        )
    # Ending the fluent run marks the child finished early; the tracked run closes it for good.
    return str(info.model_uri)


OPTIONAL_NUMBER = AnyType()
"""Type of an input column of whole numbers that some rows leave out: MLflow makes floats of them, and refuses these for
an integer type."""


def id_type(ids: pd.Series) -> DataType:
    """What a signature calls the type of external ids."""
    return DataType.long if pd.api.types.is_integer_dtype(ids) else DataType.string
