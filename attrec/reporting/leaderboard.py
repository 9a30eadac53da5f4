"""The leaderboard: one row a model and metric, always with its interval, written the same way every time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.files import StrPath, write_text
from attrec.metrics.intervals import LOSSES

COLUMNS = (
    "task", "dataset", "split", "model", "metric", "value", "ci_low", "ci_high", "n", "seeds", "run_id", "tried",
)  # fmt: skip
ORDER = ["task", "dataset", "split", "metric", "value", "model", "run_id"]
DECIMALS = 6
_COUNTS = ("n", "seeds", "tried")
_TEXT = ("task", "dataset", "split", "model", "metric", "run_id")
SHOWN = {
    "rating": ("rmse", "mae"),
    "sequence": ("ndcg@10", "hr@10", "mrr@10"),
    "playlist": ("ndcg@10", "r-precision", "recall@50"),
}
"""By task, the metric that ranks and those that stand beside it."""
TESTED = {"rating": "ratings", "sequence": "users", "playlist": "playlists"}
"""By task, what is counted in column `n`."""
_WORDS = ("recall",)  # names that are no abbreviation


@dataclass(frozen=True)
class LeaderboardRow:
    """One measured figure.

    `value` is the mean over `seeds` seeds, `[ci_low, ci_high]` its interval and `n` the number of ratings
    (or users, or playlists: whatever the metric averages over) that were scored; `tried` the number of configurations
    that were fitted, on validation, to find the model's.
    """

    task: str
    dataset: str
    split: str
    model: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    seeds: int
    run_id: str
    tried: int = 1


def build_leaderboard(rows: Iterable[LeaderboardRow]) -> pd.DataFrame:
    """The rows as a checked and ordered table.

    Raises:
        DataError: as `checked_leaderboard`.
    """
    return checked_leaderboard(pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)))


def checked_leaderboard(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns typed and its rows ordered by task, dataset, split, metric and value.

    Raises:
        DataError: when a column is missing or unknown, a name is empty, a figure is not finite, an interval
            is upside down, a count is below one, or a model has two figures for one metric.
    """
    if set(table.columns) != set(COLUMNS):
        raise DataError(f"a leaderboard has the columns {', '.join(COLUMNS)}; got {', '.join(table.columns)}")
    try:
        typed = table[list(COLUMNS)].astype(
            {**dict.fromkeys(("value", "ci_low", "ci_high"), float), **dict.fromkeys(_COUNTS, "int64")}
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"the leaderboard holds a figure that is not a number: {error}") from error
    for column in _TEXT:
        typed[column] = typed[column].astype(object)
    problems = {
        "has an empty name": ~typed[list(_TEXT)]
        .map(lambda name: isinstance(name, str) and name != "")
        .all(axis=1),
        "has a figure that is not finite": ~np.isfinite(typed[["value"]]).all(axis=1)
        # Both ends are missing where too few users were tested for an interval.
        | (np.isfinite(typed[["ci_low", "ci_high"]]).sum(axis=1) != 2)
        & typed[["ci_low", "ci_high"]].notna().any(axis=1),
        "has an interval upside down": typed["ci_low"] > typed["ci_high"],
        "counts fewer than one row, seed or configuration": (typed[list(_COUNTS)] < 1).any(axis=1),
        "occurs twice": typed.duplicated(["task", "dataset", "split", "model", "metric"]),
    }
    for problem, where in problems.items():
        if where.any():
            row = typed[where].iloc[0]
            place = f"model {row['model']!r}, metric {row['metric']!r}, split {row['split']!r}"
            raise DataError(f"the leaderboard row of {place} {problem}")
    return typed.sort_values(ORDER, kind="stable", ignore_index=True)


def write_leaderboard(table: pd.DataFrame, path: StrPath) -> None:
    """Write the checked table as CSV, six decimals, whole or not at all."""
    text = checked_leaderboard(table).to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
    write_text(path, text)


def read_leaderboard(path: StrPath) -> pd.DataFrame:
    """Read what `write_leaderboard` wrote.

    Raises:
        DataError: when the file is missing, or not a leaderboard.
    """
    try:
        # Names may be NA.
        blank = dict.fromkeys(("ci_low", "ci_high"), "")
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values=blank)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the leaderboard {path}: {error}") from error
    return checked_leaderboard(table)


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of the metric is the better one: so for errors, not for ranking metrics."""
    return metric in LOSSES


def best_first(board: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of the metric, the best model first.

    Raises:
        ValueError: when there is none.
    """
    rows = board[board["metric"] == metric]
    if rows.empty:
        raise ValueError(f"the leaderboard has no row with the metric {metric!r}")
    return rows.sort_values(["value", "model"], ascending=[lower_is_better(metric), True], ignore_index=True)


def metric_name(metric: str) -> str:
    """The metric as people write it: RMSE, NDCG@10, R-precision, Recall@50, NDCG@20-sampled-uniform100."""
    name = re.split("[-@]", metric, maxsplit=1)[0]
    written = name.capitalize() if name in _WORDS else name.upper()
    return written + metric.removeprefix(name)


def uses_time(model: str) -> bool:
    """Whether a model's name says that timestamps of the pairs to predict are an input.

    They reveal bursts of ratings on both sides of the target, so such models are ranked and tested among themselves.
    """
    return model.endswith("+time")


def shown_rows(task: str, scores: pd.DataFrame) -> list[dict[str, str]]:
    """By model, the figures of one task that people compare, as text; best first.

    Args:
        scores: model, metric, value, ci_low, ci_high, seeds, and tried, which is shown where any is above one.
    """
    ranking, *beside = (metric for metric in SHOWN[task] if metric in set(scores["metric"]))
    figures = {(row["model"], row["metric"]): row["value"] for row in scores.to_dict("records")}
    return [
        {
            "model": str(row["model"]),
            metric_name(ranking): f"{row['value']:.4f}",
            "95 % interval": "too few tested"
            if pd.isna(row["ci_low"])
            else f"{row['ci_low']:.4f} to {row['ci_high']:.4f}",
            **{metric_name(metric): f"{figures[row['model'], metric]:.4f}" for metric in beside},
            "seeds": str(row["seeds"]),
            **({"tried": str(row["tried"])} if (scores["tried"] > 1).any() else {}),
        }
        for row in best_first(scores, ranking).to_dict("records")
    ]
