"""The default run gives the figures that the README and the pages show, whatever processor it runs on.

Of its models those that fit in seconds, with data, splits and parameters of params.yaml. How far a figure moves from
one processor to another is measured in benchmarks/processors.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flows import playlist, prepare, rating, sequence
from flows.stage import run_stage
from tasks.engine import environment
from tasks.engine.server import Api

pytestmark = pytest.mark.slow

QUICK = {
    "rating": {"global-mean", "user-item-bias", "attentive-inner"},
    "sequence": {"popularity", "markov-chain", "item-knn"},
    "playlist": {"popularity", "itemknn", "mean-vector", "kmeans", "ars-quick"},
}
TOLERANCE = 0.001


@pytest.fixture(scope="module")
def figures(project: Path, prefect_server: Api) -> pd.DataFrame:
    """What is published beside what is measured here, by family, model and metric."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    for family, quick in QUICK.items():
        models = params[family]["models"]
        params[family]["models"] = {key: models[key] for key in models if key in quick}
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["flow"])
        run_stage(prepare.PrepareParams, prepare.run)
        run_stage(rating.RatingParams, rating.run)
        run_stage(sequence.SequenceParams, sequence.run)
        run_stage(playlist.PlaylistParams, playlist.run)
    tables = {
        family: pd.read_csv(environment.ROOT / "reports" / family / "test" / "scores.csv") for family in QUICK
    }
    here = pd.concat(tables, names=["task"]).reset_index("task")
    published = pd.read_csv(project / "results" / "simulated.csv")
    return published.merge(
        here, on=["task", "model", "metric"], suffixes=("", "_here"), validate="one_to_one"
    )


def test_every_figure_is_the_published_one(figures: pd.DataFrame) -> None:
    assert figures.groupby("task")["model"].nunique().to_dict() == {k: len(v) for k, v in QUICK.items()}
    for column in ("value", "ci_low", "ci_high"):
        moved = (figures[f"{column}_here"] - figures[column]).abs()
        assert moved.max() <= TOLERANCE, figures[moved > TOLERANCE].to_string()
