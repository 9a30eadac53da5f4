"""Cleaning by stated rules, each of which says what it did.

What a parser has mended already (`Tables.mended`) is told of first. Then, in order:

1. ``quarantined``: rows that validation put into quarantine are dropped. The ratings of a
   quarantined user or item may be sound and stay; by rule 4 it gets a row with its id alone.
2. ``missing_values``: ratings without a user, an item or a finite rating are dropped, as are users and items
   without an id. Where users act without rating, an action needs a user and an item.
3. ``duplicate_ratings``: of several ratings of one item by one user the last counts: by timestamp, then by
   place in the file; actions all count, for a user may do a thing again. ``duplicate_users``,
   ``duplicate_items``: the first row of an id counts.
4. ``added_users``, ``added_items``: an id that only the ratings name gets a row without attributes.
5. ``year_from_title``: a missing release year is taken from a title like ``Toy Story (1995)``.
   ``year_left_missing``: otherwise it stays missing and no year feature is set, for any year put in its place
   would be invented.
6. ``genres_set_to_unknown``: an item without genres gets the genre ``unknown``, unless no item has any.
7. ``categories_normalised``: spaces trimmed; gender M or F; occupations and ``unknown`` in lower case; a
   repeated genre counts once.

Nothing here is fitted: every rule looks at one row, or at rows with the same id.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from attrec.datasets.tables import Tables, as_written, year_in_title

QUARANTINE_COLUMNS = ("table", "file", "line")
UNKNOWN = "unknown"
_GENDERS = {"m": "M", "male": "M", "f": "F", "female": "F"}


@dataclass(frozen=True)
class CleaningReport:
    """How many rows each rule touched, by table, and what went in and came out."""

    rows_in: dict[str, int]
    rows_out: dict[str, int]
    rules: dict[str, int]
    notes: list[str] = field(default_factory=list)
    """One sentence a decision that a reader should know of."""

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def clean(tables: Tables, quarantine: pd.DataFrame | None = None) -> tuple[Tables, CleaningReport]:
    """Apply the rules above.

    Args:
        quarantine: one row a bad row: ``table`` (ratings, users or items), ``file``, ``line``; more columns
            are ignored.

    Returns:
        Clean tables: ids and timestamps int64 or str without nulls, one row an id and a rated pair, every user and
        item of the ratings in its table; row order as in the file. ``truth`` passes through.
    """
    rules = dict(tables.mended)
    notes: list[str] = []
    frames = {
        name: frame.drop(columns=as_written(frame))
        for name, frame in (("ratings", tables.ratings), ("users", tables.users), ("items", tables.items))
    }
    rows_in = {name: len(frame) for name, frame in frames.items()}

    kept = {name: _drop_quarantined(frame, name, quarantine) for name, frame in frames.items()}
    for name, frame in kept.items():
        rules[f"quarantined_{name}"] = rows_in[name] - len(frame)

    ratings = _drop_incomplete(kept["ratings"], rules)
    rules["duplicate_ratings"] = 0
    if tables.feedback == "ratings":
        ratings = _drop_duplicates(ratings, rules)
    if "timestamp" in ratings and not ratings["timestamp"].isna().any():
        ratings = ratings.astype({"timestamp": "int64"})
    ratings = ratings.reset_index(drop=True)
    users = _one_row_an_id(kept["users"], "user_id", ratings, tables.users, rules)
    items = _one_row_an_id(kept["items"], "item_id", ratings, tables.items, rules)
    users = _normalise_users(users, rules)
    items = _clean_items(items, rules, notes)

    rows_out = {"ratings": len(ratings), "users": len(users), "items": len(items)}
    return Tables(ratings, users, items, tables.truth), CleaningReport(rows_in, rows_out, rules, notes)


def _drop_quarantined(frame: pd.DataFrame, name: str, quarantine: pd.DataFrame | None) -> pd.DataFrame:
    if quarantine is None:
        return frame
    bad = quarantine.loc[quarantine["table"] == name, ["file", "line"]]
    if bad.empty:
        return frame
    places = pd.MultiIndex.from_arrays([bad["file"].astype(str), bad["line"].astype("int64")])
    # Lines are cheap to compare; only the few that match are looked at with their file.
    candidates = np.flatnonzero(frame["line"].isin(bad["line"]))
    rows = frame.iloc[candidates]
    hit = pd.MultiIndex.from_arrays([rows["file"].astype(str), rows["line"]]).isin(places)
    keep = np.ones(len(frame), dtype=bool)
    keep[candidates[hit]] = False
    return frame.loc[keep]


def _drop_incomplete(ratings: pd.DataFrame, rules: dict[str, int]) -> pd.DataFrame:
    complete = ratings["user_id"].notna() & ratings["item_id"].notna()
    if "rating" in ratings:
        complete &= np.isfinite(ratings["rating"].to_numpy())
    rules["missing_values_ratings"] = int((~complete).sum())
    return _plain_ids(ratings.loc[complete], ["user_id", "item_id"])


def _drop_duplicates(ratings: pd.DataFrame, rules: dict[str, int]) -> pd.DataFrame:
    repeated = ratings.duplicated(["user_id", "item_id"], keep=False)
    if repeated.any():
        among = ratings.loc[repeated].reset_index()
        if "timestamp" in among:
            # A rating without a time is older than any with one.
            among = among.sort_values("timestamp", kind="stable", na_position="first")
        last = among.drop_duplicates(["user_id", "item_id"], keep="last")["index"]
        dropped = ratings.index[repeated].difference(pd.Index(last))
        rules["duplicate_ratings"] = len(dropped)
        ratings = ratings.drop(index=dropped)
    return ratings


def _one_row_an_id(
    kept: pd.DataFrame, column: str, ratings: pd.DataFrame, published: pd.DataFrame, rules: dict[str, int]
) -> pd.DataFrame:
    name = "users" if column == "user_id" else "items"
    named = kept.loc[kept[column].notna()]
    rules[f"missing_values_{name}"] = len(kept) - len(named)
    first = _plain_ids(named, [column]).drop_duplicates(column)
    rules[f"duplicate_{name}"] = len(named) - len(first)
    bare = pd.Index(ratings[column].unique()).difference(pd.Index(first[column]))
    rules[f"added_{name}"] = len(bare)
    if len(bare) == 0:
        return first.reset_index(drop=True)
    # Where the row was published, though in quarantine, its place is kept.
    places = published.loc[published[column].isin(bare), [column, "file", "line"]].drop_duplicates(column)
    rows = pd.DataFrame({column: bare}).merge(
        _plain_ids(places, [column]).astype({"file": str}), how="left", on=column
    )
    rows["file"] = rows["file"].fillna("")
    rows["line"] = rows["line"].fillna(0).astype("int64")
    if "genres" in first:
        rows["genres"] = [[] for _ in range(len(rows))]
    joined = pd.concat([first.astype({"file": str}), rows.reindex(columns=first.columns)], ignore_index=True)
    return joined.astype({"file": "category"})


def _plain_ids(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Nullable Int64 back to int64, now that no null is left."""
    return frame.astype({name: "int64" for name in columns if frame[name].dtype == "Int64"})


