"""The small tables that a comparison of sequence models leaves for DVC's metrics and plots and for the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.track_sequence_models import FittedSequenceModel


@cached_task("sequence-outputs")
def write_sequence_outputs(
    facts: dict[str, Any],
    fitted: list[FittedSequenceModel],
    evaluations: dict[str, Artifact],
    champion: str,
) -> Artifact:
    """Gather them.

    Returns:
        Folder with `metrics.json`, `validation/` and `test/` (see `evaluate_sequences`), `loss_curves.csv` and
        `summary.json` (dataset, split, seeds, champion on validation).
    """
    with writing("sequence-outputs") as draft:
        metrics = {}
        for part, evaluation in evaluations.items():
            shutil.copytree(
                evaluation.path, draft.folder / part, ignore=shutil.ignore_patterns("metrics.json")
            )
            metrics[part] = json.loads((evaluation.path / "metrics.json").read_text())
        (draft.folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        _loss_curves(fitted).to_csv(draft.folder / "loss_curves.csv", index=False, float_format="%.6f")
        summary = {
            "dataset": facts["dataset"],
            "split": facts["split"],
            "sequences": facts["sequences"],
            "champion_on_validation": champion,
            "seeds": {model.name: model.seeds for model in fitted},
        }
        (draft.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return draft.artifact


def _loss_curves(fitted: Sequence[FittedSequenceModel]) -> pd.DataFrame:
    """model, epoch, train, validation (1 - NDCG@10) of the first seed."""
    curves = [pd.DataFrame(columns=["model", "epoch", "train", "validation"])]
    for model in fitted:
        for history in model.histories().values():
            renamed = history.rename(columns={"train_loss": "train", "validation_loss": "validation"})
            curves.append(renamed.assign(model=model.name)[["model", "epoch", "train", "validation"]])
    return pd.concat(curves[1:] or curves, ignore_index=True)
