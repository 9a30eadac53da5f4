"""What Prefect's pages show of a comparison: its leaderboard as a table, and what became of the challenger."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from attrec.shown import as_markdown
from tasks.comparison.board import read_board
from tasks.engine.logs import note


def show_comparison(family: str, dataset: str, decision: str) -> None:
    """Leave both as artifacts of the flow run, from the figures in reports/, and the leaderboard in its log."""
    rows, title = read_board(family, dataset)
    create_table_artifact(rows, key=f"leaderboard-{family}", description=title)
    create_markdown_artifact(
        as_markdown(decision), key=f"champion-{family}", description=f"Champion on {dataset}"
    )
    for place, row in enumerate(rows, start=1):
        note(f"{place}. " + ", ".join(f"{name} {value}" for name, value in row.items()))
