"""Scores of a comparison, made once for all families: of each model and metric a family gives sums a user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from attrec.metrics.intervals import UserSums, compare_sums, intervals
from tasks.engine.artifacts import Artifact

LENGTH_GROUPS = 5

Sums = Mapping[tuple[str, str], UserSums]
"""By model and metric, the users in one order for all models."""


def score_table(sums: Sums) -> pd.DataFrame:
    """model, metric, value, ci_low, ci_high, n, seeds: means over seeds, with intervals by drawing users."""
    rows = []
    for (model, metric), interval in intervals(sums).items():
        own = sums[model, metric]
        figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
        counts = {"n": int(own.counts.sum()), "seeds": len(own.sums)}
        rows.append({"model": model, "metric": metric, **figures, **counts})
    return pd.DataFrame(rows)


def by_seed_table(sums: Sums) -> pd.DataFrame:
    """model, metric, seed_number, value."""
    return pd.DataFrame(
        [
            {"model": model, "metric": metric, "seed_number": number, "value": value}
            for (model, metric), own in sums.items()
            for number, value in enumerate(own.by_seed())
        ]
    )


def by_fold_table(by_fold: Sequence[Sums]) -> pd.DataFrame:
    """model, metric, fold (from 0), value: the mean over seeds."""
    return pd.DataFrame(
        [
            {"model": model, "metric": metric, "fold": fold, "value": own.observed()}
            for fold, sums in enumerate(by_fold)
            for (model, metric), own in sums.items()
        ]
    )


def by_length_table(sums: Mapping[str, UserSums], lengths: np.ndarray) -> pd.DataFrame:
    """model, group, users, value, ci_low, ci_high: by how much each user was known by, in groups of about equal size.

    Args:
        sums: By model, of one metric.
        lengths: [users]
    """
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_GROUPS + 1), method="lower"))
    group = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for number in np.unique(group):
        own = group == number
        label = f"{lengths[own].min()}–{lengths[own].max()}"
        for model, interval in intervals({name: of.of_users(own) for name, of in sums.items()}).items():
            figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
            rows.append({"model": model, "group": label, "users": int(own.sum()), **figures})
    return pd.DataFrame(rows)


def comparison_table(
    sums: Sums, metric: str, reference: str | None = None, lower_is_better: bool = False
) -> pd.DataFrame:
    """Paired tests of one metric (see `compare_to_best`)."""
    return compare_sums(of_metric(sums, metric), metric, reference, lower_is_better=lower_is_better)


def of_metric(sums: Sums, metric: str) -> dict[str, UserSums]:
    """By model, those of one metric."""
    return {model: own for (model, of), own in sums.items() if of == metric}


def best_by(scores: pd.DataFrame, metric: str, lower_is_better: bool = False) -> str:
    """Model with the best value of a metric."""
    rows = scores[scores["metric"] == metric]
    ranked = rows.sort_values(["value", "model"], ascending=[lower_is_better, True], kind="stable")
    return str(ranked["model"].iloc[0])


def write_evaluation(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Each table as CSV, and `metrics.json`: the value of each model and metric of the table `scores`."""
    nested: dict[str, dict[str, float]] = {}
    for row in frames["scores"].to_dict("records"):
        nested.setdefault(str(row["model"]), {})[str(row["metric"])] = round(float(row["value"]), 6)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    (folder / "metrics.json").write_text(json.dumps(nested, indent=2) + "\n")


def read_scores(evaluation: Artifact) -> pd.DataFrame:
    """`scores.csv` of an evaluation: model, metric, value, ci_low, ci_high, n, seeds."""
    return pd.read_csv(evaluation.path / "scores.csv")
