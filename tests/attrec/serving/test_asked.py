"""Ids as they are sent, in the type that a model has them in."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.serving.asked import as_id, as_ids
from attrec.serving.requests import read_items
from attrec.serving.titles import Match

WHOLE, TEXT = pd.Index([1, 2, 3]), pd.Index(["7", "8", "a"])
BLANKS = pd.Index(["7", " 7", "8 "])
LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("sent", "known", "read"),
    [
        (7, WHOLE, 7),
        (7.0, WHOLE, 7),
        ("7", WHOLE, 7),
        ("7.0", WHOLE, 7),
        ("-7", WHOLE, -7),
        (LARGE, WHOLE, LARGE),
        (str(LARGE), WHOLE, LARGE),
        (7, TEXT, "7"),
        (7.0, TEXT, "7"),
        ("007", TEXT, "007"),
        (str(LARGE), TEXT, str(LARGE)),
        (" 7 ", WHOLE, 7),
        (" a", TEXT, "a"),
        (" b", TEXT, " b"),
        (" 7", BLANKS, " 7"),
        ("7 ", BLANKS, "7"),
        ("8 ", BLANKS, "8 "),
        ("8", BLANKS, "8"),
    ],
)
def test_an_id_is_read_as_the_model_writes_it(sent: Any, known: pd.Index, read: int | str) -> None:
    found = as_id(sent, known, "item")
    assert found == read
    assert type(found) is type(read)
    if not isinstance(sent, float):
        assert as_ids(pd.Series([sent], name="item_id"), known, "line").tolist() == [read]


@pytest.mark.parametrize(
    "sent", [1.5, float("inf"), float("nan"), True, None, [1], "a", "", "9" * 5000, 2**63, 1e300]
)
def test_what_is_no_id_is_taken_for_none(sent: Any) -> None:
    with pytest.raises(
        DataError, match=r"no item id of this model: they are whole|its last digits are lost"
    ) as refused:
        as_id(sent, WHOLE, "item")
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("sent", [True, 1.5, None, ["a"]])
def test_what_is_neither_text_nor_a_whole_number_is_no_textual_id(sent: Any) -> None:
    with pytest.raises(DataError, match="no item id of this model: they are text, like 7, 8, a"):
        as_id(sent, TEXT, "item")


def test_the_line_of_what_is_no_id_is_told() -> None:
    ids = pd.Series(["1", "2.0", "x"], index=[2, 3, 4], name="user_id")
    assert as_ids(ids[:2], WHOLE, "a.csv, line").tolist() == [1, 2]
    with pytest.raises(DataError, match=r"^a\.csv, line 4: 'x' is no user id of this model"):
        as_ids(ids, WHOLE, "a.csv, line")


@pytest.mark.parametrize("known", [pd.Index([LARGE - 1, LARGE]), pd.Index([str(LARGE - 1), str(LARGE)])])
def test_a_large_id_beside_a_title_is_the_one_that_was_sent_or_none(known: pd.Index) -> None:
    def find(row: Any) -> Match:
        return Match("Heat", known[0], "Heat", 100.0)

    as_text = [{"item_id": str(LARGE)}, {"title": "Heat"}]
    assert read_items(as_text, "history", known, find).ids == [known[1], known[0]]
    # Pandas makes floats of numbers beside a row without one: 2**53 + 1 becomes 2**53.
    as_number = pd.DataFrame([{"item_id": LARGE}, {"title": "Heat"}]).to_dict("records")
    with pytest.raises(
        DataError, match=r"^Row 1 of the history: .* its last digits are lost: send ids as text"
    ):
        read_items(as_number, "history", known, find)
    for alone in (pd.DataFrame([{"item_id": LARGE}]).to_dict("records"), [{"item_id": LARGE}]):
        assert read_items(alone, "history", known, find).ids == [known[1]]


def test_half_a_pair_of_utf_16_is_no_id() -> None:
    with pytest.raises(DataError, match="is no user id of this model"):
        as_id("\ud800", pd.Index(["ann", "bob"]), "user")
