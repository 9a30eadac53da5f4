"""The leaderboard of a comparison as text, for whoever shows it: Prefect's pages, MLflow's, the log."""

from __future__ import annotations

import pandas as pd

from attrec.reporting.leaderboard import SHOWN, TESTED, best_first, metric_name
from tasks.comparison.left import figures_folder


def read_board(family: str, dataset: str) -> tuple[list[dict[str, str]], str]:
    """The rows of `board_rows` from the figures in reports/, and what they are of."""
    scores = pd.read_csv(figures_folder(family) / "test" / "scores.csv")
    tested = f"{scores['n'].max():,} {TESTED[family]}"
    return board_rows(family, scores), f"{family} models on {tested} of {dataset}, best first"


def markdown(rows: list[dict[str, str]]) -> str:
    """The rows as a table of Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def board_rows(family: str, scores: pd.DataFrame) -> list[dict[str, str]]:
    """By model, the figures that are compared, as text; best first."""
    ranking, *beside = (metric for metric in SHOWN[family] if metric in set(scores["metric"]))
    figures = {(row["model"], row["metric"]): row["value"] for row in scores.to_dict("records")}
    return [
        {
            "model": str(row["model"]),
            metric_name(ranking): f"{row['value']:.4f}",
            "95 % interval": f"{row['ci_low']:.4f} to {row['ci_high']:.4f}",
            **{metric_name(metric): f"{figures[row['model'], metric]:.4f}" for metric in beside},
            "seeds": str(row["seeds"]),
        }
        for row in best_first(scores, ranking).to_dict("records")
    ]
