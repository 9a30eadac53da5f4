"""Tables of metrics that are means of one value a user or playlist: figures with intervals, by seed, by length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from attrec.metrics.intervals import mean_intervals

LENGTH_GROUPS = 5

Values = Mapping[tuple[str, str], np.ndarray]
"""By model and metric: [seeds, n], one value a seed and user, the users in one order for all."""


def mean_table(values: Values) -> pd.DataFrame:
    """model, metric, value, ci_low, ci_high, n, seeds: means over users and seeds, with intervals over users."""
    rows = []
    for (model, metric), interval in mean_intervals(values).items():
        seeds, n = values[model, metric].shape
        figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
        rows.append({"model": model, "metric": metric, **figures, "n": n, "seeds": seeds})
    return pd.DataFrame(rows)


def by_seed_table(values: Values) -> pd.DataFrame:
    """model, metric, seed_number, value."""
    return pd.DataFrame(
        [
            {"model": model, "metric": metric, "seed_number": number, "value": of_seed.mean()}
            for (model, metric), matrix in values.items()
            for number, of_seed in enumerate(matrix)
        ]
    )


def by_length_table(values: Mapping[str, np.ndarray], lengths: np.ndarray) -> pd.DataFrame:
    """model, group, users, value, ci_low, ci_high: by how much each user was known by, in groups of about equal size.

    Args:
        values: By model, [seeds, n] of one metric.
        lengths: [n]
    """
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_GROUPS + 1), method="lower"))
    group = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for number in np.unique(group):
        own = group == number
        label = f"{lengths[own].min()}–{lengths[own].max()}"
        for model, interval in mean_intervals({name: of[:, own] for name, of in values.items()}).items():
            figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
            rows.append({"model": model, "group": label, "users": int(own.sum()), **figures})
    return pd.DataFrame(rows)


def best_by(scores: pd.DataFrame, metric: str) -> str:
    """Model with the highest value of a metric."""
    rows = scores[scores["metric"] == metric]
    return str(rows.sort_values(["value", "model"], ascending=[False, True], kind="stable")["model"].iloc[0])


def write_evaluation(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Each table as CSV, and `metrics.json`: the value of each model and metric of the table `scores`."""
    nested: dict[str, dict[str, float]] = {}
    for row in frames["scores"].to_dict("records"):
        nested.setdefault(str(row["model"]), {})[str(row["metric"])] = round(float(row["value"]), 6)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    (folder / "metrics.json").write_text(json.dumps(nested, indent=2) + "\n")
