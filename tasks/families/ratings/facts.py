"""What the rating models of a published comparison are made of, beside what all families tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from attrec.metrics.common_epoch import common_epoch
from attrec.models.base import Model
from attrec.models.size import ModelSize, model_size
from attrec.ratings.model import RatingModel
from tasks.comparison.family import Fitted
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.reports.facts import training_time

COLUMNS = (
    "model", "parameters", "counted", "cpu_seconds", "seconds", "common_epoch", "common_epoch_rmse",
    "expected_calibration_error", "log_loss",
)  # fmt: skip


@cached_task("model-size")
def measure_size(model: Artifact, kind: type[Model]) -> ModelSize:
    """Numbers that a saved model of class `kind` is made of."""
    return model_size(model.path)


@cached_task("common-epochs")
def find_common_epochs(fitted: list[list[Fitted]]) -> Artifact:
    """The epoch that is best on the mean over all trainings, on the rows that each held out of its training part.

    Args:
        fitted: By split, all models in one order; what selection left of each, on every split and with every seed.

    Returns:
        Folder with `common_epochs.csv`: model, common_epoch, common_epoch_rmse, trainings.
    """
    rows = []
    for by_split in zip(*fitted, strict=True):
        selected = [artifact for one in by_split for artifact in one.selected]
        courses = [RatingModel.load(artifact.path).losses for artifact in selected]
        found = common_epoch([own[""].frame() for own in courses if "" in own])
        if found is not None:
            figures = {"common_epoch": found.epoch, "common_epoch_rmse": found.rmse}
            rows.append({"model": by_split[0].name, **figures, "trainings": len(courses)})
    columns = ["model", "common_epoch", "common_epoch_rmse", "trainings"]
    with writing("common-epochs") as draft:
        table = pd.DataFrame(rows, columns=columns)
        table.to_csv(draft.folder / "common_epochs.csv", index=False, float_format="%.6f")
    return draft.artifact


def rating_model_facts(
    fitted: Sequence[Sequence[Fitted]],
    sizes: Mapping[str, ModelSize],
    common_epochs: Artifact,
    classes: Artifact | None,
) -> pd.DataFrame:
    """One row a model.

    Args:
        fitted: By split, all models in one order.
        sizes: Of the models that are no blends; a blend is as large as its members together.
        common_epochs: See `find_common_epochs`.
        classes: See `calibrate_classes`; None if no model gives class probabilities.

    Returns:
        model; parameters and counted (see `ModelSize`; of a blend `stored` if any member's are); cpu_seconds and
        seconds (see `training_time`); common_epoch and common_epoch_rmse of the models that are trained by epochs in
        one go; expected_calibration_error and log_loss of those that give each rating a probability.
    """
    rows = []
    for by_split in zip(*fitted, strict=True):
        model = by_split[0]
        parts = [sizes[name] for name in model.members or [model.name]]
        counted = "trained" if all(part.counted == "trained" for part in parts) else "stored"
        numbers = sum(part.numbers for part in parts)
        rows.append(
            {"model": model.name, "parameters": numbers, "counted": counted, **training_time(by_split)}
        )
    epochs = pd.read_csv(common_epochs.path / "common_epochs.csv").drop(columns="trainings")
    table = pd.DataFrame(rows).merge(epochs, on="model", how="left").astype({"common_epoch": "Int64"})
    summary = {} if classes is None else json.loads((classes.path / "summary.json").read_text())
    for name in ("expected_calibration_error", "log_loss"):
        table[name] = [summary.get(model, {}).get(name, float("nan")) for model in table["model"]]
    return table[list(COLUMNS)]
