"""Figures that others published, kept in results/published.csv."""

from __future__ import annotations

import pandas as pd

from tasks import environment


def read_published(dataset: str) -> pd.DataFrame | None:
    """split, model, metric, value, source of what was published of a dataset, models under our names where we have
    them; None where nothing is known."""
    file = environment.ROOT / "results" / "published.csv"
    if not file.is_file():
        return None
    rows = pd.read_csv(file)
    own = rows[rows["dataset"] == dataset].drop(columns="dataset")
    return own if len(own) else None
