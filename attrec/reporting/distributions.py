"""Counts of each variable's values before and after cleaning, ready to be drawn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrec.datasets.tables import Tables

COLUMNS = ["variable", "value", "before", "after"]
_MISSING, _OTHER = "(missing)", "(others)"


def distributions(before: Tables, after: Tables) -> pd.DataFrame:
    """What cleaning did to ratings, activity, users and items: variable, value, before, after.

    Columns that the dataset does not have are left out; where nobody rates, actions are counted.
    """
    rated = "rating" in before.ratings and "rating" in after.ratings
    noun = "ratings" if rated else "actions"
    parts = [compare("rating", before.ratings["rating"], after.ratings["rating"])] if rated else []
    parts += [
        compare(f"{noun} a user", _activity(before, "user_id"), _activity(after, "user_id")),
        compare(f"{noun} an item", _activity(before, "item_id"), _activity(after, "item_id")),
    ]
    for table, columns in (("users", ("age", "gender", "occupation")), ("items", ("year", "genres"))):
        raw, clean = getattr(before, table), getattr(after, table)
        parts += [compare(name, raw[name], clean[name]) for name in columns if name in raw and name in clean]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def compare(variable: str, before: pd.Series, after: pd.Series, bins: int = 20) -> pd.DataFrame:
    """Counts of one variable before and after, one row a value or, for many numbers, a bin of equal width.

    Lists count once for each of their values; missing values have a row of their own; of text values the
    `bins` most frequent, before and after together, are kept and the rest counted as "(others)".
    """
    before, after = (column.explode() if column.dtype == object else column for column in (before, after))
    both = pd.concat([before, after], ignore_index=True)
    if pd.api.types.is_numeric_dtype(both):
        values = np.unique(both.dropna().to_numpy(dtype=np.float64))
        if values.size > bins:
            edges = _edges(values, bins)
            labels = [f"{low:.6g}" for low in edges[:-1]]
            counts = [np.histogram(column.dropna(), edges)[0] for column in (before, after)]
        else:
            labels = [f"{value:g}" for value in values]
            counts = [
                column.value_counts().reindex(values, fill_value=0).to_numpy() for column in (before, after)
            ]
    else:
        frequent = both.dropna().value_counts()
        kept = sorted(frequent.index, key=lambda value: (-frequent[value], value))[:bins]
        labels = [str(value) for value in kept]
        counts = [column.value_counts().reindex(kept, fill_value=0).to_numpy() for column in (before, after)]
        if len(frequent) > bins:
            labels.append(_OTHER)
            counts = [
                np.append(count, column.notna().sum() - count.sum())
                for count, column in zip(counts, (before, after), strict=True)
            ]
    if both.isna().any():
        labels.append(_MISSING)
        counts = [
            np.append(count, column.isna().sum())
            for count, column in zip(counts, (before, after), strict=True)
        ]
    table = pd.DataFrame({"value": labels, "before": counts[0], "after": counts[1]})
    table.insert(0, "variable", variable)
    return table.astype({"before": "int64", "after": "int64"})


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Edges of equal bins, of whole width where all values are whole: no bin then holds more of them."""
    low, high = values[0], values[-1]
    if np.any(values % 1):
        return np.linspace(low, high, bins + 1)
    width = math.ceil((high - low + 1) / bins)
    return np.arange(low, high + 1 + width, width)


def _activity(tables: Tables, key: str) -> pd.Series:
    return tables.ratings[key].dropna().value_counts(sort=False)
