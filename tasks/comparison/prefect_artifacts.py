"""What Prefect's pages show of a comparison: its leaderboard as a table, and what became of the challenger."""

from __future__ import annotations

import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from attrec.reporting.leaderboard import SHOWN, TESTED, best_first, metric_name
from tasks.comparison.left import figures_folder
from tasks.engine.logs import note


def show_comparison(family: str, dataset: str, decision: str) -> None:
    """Leave both as artifacts of the flow run, from the figures in reports/, and the leaderboard in its log."""
    scores = pd.read_csv(figures_folder(family) / "test" / "scores.csv")
    rows = leaderboard_rows(family, scores)
    tested = f"{scores['n'].max():,} {TESTED[family]}"
    create_table_artifact(
        rows, key=f"leaderboard-{family}", description=f"{family} models on {tested} of {dataset}, best first"
    )
    create_markdown_artifact(decision, key=f"champion-{family}", description=f"Champion on {dataset}")
    for place, row in enumerate(rows, start=1):
        note(f"{place}. " + ", ".join(f"{name} {value}" for name, value in row.items()))


def leaderboard_rows(family: str, scores: pd.DataFrame) -> list[dict[str, str]]:
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
