"""Counts before and after cleaning, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.datasets.tables import Tables
from attrec.reporting.distributions import compare, distributions


def counts(table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    return {row.value: (row.before, row.after) for row in table.itertuples()}


def test_few_numbers_count_by_value_in_order_and_missing_apart() -> None:
    table = compare("rating", pd.Series([5.0, 1, 1, np.nan, 0.5]), pd.Series([5.0, 1]))
    assert counts(table) == {"0.5": (1, 0), "1": (2, 1), "5": (1, 1), "(missing)": (1, 0)}
    assert list(table["value"]) == ["0.5", "1", "5", "(missing)"]


def test_many_numbers_fall_into_equal_bins_common_to_both() -> None:
    table = compare("score", pd.Series([0, 0.5, 1, 2.5, 3, 4]), pd.Series([0.5, 4]), bins=4)
    assert counts(table) == {
        "0": (2, 1),
        "1": (1, 0),
        "2": (1, 0),
        "3": (2, 1),
    }  # the last holds its right edge


def test_bins_of_whole_numbers_are_of_whole_width() -> None:
    table = compare("age", pd.Series(np.arange(101)), pd.Series(np.arange(51)), bins=10)
    assert list(table["value"]) == [str(low) for low in range(0, 100, 11)]
    assert table["before"].tolist() == [11] * 9 + [2]
    assert table["after"].tolist() == [11] * 4 + [7] + [0] * 5


def test_lists_count_for_each_value_and_the_rarest_is_other() -> None:
    genres = pd.Series([["Drama", "War"], ["Drama"], ["Noir"]])
    assert counts(compare("genres", genres, genres[:1], bins=2)) == {
        "Drama": (2, 1),
        "War": (1, 1),
        "(others)": (1, 0),
    }


def test_tables_give_a_part_for_each_variable_they_have() -> None:
    ratings = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7], "rating": [3.0, 4.0, 9.0]})
    items = pd.DataFrame({"item_id": [7, 8], "year": [1990.0, np.nan], "genres": [["Drama"], []]})
    before = Tables(ratings, pd.DataFrame({"user_id": [1, 2], "gender": ["F", None]}), items)
    after = Tables(ratings[:2], pd.DataFrame({"user_id": [1, 2], "gender": ["F", "unknown"]}), items)
    table = distributions(before, after)
    assert set(table["variable"]) == {
        "rating",
        "ratings a user",
        "ratings an item",
        "gender",
        "year",
        "genres",
    }
    by_user = table[table["variable"] == "ratings a user"]
    assert counts(by_user) == {"1": (1, 0), "2": (1, 1)}
    assert counts(table[table["variable"] == "gender"])["(missing)"] == (1, 0)


def test_where_nobody_rates_actions_are_counted() -> None:
    actions = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
    entities = pd.DataFrame({"user_id": [1, 2]}), pd.DataFrame({"item_id": [7, 8]})
    table = distributions(Tables(actions, *entities), Tables(actions[:2], *entities))
    assert set(table["variable"]) == {"actions a user", "actions an item"}
    assert counts(table[table["variable"] == "actions a user"]) == {"1": (1, 0), "2": (1, 1)}
