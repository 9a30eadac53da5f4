"""What one model recommends to a few people, beside what they had."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from attrec.reporting.contents import TaskReport
from attrec.reporting.elements import Example, Line, Section

SIDES = ("had", "next", "recommended")


def add_examples(section: Section, report: TaskReport, person: str, headings: Mapping[str, str]) -> None:
    """Let a section show them, where there are any.

    Args:
        person: What they are: "User", "Playlist".
        headings: Of each of `SIDES` that is shown.
    """
    rows = report.examples
    if rows is None or rows.empty:
        return
    for whose, own in rows.groupby("whose", sort=False):
        lists = [
            (headings[side], [_line(row) for row in own[own["side"] == side].to_dict("records")])
            for side in SIDES
            if side in headings
        ]
        section.examples.append(Example(f"{person} {whose}", lists))
    section.examples_title = f"What {rows['model'].iloc[0]} recommends"
    found = " ✓: what validation asks for." if "next" in headings else ""
    section.examples_note = f"{person}s of the validation part of whom little, some and much is known.{found}"


def _line(row: Mapping[Hashable, Any]) -> Line:
    """An item as people name it."""
    expected = ".2f" if row["side"] == "recommended" else "g"
    rating = "" if pd.isna(row["rating"]) else format(row["rating"], expected)
    return Line(row["title"], ", ".join(filter(None, (row["artist"], rating))), bool(row["found"]))
