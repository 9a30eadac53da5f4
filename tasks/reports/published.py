"""What is kept under results/: a folder for each published table, and the figures of others in published.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tasks.engine import environment


def results_folder() -> Path:
    """Where published tables are kept."""
    return environment.ROOT / "results"


def table_file(table: str, name: str = "scores.csv", results: Path | None = None) -> Path:
    """A file of a published table: its scores, or what stands beside them (comparisons.csv, provenance.json, ...).

    Args:
        table: "cil" is results/cil/.
        results: The folder of all tables; None: that of this project.
    """
    return (results or results_folder()) / table / name


def read_published(dataset: str) -> pd.DataFrame | None:
    """split, model, metric, value, source of what was published of a dataset, models under our names where we have
    them; None where nothing is known."""
    file = results_folder() / "published.csv"
    if not file.is_file():
        return None
    rows = pd.read_csv(file)
    own = rows[rows["dataset"] == dataset].drop(columns="dataset")
    return own if len(own) else None


def published_references(dataset: str, split: str, metrics: Sequence[str]) -> pd.DataFrame | None:
    """What was published of a split, the highest value first.

    Args:
        metrics: The one that ranks, and those to stand beside it.

    Returns:
        model, value (of the first metric), the others by name where they are known, note; None where nothing is known.
    """
    rows = read_published(dataset)
    if rows is None:
        return None
    own = rows[(rows["split"] == split) & rows["metric"].isin(metrics)]
    wide = own.pivot(index=["model", "source"], columns="metric", values="value").reset_index()
    if metrics[0] not in wide:
        return None
    known = wide.dropna(subset=metrics[0]).sort_values(metrics[0], ascending=False, kind="stable")
    known = known.rename(columns={metrics[0]: "value", "source": "note"})
    columns = ["model", "value", *(name for name in metrics[1:] if name in known), "note"]
    return known[columns].reset_index(drop=True)
