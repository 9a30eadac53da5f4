"""The MLflow runs of a comparison, made of what its stage leaves in models/ and reports/.

The stage itself makes them, and whoever has what it left, by `dvc pull`, can make them again (see `flows.refill`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel

from attrec.reporting.leaderboard import SHOWN, best_first
from attrec.reporting.plots.common import forest
from tasks.engine import environment, tracking
from tasks.engine.timings import Timing
from tasks.engine.tracking import DatasetVersion


class Left(BaseModel):
    """What a stage leaves that differs from run to run."""

    runs: dict[str, str] = {}
    """Run ids by model, and by the name of the family that of the comparison."""
    champion: str
    """What became of the challenger, in a sentence; or why there is none."""
    timings: dict[str, Timing | None] = {}
    """By model, of its fit."""
    tags: dict[str, str] = {}
    """Of all these runs: where their figures come from."""

    @classmethod
    def read(cls, family: str) -> Left | None:
        """What the stage of a family left last; None if there is nothing."""
        file = _file(family)
        return cls.model_validate_json(file.read_text()) if file.is_file() else None

    def write(self, family: str) -> None:
        """Into reports/, apart from the figures."""
        _file(family).write_text(self.model_dump_json(indent=2) + "\n")


def kept_models(family: str) -> Path:
    """Where a stage leaves its models: a folder each, as `keep_model` writes it."""
    return environment.ROOT / "models" / family


def figures_folder(family: str) -> Path:
    """Where a stage leaves its small tables."""
    return environment.ROOT / "reports" / family


@contextmanager
def comparison_run(family: str, dataset: DatasetVersion, tags: Mapping[str, str]) -> Iterator[str]:
    """The run of a comparison, parent of its models' runs.

    Yields:
        The run id.
    """
    asked = yaml.safe_load((environment.ROOT / "params.yaml").read_text())
    params = {"dataset": dataset.name, "seed": asked.get("seed", 0), **_counts(asked.get(family) or {})}
    description = (
        f"The {family} models of params.yaml, compared on {dataset.name} ({dataset.rows:,} training rows)."
    )
    with tracking.tracked_run(f"{family} {dataset.name}", params, tags, description=description) as run_id:
        tracking.log_dataset(run_id, dataset, "training")
        tracking.log_files(run_id, environment.ROOT / "params.yaml")
        yield run_id


def log_comparison(run_id: str, family: str, decision: str) -> None:
    """Log the tables of a comparison, its leaderboard as a picture, and what became of the challenger."""
    folder = figures_folder(family)
    tracking.log_files(run_id, folder, family)
    scores = pd.read_csv(folder / "test" / "scores.csv")
    ranking = next(metric for metric in SHOWN[family] if metric in set(scores["metric"]))
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch) / "leaderboard.png"
        forest(best_first(scores, ranking), ranking).savefig(picture, dpi=120, bbox_inches="tight")
        tracking.log_files(run_id, picture)
    tracking.set_tags(run_id, {"champion": decision})


def _counts(section: Mapping[str, Any]) -> dict[str, int]:
    return {f"n_{name}": len(section[name]) for name in ("seeds", "models") if name in section}


def _file(family: str) -> Path:
    return environment.ROOT / "reports" / f"{family}_runs.json"
