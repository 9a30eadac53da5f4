"""The leaderboard of a comparison as text, for whoever shows it: Prefect's pages, MLflow's, the log."""

from __future__ import annotations

import json

import pandas as pd

from attrec.reporting.leaderboard import TESTED, shown_rows
from tasks.comparison.left import figures_folder


def read_board(family: str, dataset: str) -> tuple[list[dict[str, str]], str]:
    """The rows of `shown_rows` from the figures in reports/, and what they are of."""
    scores = pd.read_csv(figures_folder(family) / "test" / "scores.csv")
    summary = json.loads((figures_folder(family) / "summary.json").read_text())
    scores["tried"] = scores["model"].map(summary["tried"])
    tested = f"{scores['n'].max():,} {TESTED[family]}"
    return shown_rows(family, scores), f"{family} models on {tested} of {dataset}, best first"


def markdown(rows: list[dict[str, str]]) -> str:
    """The rows as a table of Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
