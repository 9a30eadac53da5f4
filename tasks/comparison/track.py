"""Log a fitted model of any family to MLflow, so that it can be compared and served, and let the best one challenge."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from prefect import task

from attrec.serving.items import save_shown_items
from attrec.serving.served import DEFAULT_K, Column, Served
from tasks.comparison import served as served_model
from tasks.comparison.champion import Challenger, challenge
from tasks.comparison.family import Family, Fitted, T
from tasks.engine import tracking
from tasks.engine.artifacts import Artifact

LIBRARY = Path(__file__).resolve().parents[2] / "attrec"
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
# MLflow makes floats of whole numbers that some rows leave out, and refuses these for an integer type.
TYPES: dict[str, DataType | AnyType] = {
    "text": DataType.string,
    "whole": DataType.long,
    "real": DataType.double,
    "number or nothing": AnyType(),
}


@task(name="track", task_run_name="track {fitted.name}")
def track(
    family: Family[Any, T],
    fitted: Fitted,
    training: T,
    parent: str,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
) -> tuple[str, str]:
    """One child run: parameters, figures, loss curves, plots, what the model said on validation, the model.

    Args:
        parent: Run id of the comparison.
        scores: By part, the table of all models' figures.

    Returns:
        Run id and the URI of the logged model.
    """
    with tracking.tracked_run(fitted.name, {"seeds": fitted.seeds, **fitted.config}, tags, parent) as run_id:
        log_figures(run_id, fitted.name, scores)
        log_losses(run_id, family.losses(fitted))
        with tempfile.TemporaryDirectory() as folder:
            for file, figure in family.plots(fitted).items():
                figure.savefig(Path(folder) / file, dpi=120, bbox_inches="tight")
                tracking.log_files(run_id, Path(folder) / file)
            said = Path(folder) / family.contest.file
            family.on_validation(fitted, training).to_parquet(said, index=False)
            tracking.log_files(run_id, said)
            items, users = family.items(training), family.user_ids(training)
            asked = signature(family.served, items["item_id"], users)
            uri = log_served_model(fitted.models[0], items, asked, run_id, Path(folder))
    return run_id, uri


def log_figures(run_id: str, model: str, scores: Mapping[str, pd.DataFrame]) -> None:
    """Log the figures of one model, by part and metric."""
    for part, table in scores.items():
        own = table[table["model"] == model]
        figures = zip(own["metric"], own["value"], strict=True)
        tracking.log_metrics(run_id, {f"{part}/{metric}": value for metric, value in figures})


def log_losses(run_id: str, losses: Mapping[str, pd.DataFrame]) -> None:
    """Log losses by epoch, by name of what was trained."""
    for name, frame in losses.items():
        place = f"loss/{name}".rstrip("/")
        for kind in ("train", "validation"):
            known = frame.dropna(subset=f"{kind}_loss")
            values, epochs = known[f"{kind}_loss"].tolist(), known["epoch"].tolist()
            tracking.log_curve(run_id, f"{place}/{kind}", values, epochs)


@task(name="challenge-champion")
def challenge_champion(
    family: Family[Any, T],
    fitted: Fitted,
    run_id: str,
    uri: str,
    training: T,
    facts: Mapping[str, Any],
    seed: int,
) -> str:
    """Let the best model on validation challenge the champion; return what happened, in a sentence.

    Args:
        facts: Dataset and split.
    """
    challenger = Challenger(
        model=fitted.name,
        run_id=run_id,
        model_uri=uri,
        dataset=facts["dataset"],
        split_hash=family.split_hash(facts, training),
        validation=family.on_validation(fitted, training),
        contest=family.contest,
    )
    return challenge(family.registered, challenger, seed)


def log_served_model(
    model: Artifact, items: pd.DataFrame, signature: ModelSignature, run_id: str, scratch: Path
) -> str:
    """Log a model under a run: written from code, with the library beside it, and no pickle.

    Args:
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
            python_model=str(served_model.__file__),
            artifacts={"model": str(folder)},
            code_paths=[str(LIBRARY)],
            signature=signature,
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in SERVING_PACKAGES],
        )
    # Ending the fluent run marks the child finished early; the tracked run closes it for good.
    return str(info.model_uri)


def signature(served: type[Served], item_ids: pd.Series, user_ids: pd.Series | None = None) -> ModelSignature:
    """What a served model takes and gives, ids in the types of the data."""
    types = {**TYPES, "item_id": _id_type(item_ids)}
    if user_ids is not None:
        types["user_id"] = _id_type(user_ids)

    def schema(columns: tuple[Column, ...]) -> Schema:
        return Schema(
            [ColSpec(types[column.holds], column.name, required=column.required) for column in columns]
        )

    asked = [ParamSpec("k", DataType.integer, DEFAULT_K)] if served.lists else []
    options: dict[str, Any] = {"params": ParamSchema(asked)} if asked else {}
    return ModelSignature(inputs=schema(served.inputs), outputs=schema(served.outputs), **options)


def _id_type(ids: pd.Series) -> DataType:
    return DataType.long if pd.api.types.is_integer_dtype(ids) else DataType.string
