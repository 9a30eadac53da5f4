"""The small tables that a rating comparison leaves for DVC's metrics and plots and for the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.track_models import FittedModel, mean_importance


@cached_task("rating-outputs")
def write_rating_outputs(
    facts: Mapping[str, Any],
    fitted: list[FittedModel],
    evaluations: dict[str, Artifact],
    champion: str | None,
) -> Artifact:
    """Gather them; where nobody rates there are no models, no evaluations and no champion.

    Returns:
        Folder with `metrics.json`, `validation/` and `test/` (see `evaluate`), `loss_curves.csv`,
        `feature_importance.csv` and `summary.json` (dataset, split, seeds, champion on validation).
    """
    with writing("rating-outputs") as draft:
        metrics = {}
        for part, evaluation in evaluations.items():
            shutil.copytree(
                evaluation.path, draft.folder / part, ignore=shutil.ignore_patterns("metrics.json")
            )
            metrics[part] = json.loads((evaluation.path / "metrics.json").read_text())
        (draft.folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        _loss_curves(fitted).to_csv(draft.folder / "loss_curves.csv", index=False, float_format="%.6f")
        _importance(fitted, champion).to_csv(
            draft.folder / "feature_importance.csv", index=False, float_format="%.8f"
        )
        summary = {
            "dataset": facts["dataset"],
            "split": facts["split"],
            "champion_on_validation": champion,
            "seeds": {model.name: model.seeds for model in fitted},
        }
        (draft.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return draft.artifact


def _loss_curves(fitted: Sequence[FittedModel]) -> pd.DataFrame:
    """model, epoch, train, validation: what the first seed's selection trained, of autoencoders the first fold's."""
    curves = [pd.DataFrame(columns=["model", "epoch", "train", "validation"])]
    for model in fitted:
        for name, history in model.histories().items():
            if "-p" in name and not name.endswith("-p0-f0"):
                continue
            renamed = history.rename(columns={"train_loss": "train", "validation_loss": "validation"})
            label = f"{model.name}, {name.removesuffix('-p0-f0')}" if name else model.name
            curves.append(renamed.assign(model=label)[["model", "epoch", "train", "validation"]])
    return pd.concat(curves[1:] or curves, ignore_index=True)


def _importance(fitted: Sequence[FittedModel], champion: str | None) -> pd.DataFrame:
    """feature, importance of the champion, or of the last model that has boosters."""
    boosted = [model for model in fitted if model.heads]
    if not boosted:
        return pd.DataFrame(columns=["feature", "importance"])
    shown = next((model for model in boosted if model.name == champion), boosted[-1])
    return mean_importance(shown.heads)
