"""Plots of a search: its course, and what counted."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attrec.reporting.plots.common import metric_label
from attrec.reporting.style import MUTED, SERIES, legend_below, panels, shortened, styled


@styled
def course(trials: pd.DataFrame, metric: str, lower_is_better: bool, start: float | None) -> Figure:
    """The figure of each trial, the best until then, and where the search began.

    Args:
        trials: trial, state, value (missing where pruned).
    """
    figure, (axes,) = panels(3.2)
    complete = trials.dropna(subset="value").sort_values("trial")
    best = complete["value"].cummin() if lower_is_better else complete["value"].cummax()
    if start is not None:
        axes.axhline(start, color=MUTED, linestyle="--", linewidth=1.2, label="start")
    axes.step(complete["trial"], best, where="post", color=SERIES[0], label="best until then")
    axes.plot(complete["trial"], complete["value"], "o", color=SERIES[1], linestyle="none", label="trial")
    pruned = trials[trials["state"] == "pruned"]
    if len(pruned):
        edge = complete["value"].max() if lower_is_better else complete["value"].min()
        axes.plot(
            pruned["trial"],
            [edge] * len(pruned),
            "x",
            color=MUTED,
            linestyle="none",
            label="pruned",
        )
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel(metric_label(metric))
    legend_below(figure, axes, columns=4)
    return figure


@styled
def importance(shares: dict[str, float]) -> Figure:
    """How much each field counted, as bars."""
    rows = sorted(shares.items(), key=lambda row: (-row[1], row[0]))
    figure, (axes,) = panels(0.8 + 0.26 * len(rows))
    axes.barh(range(len(rows)), [100 * share for _, share in rows], color=SERIES[0], height=0.7)
    axes.set_yticks(range(len(rows)), [shortened(path, 40) for path, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("importance (%)")
    return figure
