"""What the page template lays out: a section's facts, tables and figures, already in words and SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure as MatplotlibFigure

from attrec.reporting.style import to_svg


@dataclass(frozen=True)
class Figure:
    """A drawn figure with its caption."""

    svg: Markup
    caption: str

    @classmethod
    def draw(cls, figure: MatplotlibFigure, name: str, caption: str, description: str) -> Figure:
        """`name` tells the figures of one page apart; `description` is read to those who cannot see."""
        return cls(Markup(to_svg(figure, description, name)), caption)


@dataclass(frozen=True)
class Table:
    """A table with its caption; `folded` ones are closed until asked for."""

    caption: str
    rows: pd.DataFrame
    folded: bool = False
    note: str = ""
    highlight: int | None = None
    """Position of the row that stands out."""
    unbroken: tuple[str, ...] = ()
    """Columns of text that stay on one line."""
    aligned: tuple[str, ...] = ()
    """Columns of text that are numbers of their own precision, and stand like numbers."""
    decimals: int = 4
    links: Mapping[str, str] = field(default_factory=dict)
    """Where cells of the first column lead to, by their text."""

    def header(self) -> list[tuple[str, str]]:
        """Each column's title and style class."""
        return [(str(name).replace("_", " "), self._style(name)) for name in self.rows.columns]

    def body(self) -> list[list[tuple[str, str]]]:
        """Each row's cells as text, with their style class."""
        styles = [self._style(name) for name in self.rows.columns]
        records = self.rows.astype(object).itertuples(index=False, name=None)
        return [
            [(text(value, self.decimals), style) for value, style in zip(row, styles, strict=True)]
            for row in records
        ]

    def _style(self, column: str) -> str:
        values = self.rows[column]
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if is_number or column in self.aligned:
            return "number"
        return "unbroken" if column in self.unbroken else "text"


Sure = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class Card:
    """What is to be known of one task at a glance."""

    title: str
    section: str
    """Id of the section that tells more."""
    headline: str
    """The model."""
    figure: str
    meaning: str
    """Of the figure."""
    sure: Sure
    verdict: str
    """How sure the headline is, in a few words."""
    sentences: Sequence[str]


@dataclass(frozen=True)
class Line:
    """One item of a list, and what is said of it."""

    text: str
    detail: str = ""
    found: bool = False


@dataclass(frozen=True)
class Example:
    """What one person had and is recommended."""

    title: str
    lists: Sequence[tuple[str, Sequence[Line]]]
    """Each with its heading."""


@dataclass
class Section:
    """One section of the page, its parts in the order in which they are laid out."""

    id: str
    title: str
    summary: list[str] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    examples_title: str = ""
    examples_note: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fold: str = ""
    """Under what words facts and notes are folded away; empty where they are open, and above the tables."""
    definitions: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    further_tables: list[Table] = field(default_factory=list)


def interval(low: float, high: float) -> str:
    """An interval as people read it, both ends with four decimals; nothing where too few were tested to have one."""
    return "" if math.isnan(low) else f"{text(low)} – {text(high)}"


def interval_words(low: float, high: float) -> str:
    """The same in a sentence."""
    return "too few tested for an interval" if math.isnan(low) else f"95% interval {low:.4f} to {high:.4f}"


def text(value: object, decimals: int = 4) -> str:
    """A cell as people read it: thousands separated, fixed decimals, nothing for a missing value."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return f"{float(value):,.{decimals}f}".replace("-", "−")
    return str(value)
