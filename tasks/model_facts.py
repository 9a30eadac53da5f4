"""What the models of a comparison are made of, and what their training took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from attrec.metrics.common_epoch import common_epoch
from attrec.models.size import ModelSize, model_size
from attrec.ratings.model import RatingModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.timings import total
from tasks.track_models import FittedModel

COLUMNS = (
    "model", "parameters", "counted", "cpu_seconds", "seconds", "common_epoch", "common_epoch_rmse",
    "expected_calibration_error", "log_loss",
)  # fmt: skip


@cached_task("model-size")
def measure_size(model: Artifact) -> ModelSize:
    """Numbers that a saved model is made of."""
    return model_size(model.path)


@cached_task("common-epochs")
def find_common_epochs(selected: dict[str, list[Artifact]]) -> Artifact:
    """The epoch that is best on the mean over all trainings, on the rows that each held out of its training part.

    Args:
        selected: Of each model, what selection left on every split and with every seed.

    Returns:
        Folder with `common_epochs.csv`: model, common_epoch, common_epoch_rmse, trainings.
    """
    rows = []
    for name, artifacts in selected.items():
        histories = [RatingModel.load(artifact.path).losses for artifact in artifacts]
        found = common_epoch([own[""].frame() for own in histories if "" in own])
        if found is not None:
            figures = {"common_epoch": found.epoch, "common_epoch_rmse": found.rmse}
            rows.append({"model": name, **figures, "trainings": len(histories)})
    columns = ["model", "common_epoch", "common_epoch_rmse", "trainings"]
    with writing("common-epochs") as draft:
        table = pd.DataFrame(rows, columns=columns)
        table.to_csv(draft.folder / "common_epochs.csv", index=False, float_format="%.6f")
    return draft.artifact


def model_facts(
    fitted: Sequence[Sequence[FittedModel]],
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
        seconds of all that had to be fitted for the model, selection included, mean over splits and seeds (missing
        where anything was computed before times were kept); common_epoch and common_epoch_rmse of the models that are
        trained by epochs in one go; expected_calibration_error and log_loss of those that give each rating a
        probability.
    """
    rows = []
    for by_split in zip(*fitted, strict=True):
        model = by_split[0]
        parts = [sizes[name] for name in model.members or [model.name]]
        counted = "trained" if all(part.counted == "trained" for part in parts) else "stored"
        rows.append(
            {
                "model": model.name,
                "parameters": sum(part.numbers for part in parts),
                "counted": counted,
                **_training_time(by_split),
            }
        )
    epochs = pd.read_csv(common_epochs.path / "common_epochs.csv").drop(columns="trainings")
    table = pd.DataFrame(rows).merge(epochs, on="model", how="left").astype({"common_epoch": "Int64"})
    summary = {} if classes is None else json.loads((classes.path / "summary.json").read_text())
    for name in ("expected_calibration_error", "log_loss"):
        table[name] = [summary.get(model, {}).get(name, float("nan")) for model in table["model"]]
    return table[list(COLUMNS)]


def _training_time(by_split: Sequence[FittedModel]) -> dict[str, float]:
    timings = [total(fits) for model in by_split for fits in model.fits]
    known = [timing for timing in timings if timing is not None]
    if not known or len(known) < len(timings):
        return {"cpu_seconds": float("nan"), "seconds": float("nan")}
    return {
        "cpu_seconds": sum(timing.cpu_seconds for timing in known) / len(known),
        "seconds": sum(timing.seconds for timing in known) / len(known),
    }
