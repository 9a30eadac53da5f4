"""What all tasks do with a fitted model: log it to MLflow, let it challenge the champion, keep its small tables."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel

from tasks import tracking
from tasks.champion import Challenger, Contest, challenge
from tasks.engine.artifacts import Artifact

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Fitted(BaseModel):
    """One model of a run, with all its seeds; the first seed's is the one that is logged and can be registered."""

    name: str
    config: dict[str, Any]
    seeds: list[int]
    models: list[Artifact]
    validation: list[Artifact] = []
    test: list[Artifact] = []

    def histories(self) -> dict[str, pd.DataFrame]:
        """Losses by epoch of what the first seed trained, by name of the part; of the model itself, ""."""
        return {}


def track_fitted(
    fitted: Fitted,
    parent: str,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
    contest: Contest,
    validation: pd.DataFrame,
    log_model: Callable[[str, Path], str],
    plots: Mapping[str, Figure] | None = None,
) -> tuple[str, str]:
    """One child run: parameters, figures, loss curves, plots, what the model said on validation, the model.

    Args:
        scores: By part, the table of all models' figures.
        validation: In the columns of `contest`.
        log_model: Logs the model under a run id, with a folder to work in, and returns its URI.
        plots: By name of the file.

    Returns:
        Run id and the URI of the logged model.
    """
    with tracking.tracked_run(fitted.name, {"seeds": fitted.seeds, **fitted.config}, tags, parent) as run_id:
        for part, table in scores.items():
            own = table[table["model"] == fitted.name]
            figures = zip(own["metric"], own["value"], strict=True)
            tracking.log_metrics(run_id, {f"{part}/{metric}": value for metric, value in figures})
        for name, history in fitted.histories().items():
            place = f"loss/{name}".rstrip("/")
            for kind in ("train", "validation"):
                losses = history.dropna(subset=f"{kind}_loss")
                tracking.log_curve(
                    run_id, f"{place}/{kind}", losses[f"{kind}_loss"].tolist(), losses["epoch"].tolist()
                )
        with tempfile.TemporaryDirectory() as folder:
            for file, figure in (plots or {}).items():
                figure.savefig(Path(folder) / file, dpi=120, bbox_inches="tight")
                tracking.log_files(run_id, Path(folder) / file)
            said = Path(folder) / contest.file
            validation.to_parquet(said, index=False)
            tracking.log_files(run_id, said)
            uri = log_model(run_id, Path(folder))
    return run_id, uri


def challenge_fitted(
    registered: str,
    fitted: Fitted,
    run_id: str,
    uri: str,
    facts: Mapping[str, Any],
    contest: Contest,
    validation: pd.DataFrame,
    seed: int,
) -> str:
    """Let the best model on validation challenge the champion; return what happened, in a sentence.

    Args:
        facts: Dataset, and the split with its hash.
    """
    challenger = Challenger(
        model=fitted.name,
        run_id=run_id,
        model_uri=uri,
        dataset=facts["dataset"],
        split_hash=facts["split"]["hash"],
        validation=validation,
        contest=contest,
    )
    return challenge(registered, challenger, seed)


def write_comparison(
    folder: Path,
    described: Mapping[str, Any],
    fitted: Sequence[Fitted],
    evaluations: Mapping[str, Artifact],
    champion: str | None,
    curves: pd.DataFrame,
) -> None:
    """The small tables that every comparison leaves for DVC's metrics and plots and for the report.

    `metrics.json` of all parts, a folder with the other tables of each part's evaluation, `loss_curves.csv`, and
    `summary.json`: what is `described`, the champion on validation, seeds.
    """
    metrics = {}
    for part, evaluation in evaluations.items():
        shutil.copytree(evaluation.path, folder / part, ignore=shutil.ignore_patterns("metrics.json"))
        metrics[part] = json.loads((evaluation.path / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    curves.to_csv(folder / "loss_curves.csv", index=False, float_format="%.6f")
    seeds = {model.name: model.seeds for model in fitted}
    summary = {**described, "champion_on_validation": champion, "seeds": seeds}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def loss_curves(histories: Iterable[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """model, epoch, train, validation: of losses by epoch under the names given."""
    curves = [pd.DataFrame(columns=["model", "epoch", "train", "validation"])]
    for label, history in histories:
        renamed = history.rename(columns={"train_loss": "train", "validation_loss": "validation"})
        curves.append(renamed.assign(model=label)[["model", "epoch", "train", "validation"]])
    return pd.concat(curves[1:] or curves, ignore_index=True)
