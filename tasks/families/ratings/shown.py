"""The small tables that a rating comparison leaves for DVC's metrics and plots and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.track import loss_curves, write_comparison
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
    described = {"dataset": facts["dataset"], "split": facts["split"]}
    with writing("rating-outputs") as draft:
        curves = loss_curves(_labelled(fitted))
        write_comparison(draft.folder, described, fitted, evaluations, champion, curves)
        _importance(fitted, champion).to_csv(
            draft.folder / "feature_importance.csv", index=False, float_format="%.8f"
        )
    return draft.artifact


def _labelled(fitted: Sequence[FittedModel]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Losses by epoch of what the first seed's selection trained, of autoencoders the first fold's."""
    for model in fitted:
        for name, history in model.histories().items():
            if "-p" in name and not name.endswith("-p0-f0"):
                continue
            yield f"{model.name}, {name.removesuffix('-p0-f0')}" if name else model.name, history


def _importance(fitted: Sequence[FittedModel], champion: str | None) -> pd.DataFrame:
    """feature, importance of the champion, or of the last model that has boosters."""
    boosted = [model for model in fitted if model.heads]
    if not boosted:
        return pd.DataFrame(columns=["feature", "importance"])
    shown = next((model for model in boosted if model.name == champion), boosted[-1])
    return mean_importance(shown.heads)
