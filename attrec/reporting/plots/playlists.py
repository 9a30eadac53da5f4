"""Plots of the playlist task; as in `plots`, each returns a matplotlib Figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from attrec.reporting.style import (
    INK,
    MUTED,
    SERIES,
    WIDTH,
    legend_below,
    panels,
    series_colour,
    series_marker,
    shortened,
    styled,
)

_COLOURED = len(SERIES) - 1  # clusters with a colour of their own: the largest
_MOST_POINTS = 2_000  # of the catalogue, drawn at random: an SVG of more is slow to open


@styled
def catalogue_map(
    points: np.ndarray,
    clusters: np.ndarray | None = None,
    playlist: np.ndarray | None = None,
    centroid: np.ndarray | None = None,
    recommended: np.ndarray | None = None,
    nouns: tuple[str, str] = ("item", "items"),
) -> Figure:
    """The catalogue in its two widest directions (PCA), with a playlist and the point that it is looked for around.

    Args:
        points: [items, d] vectors.
        clusters: [items] cluster of each item, negative for none; the largest ones get a colour each.
        playlist: codes of the playlist's items.
        centroid: [d] in the space of `points`.
        recommended: codes of the items that were recommended.
        nouns: What an item is called, and several.
    """
    middle = points.mean(axis=0)
    _, spread, directions = np.linalg.svd(points - middle, full_matrices=False)
    flat = (points - middle) @ directions[:2].T
    shown = np.arange(len(points))
    if len(points) > _MOST_POINTS:
        shown = np.sort(np.random.default_rng(0).choice(len(points), _MOST_POINTS, replace=False))
    figure, (axes,) = panels(0.85 * WIDTH)
    if clusters is None:
        _dots(axes, flat[shown], nouns[0])
    else:
        names, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
        largest = np.sort(names[np.argsort(-sizes, kind="stable")][:_COLOURED])
        rest = shown[~np.isin(clusters[shown], largest)]
        if len(rest):
            _dots(axes, flat[rest], f"other {nouns[1]}")
        for number, name in enumerate(largest):
            some = shown[clusters[shown] == name]
            axes.plot(
                *flat[some].T, series_marker(number), color=series_colour(number), markersize=3.5, linestyle="none",
                markeredgewidth=0, alpha=0.8, label=f"cluster {name}",
            )  # fmt: skip
    marks = (("playlist", playlist, "o", 6), ("recommended", recommended, "^", 6))
    for label, codes, marker, size in marks:
        if codes is not None:
            axes.plot(
                *flat[codes].T, marker, color=INK, markersize=size, label=label,
                markerfacecolor="none", markeredgewidth=1.2, linestyle="none",
            )  # fmt: skip
    if centroid is not None:
        place = (np.asarray(centroid) - middle) @ directions[:2].T
        axes.plot(*place[:, None], "*", color=INK, markersize=14, label="centroid", linestyle="none")
    shares = spread**2 / (spread**2).sum()
    axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second component ({shares[1]:.0%})")
    legend_below(figure, axes)
    return figure


def _dots(axes: Axes, points: np.ndarray, label: str) -> None:
    """Many points as one path, which takes a fraction of what as many markers take."""
    strokes = np.repeat(points, 2, axis=0)
    strokes[1::2, 0] += 1e-6 * np.ptp(points[:, 0])  # a stroke of no length is not drawn by all browsers
    codes = np.tile([Path.MOVETO, Path.LINETO], len(points))
    style: dict[str, Any] = {
        "edgecolor": MUTED,
        "facecolor": "none",
        "linewidth": 2,
        "capstyle": "round",
        "alpha": 0.6,
    }
    axes.add_patch(PathPatch(Path(strokes, codes), **style))
    axes.plot(
        [], [], "o", color=MUTED, markersize=2.5, markeredgewidth=0, alpha=0.6, linestyle="none", label=label
    )
    axes.autoscale_view()


@styled
def cleaning_distributions(before: pd.DataFrame, after: pd.DataFrame, bins: int = 30) -> Figure:
    """How each column of numbers was spread before cleaning (left) and after (right), a line a column.

    Args:
        before: the raw table.
        after: the cleaned one; columns of both are shown, missing values left out.
        bins: of each histogram.
    """
    columns = [name for name in after if name in before and pd.api.types.is_numeric_dtype(before[name])]
    figure, axes = panels(1.15 * max(len(columns), 1) + 0.3, max(len(columns), 1), 2)
    for line, name in enumerate(columns):
        for side, (table, colour) in enumerate(((before, SERIES[1]), (after, SERIES[0]))):
            place = axes[2 * line + side]
            values = table[name].dropna().to_numpy(dtype=float)
            place.hist(values, bins=bins, color=colour, histtype="stepfilled")
            place.set_title(f"{shortened(name, 18)}, {('before', 'after')[side]}", fontsize=8.5)
            place.tick_params(labelsize=7.5)
            place.xaxis.set_major_locator(MaxNLocator(4))
            place.yaxis.set_major_locator(MaxNLocator(3))
            place.grid(axis="x", visible=False)
    return figure
