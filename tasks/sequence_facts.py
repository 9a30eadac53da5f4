"""What sequence models are made of, and what their training took."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.sequences.model import SequenceModel
from tasks.engine.timings import total
from tasks.track_sequence_models import FittedSequenceModel


def sequence_model_facts(fitted: Sequence[FittedSequenceModel]) -> pd.DataFrame:
    """model, parameters (missing of what is not trained by gradients), epochs and best_epoch (mean over the seeds),
    cpu_seconds and seconds of a fit (mean over the seeds; missing where one was computed before times were kept)."""
    rows = []
    for one in fitted:
        timings = [timing for artifact in one.models if (timing := total([artifact])) is not None]
        complete = len(timings) == len(one.models)
        row: dict[str, object] = {
            "model": one.name,
            "parameters": None,
            "epochs": None,
            "best_epoch": None,
            "cpu_seconds": sum(t.cpu_seconds for t in timings) / len(timings) if complete else None,
            "seconds": sum(t.seconds for t in timings) / len(timings) if complete else None,
        }
        models = [SequenceModel.load(artifact.path) for artifact in one.models]
        row["parameters"] = models[0].trained
        if losses := [of_part for model in models for of_part in model.losses.values()]:
            row["epochs"] = sum(len(course.epochs) for course in losses) / len(losses)
            row["best_epoch"] = sum(course.best_epoch for course in losses) / len(losses)
        rows.append(row)
    return pd.DataFrame(rows)
