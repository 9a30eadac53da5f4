"""One look for all plots: quiet axes, colour-blind safe series, and SVG that follows the page.

Every colour has a name; in the SVG it becomes the CSS variable of that name, with the light colour to fall
back on, so that the same figure is readable on a white page, on a dark one, and outside any page.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attrec.shown import one_line

# Of titles in scripts that the font has not: browsers have them, and in a picture boxes say so.
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)

Line = str | tuple[int, tuple[float, ...]]
INK, MUTED, RULE, PAPER = "#1f2429", "#5c6570", "#d9dde2", "#fefefd"
# After Okabe & Ito (2008), darkened where needed to stand out on white; told apart under the common
# colour deficiencies, and by marker and line style besides.
SERIES = ("#0068a8", "#c8500a", "#00805d", "#a3488a", "#8a6a00", "#4f5fc4", "#b03a48", "#4d7f2b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Line, ...] = (
    "-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1.2)), (0, (8, 2, 1.2, 2, 1.2, 2)),
    (0, (2, 2.5)), (0, (10, 3)),
)  # fmt: skip
_LEGEND_LETTERS = 66  # of labels side by side
WIDTH = 5.6  # inches; about 540 CSS pixels

_NAMES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)
}

_MARKERS_ALIKE = re.compile(r'<use [^>]*? style="([^"]*)"/>(?:<use [^>]*? style="\1"/>)+')

STYLE: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same measures on every machine
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "text.parse_math": False,  # a title with two $ is no formula
    "text.usetex": False,  # nor TeX, whatever the user's matplotlibrc says
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "attrec",
}

styled = rc_context(STYLE)
"""Decorator of every plotting function."""


def panels(height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of the common width and its axes, row by row."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, list(grid.flat)


def legend_below(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend for the whole figure, of what `axes` shows."""
    handles, labels = axes.get_legend_handles_labels()
    abreast = max(1, _LEGEND_LETTERS // max(map(len, labels), default=1))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), columns, abreast))


def shortened(name: object, letters: int = 30) -> str:
    """A name as it fits beside a plot."""
    text = one_line(str(name))
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def series_colour(number: int) -> str:
    return SERIES[number % len(SERIES)]


def series_marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def series_line(number: int) -> Line:
    return LINES[number % len(LINES)]


def to_svg(figure: Figure, label: str, name: str) -> str:
    """The figure as an `<svg>` element to be put into HTML; equal figures give equal text.

    Args:
        label: what the figure shows, for those who cannot see it.
        name: distinguishes this figure's element ids from those of the page's other figures.
    """
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Tags alone: a text may have whatever stands in them.
    svg = re.sub(r"<[^>]+>", lambda tag: _in_page(tag[0], name), svg)
    svg = re.sub(r">\s+<", "><", svg)
    svg = _MARKERS_ALIKE.sub(lambda run: f'<g style="{run[1]}">{run[0].replace(_style(run[1]), "")}</g>', svg)
    view_box = re.search(r'viewBox="[^"]+"', svg)
    assert view_box is not None
    opening = f'<svg {view_box[0]} role="img" aria-label="{escape(one_line(label))}"'
    opening += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1).strip()


def _in_page(tag: str, name: str) -> str:
    """A tag with ids of its figure, hundredths of a point, which are finer than any screen, and colours of the page."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'href="#', f'href="#{name}-', tag)
    tag = re.sub(r"url\(#", f"url(#{name}-", tag)
    tag = re.sub(r"\d+\.\d{3,}", _rounded, tag)
    for colour, variable in _NAMES.items():
        tag = tag.replace(colour, f"var(--{variable}, {colour})")
    return tag


def _style(text: str) -> str:
    return f' style="{text}"'


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
