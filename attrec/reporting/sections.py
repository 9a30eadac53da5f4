"""What the page template lays out: a section's facts, tables and figures, already in words and SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure as MatplotlibFigure

from attrec.reporting.style import to_svg


@dataclass(frozen=True)
class Figure:
    """A drawn figure with its caption."""

    svg: Markup
    caption: str
    wide: bool = False

    @classmethod
    def draw(
        cls, figure: MatplotlibFigure, name: str, caption: str, description: str, wide: bool = False
    ) -> Figure:
        """`name` tells the figures of one page apart; `description` is read to those who cannot see."""
        return cls(Markup(to_svg(figure, description, name)), caption, wide)


@dataclass(frozen=True)
class Table:
    """A table with its caption; `folded` ones are closed until asked for."""

    caption: str
    rows: pd.DataFrame
    folded: bool = False
    note: str = ""
    highlight: int | None = None
    """Position of the row that stands out."""

    def header(self) -> list[tuple[str, bool]]:
        """Each column's title, and whether it holds numbers."""
        return [(str(name).replace("_", " "), self._is_number(name)) for name in self.rows.columns]

    def body(self) -> list[list[tuple[str, bool]]]:
        """Each row's cells as text, with whether the column holds numbers."""
        numbers = [self._is_number(name) for name in self.rows.columns]
        records = self.rows.astype(object).itertuples(index=False)
        return [
            [(text(value), number) for value, number in zip(row, numbers, strict=True)] for row in records
        ]

    def _is_number(self, column: str) -> bool:
        return pd.api.types.is_numeric_dtype(self.rows[column]) and self.rows[column].dtype != bool


@dataclass
class Section:
    """One section of the page."""

    id: str
    title: str
    summary: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    definitions: dict[str, str] = field(default_factory=dict)


def text(value: object) -> str:
    """A cell as people read it: thousands separated, four decimals, nothing for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return f"{float(value):.4f}"
    return str(value)
