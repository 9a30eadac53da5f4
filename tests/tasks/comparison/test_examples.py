"""Whom the report shows, and what of theirs."""

from __future__ import annotations

import pandas as pd

from tasks.comparison.examples import COLUMNS, Example, example_table, few_people

ITEMS = pd.DataFrame({"item_id": [1, 2, 3], "title": ["One", None, "NA"], "artist": ["A", "B", None]})


def test_people_of_whom_little_some_and_much_is_known() -> None:
    known = pd.Series({f"user-{number}": number for number in range(100, -1, -1)})
    assert few_people(known) == ["user-26", "user-51", "user-76"]
    assert few_people(known.sample(frac=1, random_state=0)) == ["user-26", "user-51", "user-76"]


def test_few_or_nobody() -> None:
    assert few_people(pd.Series({7: 3})) == [7]
    assert few_people(pd.Series({7: 0})) == []
    assert few_people(pd.Series(dtype=int)) == []


def test_a_row_an_item_of_each_side_in_order() -> None:
    one = Example("u", had=[2, 3], recommended=[3, 1], next=[1], ratings={2: 4.5})
    table = example_table("best", [one], ITEMS)
    assert table.columns.tolist() == COLUMNS
    assert list(zip(table["side"], table["rank"], table["title"], table["artist"], table["found"], strict=True)) == [
        ("had", 1, "2", "B", False), ("had", 2, "NA", "", False), ("next", 1, "One", "A", False),
        ("recommended", 1, "NA", "", False), ("recommended", 2, "One", "A", True),
    ]  # fmt: skip
    assert table["rating"].tolist()[0] == 4.5
    assert table["rating"].isna().sum() == 4
    assert example_table("best", [], ITEMS).columns.tolist() == COLUMNS


def test_long_lists_are_cut_and_what_is_behind_the_cut_is_found_all_the_same() -> None:
    items = pd.DataFrame({"item_id": range(20)})
    table = example_table("best", [Example(1, range(20), [9, 8], next=range(20))], items)
    assert table["side"].value_counts().to_dict() == {"had": 5, "next": 5, "recommended": 2}
    assert table.loc[table["side"] == "recommended", "found"].all()
