"""Each rule on rows made for it; the report counts what was done."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.tables import Tables, source_columns
from attrec.prepare.cleaning import clean


def make_tables(
    ratings: list[tuple[Any, Any, Any, Any]],
    users: dict[str, list[Any]] | None = None,
    items: dict[str, list[Any]] | None = None,
) -> Tables:
    table = pd.DataFrame(ratings, columns=["user_id", "item_id", "rating", "timestamp"])
    table = table.astype({"user_id": "Int64", "item_id": "Int64", "rating": "float32", "timestamp": "Int64"})
    if not table.isna().any(axis=None):
        table = table.astype({"user_id": "int64", "item_id": "int64", "timestamp": "int64"})
    users = users or {"user_id": [1, 2]}
    items = items or {
        "item_id": [10, 20],
        "title": ["A", "B"],
        "year": [1990.0, 1991.0],
        "genres": [["x"], ["y"]],
    }
    u, i = pd.DataFrame(users), pd.DataFrame(items)
    return Tables(
        table.assign(**source_columns("r", len(table))),
        u.assign(**source_columns("u", len(u))),
        i.assign(**source_columns("i", len(i))),
    )


def rated(tables: Tables) -> list[tuple[int, int, float]]:
    return list(tables.ratings[["user_id", "item_id", "rating"]].itertuples(index=False, name=None))


def quarantine(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["table", "file", "line"])


def test_sound_tables_pass_unchanged() -> None:
    tables = simulate(SimulatorConfig(n_users=30, n_items=50, n_ratings=300))
    cleaned, report = clean(tables)
    # An item that nobody rated stays; nothing is reordered.
    for name in ("ratings", "users", "items"):
        pd.testing.assert_frame_equal(getattr(cleaned, name), getattr(tables, name))
    assert cleaned.truth is tables.truth
    assert set(report.rules.values()) == {0}
    assert report.notes == []
    assert report.rows_in == report.rows_out == {"ratings": 300, "users": 30, "items": 50}


def test_duplicates_keep_the_last_by_time_then_by_line() -> None:
    tables = make_tables([(1, 10, 1, 200), (2, 20, 5, 7), (1, 10, 2, 300), (1, 10, 3, 100), (2, 20, 4, 7)])
    cleaned, report = clean(tables)
    assert rated(cleaned) == [(1, 10, 2.0), (2, 20, 4.0)]
    assert report.rules["duplicate_ratings"] == 3


def test_duplicates_without_times_keep_the_last_line() -> None:
    tables = make_tables([(1, 10, 1, 0), (1, 10, 2, 0)])
    cleaned, _ = clean(Tables(tables.ratings.drop(columns="timestamp"), tables.users, tables.items))
    assert rated(cleaned) == [(1, 10, 2.0)]


def test_duplicate_with_unknown_time_is_the_older() -> None:
    cleaned, _ = clean(make_tables([(1, 10, 4, 5), (1, 10, 2, None)]))
    assert rated(cleaned) == [(1, 10, 4.0)]
    assert cleaned.ratings["timestamp"].dtype == np.int64


@pytest.mark.parametrize(
    "row", [(None, 10, 3, 1), (1, None, 3, 1), (1, 10, None, 1), (1, 10, float("inf"), 1)]
)
def test_incomplete_ratings_are_dropped(row: tuple[Any, Any, Any, Any]) -> None:
    cleaned, report = clean(make_tables([row, (2, 20, 4, 1)]))
    assert rated(cleaned) == [(2, 20, 4.0)]
    assert cleaned.ratings["user_id"].dtype == np.int64
    assert report.rules["missing_values_ratings"] == 1


def test_rating_without_a_time_is_kept() -> None:
    cleaned, _ = clean(make_tables([(1, 10, 4, None), (2, 20, 2, 3)]))
    assert len(cleaned.ratings) == 2


def test_quarantined_rows_go_by_table_file_and_line() -> None:
    tables = make_tables([(1, 10, 1, 1), (1, 20, 2, 2), (2, 20, 3, 3)])
    bad = quarantine(("ratings", "r", 2), ("ratings", "other file", 3), ("users", "r", 1), ("items", "u", 1))
    cleaned, report = clean(tables, bad)
    assert rated(cleaned) == [(1, 10, 1.0), (2, 20, 3.0)]
    assert report.rules["quarantined_ratings"] == 1
    assert len(cleaned.users) == len(cleaned.items) == 2


def test_quarantined_user_keeps_the_ratings_but_not_the_attributes() -> None:
    tables = make_tables(
        [(1, 10, 1, 1), (2, 10, 2, 2)], users={"user_id": [1, 2, 3], "age": [30.0, 999.0, 999.0]}
    )
    cleaned, report = clean(tables, quarantine(("users", "u", 2), ("users", "u", 3)))
    assert len(cleaned.ratings) == 2
    assert cleaned.users["user_id"].tolist() == [1, 2]
    assert cleaned.users["age"].fillna(-1).tolist() == [30.0, -1.0]
    assert cleaned.users["line"].tolist() == [1, 2]
    assert report.rules["quarantined_users"] == 2
    assert report.rules["added_users"] == 1


def test_item_that_only_ratings_know_gets_a_bare_row() -> None:
    cleaned, report = clean(make_tables([(1, 10, 1, 1), (1, 77, 2, 2)]))
    assert cleaned.items["item_id"].tolist() == [10, 20, 77]
    assert cleaned.items["genres"].tolist() == [["x"], ["y"], ["unknown"]]
    assert np.isnan(cleaned.items["year"][2])
    assert report.rules["added_items"] == 1


def test_first_row_of_an_id_counts() -> None:
    tables = make_tables([(1, 10, 1, 1)], users={"user_id": [1, 1], "gender": ["F", "M"]})
    cleaned, report = clean(tables)
    assert cleaned.users["gender"].tolist() == ["F"]
    assert report.rules["duplicate_users"] == 1


def test_missing_year_is_taken_from_the_title_or_stays_missing() -> None:
    items = {
        "item_id": [10, 20, 30],
        "title": ["A (1950)", "unknown", "C (1951)"],
        "year": [np.nan, np.nan, 1999.0],
        "genres": [["x"]] * 3,
    }
    cleaned, report = clean(make_tables([(1, 10, 1, 1)], items=items))
    assert cleaned.items["year"].fillna(0).tolist() == [1950.0, 0.0, 1999.0]
    assert report.rules["year_from_title"] == 1
    assert report.rules["year_left_missing"] == 1
    assert report.notes == [
        "1 of 3 items have no release year, in their data or in their title (item 20): they keep none, and no"
        " year feature is set for them."
    ]


def test_items_without_genres() -> None:
    items = {
        "item_id": [10, 20],
        "title": ["A", "B"],
        "year": [1990.0, 1991.0],
        "genres": [[], [" x ", "x", ""]],
    }
    cleaned, report = clean(make_tables([(1, 10, 1, 1)], items=items))
    assert cleaned.items["genres"].tolist() == [["unknown"], ["x"]]
    assert report.rules["genres_set_to_unknown"] == 1
    assert report.rules["categories_normalised_items"] == 1


def test_no_genre_is_invented_where_no_item_has_any() -> None:
    items = {"item_id": [10, 20], "title": ["A", "B"], "year": [1990.0, 1991.0], "genres": [[], []]}
    cleaned, _ = clean(make_tables([(1, 10, 1, 1)], items=items))
    assert cleaned.items["genres"].tolist() == [[], []]


def test_categories_are_normalised() -> None:
    users = {
        "user_id": [1, 2, 3, 4],
        "gender": [" male", "F", "x", None],
        "occupation": ["Writer ", "none", "", None],
    }
    cleaned, report = clean(make_tables([(1, 10, 1, 1)], users=users))
    assert cleaned.users["gender"].fillna("-").tolist() == ["M", "F", "x", "-"]
    assert cleaned.users["occupation"].fillna("-").tolist() == ["writer", "none", "-", "-"]
    assert report.rules["categories_normalised_users"] == 3


def test_textual_ids() -> None:
    ratings = pd.DataFrame(
        {"user_id": ["a", "b", "a"], "item_id": ["x", "y", "x"], "rating": [1.0, 2.0, 3.0]}
    )
    users = pd.DataFrame({"user_id": ["a", "b"]}).assign(**source_columns("u", 2))
    items = pd.DataFrame({"item_id": ["x"], "title": ["X"], "year": [np.nan], "genres": [[]]})
    tables = Tables(ratings.assign(**source_columns("r", 3)), users, items.assign(**source_columns("i", 1)))
    cleaned, _ = clean(tables)
    assert rated(cleaned) == [("b", "y", 2.0), ("a", "x", 3.0)]
    assert cleaned.items["item_id"].tolist() == ["x", "y"]


def test_actions_need_no_rating_and_may_be_repeated() -> None:
    tables = make_tables([(1, 10, 0, 200), (1, None, 0, 7), (1, 10, 0, 300), (2, 20, 0, 100)])
    actions = tables.ratings.drop(columns="rating")
    cleaned, report = clean(Tables(actions, tables.users, tables.items), quarantine(("ratings", "r", 4)))
    assert cleaned.feedback == "actions"
    kept = cleaned.ratings[["user_id", "item_id", "timestamp"]]
    assert kept.values.tolist() == [[1, 10, 200], [1, 10, 300]]
    assert kept.index.tolist() == [0, 1]
    assert set(kept.dtypes) == {np.dtype("int64")}
    assert report.rules["duplicate_ratings"] == 0
    assert report.rules["missing_values_ratings"] == report.rules["quarantined_ratings"] == 1


def test_report_is_json() -> None:
    _, report = clean(make_tables([(1, 10, 1, 1)]))
    assert json.loads(json.dumps(report.to_dict()))["rows_out"] == {"ratings": 1, "users": 2, "items": 2}
