"""What the models of a published comparison are made of, and what their training took."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.models.base import Model
from tasks.comparison.family import Fitted
from tasks.engine.timings import mean


def model_facts(fitted: Sequence[Sequence[Fitted]]) -> pd.DataFrame:
    """model, parameters (missing of what has none that were fitted), epochs and best_epoch of what is trained by
    epochs, cpu_seconds and seconds of a fit: means over splits and seeds.

    Args:
        fitted: By split, all models in one order.
    """
    rows = []
    for by_split in zip(*fitted, strict=True):
        models = [Model.load(artifact.path) for one in by_split for artifact in one.models]
        sizes = [size for model in models if (size := model.trained) is not None]
        courses = [model.losses[""] for model in models if "" in model.losses]
        rows.append(
            {
                "model": by_split[0].name,
                "parameters": round(sum(sizes) / len(sizes)) if sizes else None,
                "epochs": sum(len(course.epochs) for course in courses) / len(courses) if courses else None,
                "best_epoch": sum(course.best_epoch for course in courses) / len(courses)
                if courses
                else None,
                **training_time(by_split),
            }
        )
    return pd.DataFrame(rows)


def training_time(by_split: Sequence[Fitted]) -> dict[str, float]:
    """cpu_seconds and seconds of all that had to be fitted for a model, mean over splits and seeds; missing where
    anything was computed before times were kept."""
    timing = mean([fits for model in by_split for fits in model.fits])
    if timing is None:
        return {"cpu_seconds": float("nan"), "seconds": float("nan")}
    return {"cpu_seconds": timing.cpu_seconds, "seconds": timing.seconds}
