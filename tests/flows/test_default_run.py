"""The default run gives the figures that the README and the pages show, whatever processor it runs on.

Of its models those that fit within a minute, with data, splits and parameters of params.yaml. How far a figure moves
from one processor to another is measured in benchmarks/processors.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from numpy.testing import assert_allclose

from flows import playlist, prepare, rating, sequence
from flows.playlist_params import PlaylistParams
from flows.rating_params import RatingParams
from flows.sequence_params import SequenceParams
from flows.stage import run_stage
from tasks.engine import environment
from tasks.engine.server import Api

pytestmark = pytest.mark.slow

QUICK = {
    "rating": {"global-mean", "user-item-bias", "rsattae-xgboost-paper", "attentive-inner"},
    "sequence": {"popularity", "markov-chain", "item-knn"},
    "playlist": {"popularity", "itemknn", "mean-vector", "kmeans", "ars-quick"},
}
TOLERANCE = 0.001
# One network and one ensemble of deep trees: another rounding is another seed to it.
OF_THE_PAPER = 0.008


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
        run_stage(RatingParams, rating.run)
        run_stage(SequenceParams, sequence.run)
        run_stage(PlaylistParams, playlist.run)
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
    columns = ["value", "ci_low", "ci_high"]
    paper = figures["model"] == "rsattae+xgboost-paper"
    for rows, tolerance in ((figures[~paper], TOLERANCE), (figures[paper], OF_THE_PAPER)):
        here = rows[[f"{column}_here" for column in columns]]
        assert_allclose(here, rows[columns], rtol=0, atol=tolerance, equal_nan=False)
