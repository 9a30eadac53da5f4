"""What sequence models are made of, and what their training took."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.sequences.network import SequenceTransformer
from attrec.sequences.registry import load_sequence_model
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
        models = [load_sequence_model(artifact.path) for artifact in one.models]
        networks = [model for model in models if isinstance(model, SequenceTransformer)]
        if networks:
            row["parameters"] = sum(weight.numel() for weight in networks[0].network.parameters())
            row["epochs"] = sum(len(model.course.epochs) for model in networks) / len(networks)
            row["best_epoch"] = sum(model.course.best_epoch for model in networks) / len(networks)
        rows.append(row)
    return pd.DataFrame(rows)
