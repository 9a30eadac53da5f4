"""The MLflow runs of a comparison, made of what its stage leaves in models/ and reports/.

The stage itself makes them, and whoever has what it left, by `dvc pull`, can make them again (see `flows.refill`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from attrec.reporting.leaderboard import SHOWN, best_first
from attrec.reporting.plots.common import forest
from attrec.shown import as_markdown
from tasks.comparison.board import markdown, read_board
from tasks.comparison.left import figures_folder
from tasks.engine import tracking
from tasks.engine.tracking import DatasetVersion


@contextmanager
def comparison_run(
    family: str, dataset: DatasetVersion, tags: Mapping[str, str], params_file: str
) -> Iterator[str]:
    """The run of a comparison, parent of its models' runs.

    Args:
        params_file: The text of the params.yaml that asked for it.

    Yields:
        The run id.
    """
    asked = yaml.safe_load(params_file)
    params = {"dataset": dataset.name, "seed": asked.get("seed", 0), **_counts(asked.get(family) or {})}
    description = (
        f"The {family} models of params.yaml, compared on {dataset.name} ({dataset.rows:,} training rows)."
    )
    with tracking.tracked_run(f"{family} {dataset.name}", params, tags, description=description) as run_id:
        tracking.log_dataset(run_id, dataset, "training")
        tracking.log_text(run_id, params_file, "params.yaml")
        yield run_id


def log_comparison(run_id: str, family: str, dataset: str, decision: str) -> None:
    """Log the tables of a comparison, its leaderboard as text and picture, the headline figures of the model that
    validation chose, and what became of it."""
    folder = figures_folder(family)
    tracking.log_files(run_id, folder, family)
    rows, title = read_board(family, dataset)
    tracking.set_tags(
        run_id,
        {"champion": decision, MLFLOW_RUN_NOTE: f"{title}:\n\n{markdown(rows)}\n\n{as_markdown(decision)}"},
    )
    best = json.loads((folder / "best.json").read_text())[family]
    [metric] = best.keys() - {"val"}
    figures = {f"best/test/{metric}": best[metric], f"best/validation/{metric}": best["val"]}
    tracking.log_metrics(run_id, figures)
    scores = pd.read_csv(folder / "test" / "scores.csv")
    ranking = next(metric for metric in SHOWN[family] if metric in set(scores["metric"]))
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch) / "leaderboard.png"
        forest(best_first(scores, ranking), ranking).savefig(picture, dpi=120, bbox_inches="tight")
        tracking.log_files(run_id, picture)


def _counts(section: Mapping[str, Any]) -> dict[str, int]:
    return {f"n_{name}": len(section[name]) for name in ("seeds", "models") if name in section}
