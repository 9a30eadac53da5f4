"""What a served model shows of the items, kept beside it: item_id, and title, artist and genres where known; and how
often each was met, `actions`, where titles are looked up."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from attrec.errors import DataError

FILE = "items.parquet"


def save_shown_items(items: pd.DataFrame, folder: Path) -> None:
    """Write them into the folder of a saved model, the genres of an item as one text."""
    shown = items[
        [name for name in ("item_id", "title", "artist", "genres", "actions") if name in items]
    ].copy()
    if "genres" in shown:
        shown["genres"] = [", ".join(genres) for genres in shown["genres"]]
    shown.to_parquet(folder / FILE, index=False)


def with_actions(items: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """The items with `actions`: how many rows of `actions` name each."""
    counts = actions["item_id"].value_counts()
    return items.assign(actions=items["item_id"].map(counts).fillna(0).astype("int64"))


def read_shown_items(folder: Path) -> pd.DataFrame:
    """What `save_shown_items` wrote.

    Raises:
        DataError: there is nothing.
    """
    if not (folder / FILE).is_file():
        raise DataError(f"{folder} holds no {FILE}, which stands beside a served model.")
    return pd.read_parquet(folder / FILE)
