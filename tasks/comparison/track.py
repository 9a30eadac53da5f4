"""Log a model that a stage has left to MLflow, so that it can be compared and served."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from prefect import task
from pydantic import BaseModel

from attrec.reporting.plots.common import loss_curves
from attrec.serving.served import DEFAULT_K, Column, Served, read_served
from attrec.shown import as_markdown
from tasks.comparison import served as served_model
from tasks.comparison.card import Card, read_figures, read_losses, size_of
from tasks.comparison.family import Family
from tasks.comparison.registry import EXPLAINS
from tasks.engine import tracking
from tasks.engine.timings import Timing

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
TYPES: dict[str, DataType | AnyType] = {
    "text": DataType.string,
    "whole": DataType.long,
    "real": DataType.double,
    "as sent": AnyType(),
}


class Tracked(BaseModel, frozen=True):
    """Where MLflow has a model."""

    run_id: str
    model_id: str

    @property
    def uri(self) -> str:
        """Of the logged model."""
        return f"models:/{self.model_id}"


@task(name="track", task_run_name="{name}: track")
def track(
    name: str,
    family: Family[Any, Any],
    folder: Path,
    parent: str,
    tags: Mapping[str, str],
    timing: Timing | None,
) -> Tracked:
    """One child run (see `log_kept_model`)."""
    return log_kept_model(family, folder, parent, tags, timing)


def log_kept_model(
    family: Family[Any, Any], folder: Path, parent: str, tags: Mapping[str, str], timing: Timing | None
) -> Tracked:
    """Log what a stage has left of a model: parameters, data, figures, losses, plots, costs and the model itself.

    Args:
        folder: As `keep_model` has written it.
        parent: Run id of the comparison.
        timing: Of its fit; None if it is not known.
    """
    card = Card.read(folder)
    params = {"seed": card.seeds[0], "seeds": len(card.seeds), "tried": card.tried, **card.config}
    served = read_served(folder)
    own_tags = {**tags, "model": card.model, EXPLAINS: str(served.explains).lower()}
    with tracking.tracked_run(card.model, params, own_tags, parent, as_markdown(card.sentence)) as run_id:
        tracking.log_dataset(run_id, card.dataset, "training")
        model = log_served_model(card, served, folder, run_id)
        figures = {**read_figures(folder), **costs(folder, timing)}
        tracking.log_metrics(run_id, figures, model.model_id, card.dataset)
        losses = read_losses(folder)
        log_losses(run_id, losses)
        with tempfile.TemporaryDirectory() as scratch:
            plots = family.plots(served.model)
            if not losses.empty:
                plots |= {"losses.png": loss_curves(_as_drawn(card.model, losses))}
            for file, figure in plots.items():
                figure.savefig(Path(scratch) / file, dpi=120, bbox_inches="tight")
            tracking.log_files(run_id, Path(scratch))
    return Tracked(run_id=run_id, model_id=model.model_id)


def costs(folder: Path, timing: Timing | None) -> dict[str, float]:
    """What a model is made of and what its fit took, a mean over seeds."""
    size = size_of(folder)
    found = {f"size/{size.counted}_numbers": float(size.numbers), "size/megabytes": size.megabytes}
    if timing is not None:
        found |= {f"fit/{name}": value for name, value in timing.model_dump().items() if value}
    return {name: round(value, 3) for name, value in found.items()}


def log_losses(run_id: str, losses: pd.DataFrame) -> None:
    """Log losses by epoch, by name of what was trained."""
    curves = {}
    for part, frame in losses.groupby("part", sort=False):
        for kind in ("train", "validation"):
            known = frame.dropna(subset=f"{kind}_loss")
            curves["/".join(filter(None, ("loss", str(part), kind)))] = dict(
                zip(known["epoch"].tolist(), known[f"{kind}_loss"].tolist(), strict=True)
            )
    tracking.log_curves(run_id, curves)


def log_served_model(card: Card, served: Served, folder: Path, run_id: str) -> Any:
    """Log a model under a run: written from code, with the library beside it, and no pickle."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        mlflow.start_run(run_id=run_id),
        warnings.catch_warnings(),
    ):
        library = Path(scratch) / served_model.LIBRARY_FILE
        library.write_bytes(packed_library())
        # MLflow would ask for the types of the function that it finds in the file.
        warnings.filterwarnings("ignore", message=".*type hint.*")
        # Ending the fluent run marks the child finished early; the tracked run closes it for good.
        return mlflow.pyfunc.log_model(
            name=logged_name(card.model),
            python_model=str(served_model.__file__),
            artifacts={"model": str(folder)},
            code_paths=[str(library)],
            signature=signature(card, served),
            input_example=served.example(),
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in SERVING_PACKAGES],
            model_type=type(served.model).__name__,
            params={"dataset": card.dataset.name, "split": card.split, "seed": str(card.seeds[0])},
            tags={"family": card.family, "dataset": card.dataset.name, "sentence": card.sentence},
        )


@cache
def packed_library() -> bytes:
    """The library in one file: a server takes each of several hundred by a request of its own."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for file in sorted(LIBRARY.rglob("*.py")):
            archive.write(file, file.relative_to(LIBRARY.parent))
    return packed.getvalue()


def logged_name(model: str) -> str:
    """What MLflow calls a logged model: it allows no dot."""
    return model.replace(".", "_")


def signature(card: Card, served: Served) -> ModelSignature:
    """What a served model takes and gives, ids in the types of the data."""
    types = {**TYPES, "item_id": _id_type(not pd.api.types.is_integer_dtype(served.items["item_id"]))}
    if card.textual_users is not None:
        types["user_id"] = _id_type(card.textual_users)

    def schema(columns: tuple[Column, ...]) -> Schema:
        return Schema(
            [ColSpec(types[column.holds], column.name, required=column.required) for column in columns]
        )

    asked = [ParamSpec("k", DataType.integer, DEFAULT_K)] if served.lists else []
    options: dict[str, Any] = {"params": ParamSchema(asked)} if asked else {}
    return ModelSignature(inputs=schema(served.inputs), outputs=schema(served.outputs), **options)


def _as_drawn(model: str, losses: pd.DataFrame) -> pd.DataFrame:
    labels = [f"{model}, {part}" if part else model for part in losses["part"]]
    renamed = losses.rename(columns={"train_loss": "train", "validation_loss": "validation"})
    return renamed.assign(model=labels)


def _id_type(textual: bool) -> DataType:
    return DataType.string if textual else DataType.long
