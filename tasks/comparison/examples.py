"""What a model recommends to a few people, beside what they had: for the eye, since figures alone convince nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

PEOPLE, LISTED = 3, 5
COLUMNS = ["model", "whose", "side", "rank", "title", "artist", "rating", "found"]

Ids = Sequence[int | str]


@dataclass(frozen=True)
class Example:
    """One user or playlist of the validation part."""

    whose: int | str
    had: Ids
    """What the model knows of them, the most telling first."""
    recommended: Ids
    """The best first."""
    next: Ids = ()
    """What validation asks for."""
    ratings: dict[int | str, float] = field(default_factory=dict)
    """By item, what was given, or is expected; empty where nobody rates."""


def few_people(known: pd.Series) -> list[int | str]:
    """Three ids of which little, some and much is known: those at the quartiles.

    Args:
        known: How much is known of each, by id; of equals the first counts.
    """
    ordered = known[known > 0].sort_values(kind="stable")
    places = dict.fromkeys(len(ordered) * quarter // (PEOPLE + 1) for quarter in range(1, PEOPLE + 1))
    return [ordered.index[place] for place in places if place < len(ordered)]


def example_table(model: str, examples: Iterable[Example], items: pd.DataFrame) -> pd.DataFrame:
    """model, whose, side ("had", "next" or "recommended"), rank (from 1), title and artist (see `named`), rating
    (missing where nobody rates), found: whether validation asks for it, of what is recommended."""
    rows: list[pd.DataFrame] = []
    for example in examples:
        for side, listed in (
            ("had", example.had),
            ("next", example.next),
            ("recommended", example.recommended),
        ):
            ids = list(listed)[:LISTED]
            rows.append(
                named(ids, items).assign(
                    model=model,
                    whose=str(example.whose),
                    side=side,
                    rank=range(1, len(ids) + 1),
                    rating=[example.ratings.get(item, math.nan) for item in ids],
                    found=[side == "recommended" and item in set(example.next) for item in ids],
                )
            )
    return pd.concat(rows, ignore_index=True)[COLUMNS] if rows else pd.DataFrame(columns=COLUMNS)


def named(ids: Ids, items: pd.DataFrame) -> pd.DataFrame:
    """title (the id where there is none) and artist (empty where there is none), in the order of the ids."""
    known = items.set_index("item_id").reindex(list(ids))
    nothing = pd.Series(None, index=known.index, dtype=object)
    titles = known.get("title", nothing)
    return pd.DataFrame(
        {
            "title": [str(number) if pd.isna(title) else str(title) for number, title in titles.items()],
            "artist": known.get("artist", nothing).fillna("").astype(str).tolist(),
        }
    )