def _normalise_users(users: pd.DataFrame, rules: dict[str, int]) -> pd.DataFrame:
    users = users.copy()
    rules["categories_normalised_users"] = 0
    for column in users.columns.intersection(["gender", "occupation"]):
        before = users[column]
        text = before.astype(str).str.strip()
        lower = text.str.lower()
        after = lower.map(_GENDERS).fillna(text) if column == "gender" else lower
        after = after.astype(object).where(before.notna() & (text != ""), None).astype(str)
        after = after.mask(before.isna() | (text == ""))
        rules["categories_normalised_users"] += int((before.notna() & (before.astype(str) != after)).sum())
        users[column] = after
    return users


def _clean_items(items: pd.DataFrame, rules: dict[str, int], notes: list[str]) -> pd.DataFrame:
    items = items.copy()
    missing = items["year"].isna()
    found = year_in_title(items["title"].fillna("")).where(missing)
    items["year"] = items["year"].fillna(found)
    rules["year_from_title"] = int(found.notna().sum())
    without = items.loc[items["year"].isna()]
    rules["year_left_missing"] = len(without)
    if 0 < len(without) < len(items):
        ids = ", ".join(without["item_id"].astype(str).head(5)) + (", …" if len(without) > 5 else "")
        notes.append(
            f"{len(without)} of {len(items)} items have no release year, in their data or in their title"
            f" (item {ids}): they keep none, and no year feature is set for them."
        )

    before = items["genres"].tolist()
    after = [_normalise_genres(genres) for genres in before]
    rules["categories_normalised_items"] = sum(
        list(old) != new for old, new in zip(before, after, strict=True)
    )
    bare = [not genres for genres in after]
    rules["genres_set_to_unknown"] = 0
    if any(bare) and not all(bare):
        after = [genres or [UNKNOWN] for genres in after]
        rules["genres_set_to_unknown"] = sum(bare)
        notes.append(f"{sum(bare)} of {len(items)} items have no genre: they get the genre {UNKNOWN!r}.")
    items["genres"] = after
    return items


def _normalise_genres(genres: list[str]) -> list[str]:
    trimmed = (genre.strip() for genre in genres)
    named = [UNKNOWN if genre.lower() == UNKNOWN else genre for genre in trimmed if genre]
    return list(dict.fromkeys(named))
