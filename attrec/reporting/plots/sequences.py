"""Plots of the next-item task; as in `plots`, each takes a small table and returns a matplotlib Figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attrec.reporting.plots.common import metric_label
from attrec.reporting.style import (
    legend_below,
    panels,
    series_colour,
    series_line,
    series_marker,
    shortened,
    styled,
)


@styled
def ranking_curves(curves: pd.DataFrame, measured_by: str) -> Figure:
    """Training loss by epoch, and beside it what validation is measured by, its highest value marked.

    Losses differ in kind between models: the first panel shows how each one falls, not which is lower.

    Args:
        curves: model, epoch, train, validation (1 - what is measured); either may be NaN.
        measured_by: Its name.
    """
    figure, (loss, value) = panels(3.3, 1, 2)
    for number, (model, rows) in enumerate(curves.groupby("model", sort=False)):
        colour, rows = series_colour(number), rows.sort_values("epoch")
        trained = rows.dropna(subset="train")
        line = series_line(number)
        loss.plot(
            trained["epoch"], trained["train"], color=colour, linestyle=line, label=shortened(model, 40)
        )
        measured = rows.dropna(subset="validation").assign(value=lambda frame: 1 - frame["validation"])
        value.plot(measured["epoch"], measured["value"], color=colour, linestyle=line)
        if len(measured):
            best = measured.nlargest(1, "value").iloc[0]
            value.plot(best["epoch"], best["value"], series_marker(number), color=colour, markersize=6)
    loss.set_title("Training loss")
    value.set_title("On validation")
    for place in (loss, value):
        place.set_xlabel("epoch")
        place.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_below(figure, loss)
    return figure


@styled
def value_by_length(groups: pd.DataFrame, metric: str) -> Figure:
    """The metric for users with short and with long histories, a line a model, with its intervals.

    Args:
        groups: model, group, users, value, ci_low, ci_high; groups in the order to draw.
    """
    users = groups.drop_duplicates("group").set_index("group")["users"]
    figure, (axes,) = panels(3.4)
    for number, (model, rows) in enumerate(groups.groupby("model", sort=False)):
        figures = rows.set_index("group").reindex(users.index)
        reach = [figures["value"] - figures["ci_low"], figures["ci_high"] - figures["value"]]
        places = [place + 0.06 * number for place in range(len(figures))]
        axes.errorbar(
            places, figures["value"], yerr=reach, marker=series_marker(number), linestyle=series_line(number),
            color=series_colour(number), linewidth=1.2, label=shortened(model, 40),
        )  # fmt: skip
    labels = [f"{group}\n({count:,} users)" for group, count in users.items()]
    axes.set_xticks(range(len(users)), labels, fontsize=8)
    axes.set_xlim(-0.4, len(users) - 0.6)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("actions in the history")
    axes.set_ylabel(metric_label(metric))
    legend_below(figure, axes)
    return figure
