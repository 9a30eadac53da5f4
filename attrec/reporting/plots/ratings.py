"""Plots of rating models: each takes a small table and returns a matplotlib Figure in the one `style`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from attrec.reporting.plots.common import metric_label
from attrec.reporting.style import (
    INK,
    MUTED,
    SERIES,
    legend_below,
    panels,
    series_colour,
    series_line,
    series_marker,
    shortened,
    styled,
)


@styled
def feature_importance(importance: pd.DataFrame, top: int = 25) -> Figure:
    """The most important features as bars.

    Args:
        importance: feature, importance (any unit: shown as shares of the sum over all features).
    """
    shares = importance.assign(share=importance["importance"] / importance["importance"].sum())
    rows = shares.sort_values(["share", "feature"], ascending=[False, True]).head(top)
    figure, (axes,) = panels(0.7 + 0.2 * len(rows))
    axes.barh(range(len(rows)), 100 * rows["share"], color=SERIES[0], height=0.7)
    axes.set_yticks(range(len(rows)), [shortened(name, 40) for name in rows["feature"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("share of total gain (%)")
    return figure


@styled
def error_by_activity(groups: pd.DataFrame, entity: str, metric: str = "rmse") -> Figure:
    """Error against the number of training ratings, with intervals.

    Args:
        groups: group, value, ci_low, ci_high, as `attrec.metrics.activity` gives them, and optionally model.
        entity: "user" or "item".
    """
    table = groups if "model" in groups else groups.assign(model="")
    order = list(dict.fromkeys(table.sort_values("min_count", kind="stable")["group"]))
    models = list(dict.fromkeys(table["model"]))
    figure, (axes,) = panels(3.2)
    for number, model in enumerate(models):
        rows = table[table["model"] == model].set_index("group").reindex(order)
        shift = 0.12 * (number - (len(models) - 1) / 2)
        places = [place + shift for place in range(len(order))]
        reach = [rows["value"] - rows["ci_low"], rows["ci_high"] - rows["value"]]
        axes.errorbar(
            places,
            rows["value"],
            yerr=reach,
            fmt=series_marker(number),
            color=series_colour(number),
            label=model,
        )
    axes.set_xticks(range(len(order)), order)
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(f"training ratings of the {entity}")
    axes.set_ylabel(metric_label(metric))
    if "model" in groups:
        legend_below(figure, axes)
    return figure


@styled
def calibration(bins: pd.DataFrame) -> Figure:
    """Mean true rating against mean prediction, with two standard errors; on the diagonal is calibrated.

    Args:
        bins: predicted, truth, standard_error, as `attrec.metrics.calibration.calibration` gives them.
    """
    figure, (axes,) = panels(3.6)
    ends = [bins[["predicted", "truth"]].min().min(), bins[["predicted", "truth"]].max().max()]
    axes.plot(ends, ends, color=MUTED, linestyle="--", linewidth=1.2, label="calibrated")
    axes.errorbar(
        bins["predicted"],
        bins["truth"],
        yerr=2 * bins["standard_error"],
        fmt="o",
        color=SERIES[0],
        label="model",
    )
    axes.set_xlabel("mean predicted rating")
    axes.set_ylabel("mean true rating")
    legend_below(figure, axes)
    return figure


@styled
def predictions_by_rating(table: pd.DataFrame) -> Figure:
    """Where the predictions lie for each true rating: 90 % thin, 50 % thick, median dot; the dash is perfect.

    Args:
        table: rating, q05, q25, q50, q75, q95, as `attrec.metrics.calibration` gives them.
    """
    figure, (axes,) = panels(3.2)
    places = list(range(len(table)))
    axes.vlines(places, table["q05"], table["q95"], color=SERIES[0], linewidth=1.4)
    axes.vlines(places, table["q25"], table["q75"], color=SERIES[0], linewidth=7)
    axes.plot(places, table["q50"], "o", color=INK, markersize=5, linestyle="none")
    axes.hlines(table["rating"], [x - 0.3 for x in places], [x + 0.3 for x in places], color=SERIES[1])
    axes.set_xticks(places, [f"{rating:g}" for rating in table["rating"]])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("true rating")
    axes.set_ylabel("predicted rating")
    return figure


@styled
def dimension_against_loss(table: pd.DataFrame) -> Figure:
    """Lowest validation loss by embedding dimension, users and movies (the RSAttAE paper's Fig. 4A).

    Args:
        table: side ("user" or "item"), dimension, loss, and optionally sd (over seeds).
    """
    figure, (axes,) = panels(3.3)
    for number, (side, rows) in enumerate(table.groupby("side", sort=False)):
        rows = rows.sort_values("dimension")
        axes.errorbar(
            rows["dimension"], rows["loss"], yerr=rows.get("sd"),
            fmt=series_marker(number) + "-", color=series_colour(number), label=str(side),
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    dimensions = sorted(table["dimension"].unique())
    axes.xaxis.set_major_locator(FixedLocator(dimensions))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("embedding dimension d")
    axes.set_ylabel("validation loss (masked RMSE)")
    legend_below(figure, axes)
    return figure


@styled
def convergence(table: pd.DataFrame) -> Figure:
    """Validation loss by epoch, vanilla autoencoder against RSAttAE, a panel a side (the paper's Fig. 4B).

    Args:
        table: side ("user" or "item"), model, epoch, validation.
    """
    sides = list(dict.fromkeys(table["side"]))
    models = list(dict.fromkeys(table["model"]))
    figure, axes = panels(3.1, 1, len(sides))
    for place, side in zip(axes, sides, strict=True):
        for number, model in enumerate(models):
            rows = table[(table["side"] == side) & (table["model"] == model)].sort_values("epoch")
            place.plot(
                rows["epoch"], rows["validation"], color=series_colour(number), label=model,
                linestyle=series_line(number),
            )  # fmt: skip
        place.set_title(str(side))
        place.set_xlabel("epoch")
        place.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0].set_ylabel("validation loss (masked RMSE)")
    legend_below(figure, axes[0])
    return figure


@styled
def grid_search(grid: pd.DataFrame, parameter: str = "n_estimators") -> Figure:
    """Validation RMSE over one parameter of the search grid (the paper's Table II), the lowest one marked.

    Args:
        grid: the parameter's column, rmse, and optionally published (the paper's figure for the same setup).
    """
    rows = grid.sort_values(parameter)
    figure, (axes,) = panels(3.0)
    axes.plot(rows[parameter], rows["rmse"], "o-", color=SERIES[0], label="this run")
    best = rows.nsmallest(1, "rmse").iloc[0]
    axes.plot(best[parameter], best["rmse"], "o", color=SERIES[0], markersize=11, markerfacecolor="none")
    if "published" in rows:
        axes.plot(
            rows[parameter],
            rows["published"],
            "D--",
            color=SERIES[1],
            markerfacecolor="none",
            label="published",
        )
        legend_below(figure, axes)
    axes.set_xticks(sorted(rows[parameter].unique()))
    axes.set_xlabel(parameter)
    axes.set_ylabel("validation RMSE")
    return figure
