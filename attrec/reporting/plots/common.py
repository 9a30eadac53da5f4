"""Plots that several families show: each takes a small table and returns a matplotlib Figure in the one `style`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from attrec.reporting.leaderboard import lower_is_better, metric_name
from attrec.reporting.style import (
    MUTED,
    PAPER,
    SERIES,
    legend_below,
    panels,
    series_colour,
    series_line,
    series_marker,
    shortened,
    styled,
)

_WEIGHTS = (0.02, 0.1, 0.25, 0.5, 1.0)  # of attention, in the legend


@styled
def forest(
    rows: pd.DataFrame, metric: str, noise_floor: float | None = None, references: pd.DataFrame | None = None
) -> Figure:
    """Every model's figure and interval, the best on top; published figures, which have none, as diamonds.

    Args:
        rows: model, value, ci_low, ci_high; drawn in this order.
        noise_floor: the best value that any model could reach, where the generative model is known.
        references: model, value.
    """
    published = pd.DataFrame(columns=["model", "value"]) if references is None else references
    labels = [shortened(name) for name in rows["model"]]
    labels += [f"{shortened(name)} (published)" for name in published["model"]]
    figure, (axes,) = panels(0.75 + 0.27 * len(labels))
    places = range(len(rows))
    axes.hlines(list(places), rows["ci_low"], rows["ci_high"], color=SERIES[0], linewidth=2.2)
    axes.plot(rows["value"], list(places), "o", color=SERIES[0], markersize=6, linestyle="none")
    below = range(len(rows), len(labels))
    axes.plot(published["value"], list(below), "D", color=SERIES[1], markerfacecolor="none", linestyle="none")
    if noise_floor is not None:
        axes.axvline(noise_floor, color=SERIES[2], linestyle="--", linewidth=1.4)
        axes.annotate(
            f"noise floor {noise_floor:.3f}", (noise_floor, 1), xycoords=("data", "axes fraction"),
            xytext=(4, 2), textcoords="offset points", color=SERIES[2], fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.06)
    axes.set_xlabel(metric_label(metric))
    return figure


@styled
def loss_curves(curves: pd.DataFrame) -> Figure:
    """Loss by epoch, of validation strong and of training thin, the lowest validation loss marked.

    Args:
        curves: model, epoch, train, validation (either may be NaN).
    """
    figure, (axes,) = panels(3.5)
    for number, (model, rows) in enumerate(curves.groupby("model", sort=False)):
        colour, rows = series_colour(number), rows.sort_values("epoch")
        axes.plot(rows["epoch"], rows["train"], color=colour, linestyle=series_line(number), linewidth=0.8)
        axes.plot(
            rows["epoch"],
            rows["validation"],
            color=colour,
            linestyle=series_line(number),
            label=shortened(model, 40),
        )
        if rows["validation"].notna().any():
            best = rows.nsmallest(1, "validation").iloc[0]
            axes.plot(best["epoch"], best["validation"], series_marker(number), color=colour, markersize=6)
    axes.plot([], [], color=MUTED, linewidth=0.8, label="training (thin)")
    axes.set_xlabel("epoch")
    axes.set_ylabel("masked RMSE")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, axes)
    return figure


@styled
def distributions(table: pd.DataFrame) -> Figure:
    """How each variable was spread before and after cleaning: one panel a variable.

    Args:
        table: variable, value (label, in the order to draw), before, after (counts), as
            `attrec.reporting.distributions` gives them.
    """
    variables = list(dict.fromkeys(table["variable"]))
    lines = math.ceil(len(variables) / 2)
    figure, axes = panels(2.3 * lines, lines, 2 if len(variables) > 1 else 1)
    for spare in axes[len(variables) :]:
        spare.set_axis_off()
    for place, variable in zip(axes, variables, strict=False):
        rows = table[table["variable"] == variable]
        at = range(len(rows))
        place.bar(at, rows["before"], width=0.85, color="none", edgecolor=SERIES[1], label="before")
        place.bar(at, rows["after"], width=0.6, color=SERIES[0], label="after")
        step = math.ceil(len(rows) / 6)
        labels = [shortened(label, 12) for label in rows["value"]]
        slant: dict[str, Any] = (
            {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if max(map(len, labels)) > 5 else {}
        )
        place.set_xticks(at[::step], labels[::step], fontsize=8, **slant)
        place.yaxis.set_major_locator(MaxNLocator(4))
        place.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        place.tick_params(axis="y", labelsize=8)
        place.grid(axis="x", visible=False)
        place.set_title(variable)
    legend_below(figure, axes[0])
    return figure


@styled
def attention_map(
    weights: np.ndarray, labels: Sequence[str], heads: Sequence[str] | None = None, width: int = 28
) -> Figure:
    """How much each action of a history (row) attended to each other one (column), a panel a head.

    A cell's opacity is the square root of its weight, so that both small weights and whole ones are told apart on any
    paper. Columns bear the numbers of the rows.

    Args:
        weights: [heads, n, n], or [n, n] of a single head; each row sums to 1.
        labels: n titles, the oldest action first.
        heads: a title for each panel; left out: head 1, head 2 ....
        width: Letters that are shown of a title.
    """
    by_head = np.asarray(weights, dtype=np.float64)
    by_head = by_head[None] if by_head.ndim == 2 else by_head
    n = by_head.shape[-1]
    if by_head.shape[1:] != (len(labels), len(labels)):
        raise ValueError(f"need one label a row, got {len(labels)} for weights of shape {by_head.shape}")
    names = heads or [f"head {number}" for number in range(1, len(by_head) + 1)]
    across = min(2, len(by_head))
    lines = math.ceil(len(by_head) / across)
    figure, axes = panels((0.9 + 0.19 * max(n, 3)) * lines + 0.4, lines, across)
    figure.set_facecolor(PAPER)  # in a file of its own; in a page it is transparent
    for spare in axes[len(by_head) :]:
        spare.set_axis_off()
    for number, (place, rows, name) in enumerate(zip(axes, by_head, names, strict=False)):
        for (row, column), weight in np.ndenumerate(rows):
            if weight > 0:
                corner, opacity = (column - 0.5, row - 0.5), float(min(weight, 1.0)) ** 0.5
                place.add_patch(Rectangle(corner, 1, 1, facecolor=SERIES[0], alpha=opacity, linewidth=0))
        place.set_xlim(-0.5, n - 0.5)
        place.set_ylim(n - 0.5, -0.5)
        place.set_aspect("equal")
        place.set_xticks(range(n), [str(column) for column in range(1, n + 1)], fontsize=7.5)
        numbered = [f"{shortened(title, width)}  {row}" for row, title in enumerate(labels, start=1)]
        place.set_yticks(range(n), numbered if number % across == 0 else [""] * n, fontsize=7.5)
        place.tick_params(length=0)
        place.grid(visible=False)
        place.set_title(name)
    scale = [Patch(facecolor=SERIES[0], alpha=weight**0.5, label=f"{weight:g}") for weight in _WEIGHTS]
    figure.legend(handles=scale, title="weight", loc="outside lower center", ncols=len(scale))
    return figure


def metric_label(metric: str) -> str:
    """The axis of a metric, which says where better is."""
    return f"{metric_name(metric)} ({'lower' if lower_is_better(metric) else 'higher'} is better)"
