"""The table of scores that the evaluation of every task leaves."""

from __future__ import annotations

import pandas as pd

from tasks.engine.artifacts import Artifact


def read_scores(evaluation: Artifact) -> pd.DataFrame:
    """`scores.csv` of an evaluation: model, metric, value, ci_low, ci_high, n, seeds."""
    return pd.read_csv(evaluation.path / "scores.csv")
