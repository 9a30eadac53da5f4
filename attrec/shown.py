"""Text of data where it is shown: it controls no terminal, is no Markdown and no formula of a spreadsheet.

In HTML templates escape it, and no plot takes it for mathematics (`attrec.reporting.style`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# What a terminal obeys, what ends a line or turns the direction of what follows, and what UTF-8 cannot write.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
# What makes a link of an address that stands alone is among it.
_MARKDOWN = re.compile(r"(?i)[\\`*_~|\[\]@]|:(?=//)|(?<=www)\.")
FORMULA = "[=+@\t\r\n＝＋－＠-]"
"""What a cell begins with that spreadsheets calculate (regular expression); full-width ones do so in East Asia."""
_FORMULA, _GUARDED = re.compile(f"'*{FORMULA}"), re.compile(f"'+{FORMULA}")


def one_line(text: str) -> str:
    """A text as it may stand in a line of a terminal or a log: each control character is U+FFFD."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def as_markdown(text: str) -> str:
    """Markdown that shows a text as it stands, inside a paragraph."""
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(one_line(text), quote=False))


def as_cell(text: str) -> str:
    """A text as it may stand in a CSV file that a spreadsheet opens: with an apostrophe before what would be a formula.

    `from_cell` takes it away again, and no other one: of two different texts the cells differ.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """The text of a cell that `as_cell` has written."""
    return cell[1:] if _GUARDED.match(cell) else cell


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A table with `as_cell` of each text in it, but for ids, which are to be found again: columns named `…_id`."""
    return _each_text(table, as_cell)


def from_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table of which `as_cells` was written."""
    return _each_text(table, from_cell)


def some_is_formula(ids: pd.Index) -> bool:
    """Whether a spreadsheet would calculate any of these ids."""
    return ids.dtype.kind not in "iuf" and bool(ids.astype(str).str.match(FORMULA).any())


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    changed = table.copy()
    for name in changed.select_dtypes(["object", "string", "category"]):
        if not str(name).endswith("_id"):
            texts = changed[name].astype(object) if changed[name].dtype == "category" else changed[name]
            changed[name] = texts.map(lambda cell: change(cell) if isinstance(cell, str) else cell)
    return changed
