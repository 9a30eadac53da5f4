"""Sentences that quote data."""

from __future__ import annotations

from attrec.errors import LONGEST, DataError


def test_of_a_long_message_the_ends_stay():
    columns = ", ".join(f"column{number}" for number in range(100_000))
    said = str(DataError(f"shop.csv has no column 'user' (it has {columns}): name the one that it has."))
    assert said.startswith("shop.csv has no column 'user' (it has column0, column1, ")
    assert said.endswith(": name the one that it has.")
    assert len(said) == LONGEST + len(" … ")
    assert str(DataError("x" * LONGEST)) == "x" * LONGEST
