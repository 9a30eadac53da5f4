"""Plots of a comparison over several splits: published beside measured, error against cost, classes, folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from attrec.reporting.style import (
    INK,
    MUTED,
    SERIES,
    legend_below,
    panels,
    series_colour,
    series_marker,
    styled,
)

ROW = 0.24  # inches a model takes in a plot of one line each
LABEL_SIZE, MARKER, CROWD = 7.5, 7.0, 45.0  # points
OFFSETS = [
    (
        round(float(distance * np.cos(np.deg2rad(angle))), 2),
        round(float(distance * np.sin(np.deg2rad(angle))), 2),
    )
    for distance in (6, 9, 14, 20, 28, 38, 50, 64, 80)
    for angle in (0, 180, 45, -45, 135, -135, 90, -90, 22, -22, 67, -67, 112, -112, 157, -157)
]
"""Where a label may stand beside its point: near places first."""


def visible_limit(values: Sequence[float] | pd.Series) -> float:
    """Where an axis ends so that most models can be told apart: those far worse than the rest lie past it."""
    figures = np.sort(np.asarray(values, dtype=np.float64))
    best, middle = figures[0], np.median(figures)
    return float(figures[figures <= best + max(4 * (middle - best), 1e-6)][-1])


@styled
def published_and_measured(rows: pd.DataFrame, metric: str = "rmse") -> Figure:
    """Every model's figure with its interval, the best on top, and beside it what was published of it.

    Args:
        rows: model, value, ci_low, ci_high (missing where only a published figure is known), published (missing where
            there is none). Those far worse than the rest are named at the right edge, with their value.
    """
    shown = rows.assign(at=rows["value"].fillna(rows["published"])).sort_values("at", kind="stable")
    usual = shown[shown["at"] <= visible_limit(shown["at"])]
    limit = float(usual[["at", "ci_high", "published"]].max().max())
    figure, (axes,) = panels(0.9 + ROW * len(shown))
    shown = shown.assign(place=range(len(shown)))
    inside = shown[shown["value"] <= limit]
    axes.hlines(inside["place"], inside["ci_low"], inside["ci_high"], color=SERIES[0], linewidth=2.2)
    axes.plot(
        inside["value"], inside["place"], "o", color=SERIES[0], linestyle="none", label="measured, 95% interval"
    )  # fmt: skip
    known = shown[shown["published"] <= limit]
    if len(known):
        axes.plot(
            known["published"], known["place"], "D", color=SERIES[1], markerfacecolor="none", markersize=4.5,
            linestyle="none", label="published",
        )  # fmt: skip
    far = shown[shown["at"] > limit]
    for place, value in zip(far["place"], far["at"], strict=True):
        axes.annotate(
            f"{value:.4f} →", (1, place), xycoords=("axes fraction", "data"), ha="right", va="center",
            color=MUTED, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(shown)), shown["model"])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{metric.upper()} (lower is better)")
    legend_below(figure, axes)
    return figure


@styled
def error_against_cost(rows: pd.DataFrame, cost: str, label: str, metric: str = "rmse") -> Figure:
    """Every model's figure against what it costs, on a logarithmic axis; labels keep clear of each other.

    Args:
        rows: model, group (categories keep their colour), value, and the column `cost`; rows without a cost are left
            out. Models far worse than the rest lie on the upper edge, with their value in the label.
    """
    known = rows[rows[cost] > 0].sort_values([cost, "model"], kind="stable")
    limit = visible_limit(known["value"])
    figure, (axes,) = panels(5.0)
    axes.set_xscale("log")
    labels, places = [], []
    for number, group in enumerate(known["group"].astype("category").cat.categories):
        members = known[known["group"] == group]
        if len(members):
            axes.plot(
                members[cost], members["value"].clip(upper=limit), series_marker(number), linestyle="none",
                color=series_colour(number), label=str(group),
            )  # fmt: skip
    for model, value, price in zip(known["model"], known["value"], known[cost], strict=True):
        labels.append(str(model) if value <= limit else f"{model} ({value:.3f}) ↑")
        places.append((float(price), float(min(value, limit))))
    axes.margins(x=0.12, y=0.09)
    axes.set_xlabel(label)
    axes.set_ylabel(f"{metric.upper()} (lower is better)")
    legend_below(figure, axes)
    _label_points(figure, axes, places, labels)
    return figure


@styled
def class_reliability(bins: pd.DataFrame) -> Figure:
    """Share of rows with a rating against its predicted probability, a panel a model; on the diagonal is calibrated.

    Args:
        bins: model, rating, predicted, observed, ratings, as `attrec.metrics.class_calibration` gives them. Markers
            grow with the number of rows in the bin.
    """
    models = list(dict.fromkeys(bins["model"]))
    columns = min(2, len(models))
    lines = -(-len(models) // columns)
    figure, axes = panels(2.7 * lines + 0.4, lines, columns)
    for spare in axes[len(models) :]:
        spare.set_axis_off()
    for place, model in zip(axes, models, strict=False):
        place.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1.0)
        own = bins[bins["model"] == model]
        for number, (rating, rows) in enumerate(own.groupby("rating")):
            rows = rows.sort_values("predicted")
            sizes = 6 + 50 * np.sqrt(rows["ratings"] / own["ratings"].max())
            colour = series_colour(number)
            place.plot(rows["predicted"], rows["observed"], color=colour, linewidth=1.0, alpha=0.7)
            place.scatter(
                rows["predicted"], rows["observed"], s=sizes, color=colour, marker=series_marker(number),
                linewidth=0, label=f"rating {rating:g}",
            )  # fmt: skip
        place.set_title(model)
        place.set_xlim(-0.03, 1.03)
        place.set_ylim(-0.03, 1.03)
        place.set_xlabel("predicted probability")
    for place in axes[::columns]:
        place.set_ylabel("observed share")
    legend_below(figure, axes[0], columns=5)
    return figure


@styled
def error_by_split(rows: pd.DataFrame, metric: str = "rmse") -> Figure:
    """Every model's figure on each split as a dot, their mean as a bar; the best mean on top.

    Args:
        rows: model, split, value. Models far worse than the rest are named at the right edge, with their mean.
    """
    means = rows.groupby("model")["value"].mean().sort_values(kind="stable")
    limit = visible_limit(means)
    splits = list(dict.fromkeys(rows["split"]))
    few = len(splits) <= 5
    figure, (axes,) = panels(0.9 + ROW * len(means))
    places = {model: number for number, model in enumerate(means.index)}
    visible = rows[rows["model"].map(means) <= limit]
    axes.plot(
        means[means <= limit], [places[model] for model in means[means <= limit].index], "|", color=INK, markersize=11,
        markeredgewidth=1.6, linestyle="none", label="mean over splits",
    )  # fmt: skip
    for number, split in enumerate(splits):
        own = visible[visible["split"] == split]
        axes.plot(
            own["value"], own["model"].map(places), series_marker(number) if few else "o",
            color=series_colour(number) if few else SERIES[0], markersize=4, alpha=0.75, linestyle="none",
            label=str(split) if few else ("a fold" if number == 0 else None),
        )  # fmt: skip
    for model, mean in means[means > limit].items():
        axes.annotate(
            f"{mean:.4f} →", (1, places[model]), xycoords=("axes fraction", "data"), ha="right", va="center",
            color=MUTED, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(means)), list(means.index))
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{metric.upper()} (lower is better)")
    legend_below(figure, axes)
    return figure


def _label_points(
    figure: Figure, axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str]
) -> None:
    """Write each label where it covers neither a point nor another label; a line leads to it from afar."""
    figure.draw_without_rendering()
    # In typographic points, as offsets are.
    centres = axes.transData.transform(np.asarray(points, dtype=np.float64)) * 72 / figure.dpi
    frame = axes.get_window_extent().get_points() * 72 / figure.dpi
    taken = [_box(centre, MARKER, MARKER) for centre in centres]
    # Crowded points first: those on their own find a place anywhere.
    crowd = [int(np.sum(np.hypot(*(centres - centre).T) < CROWD)) for centre in centres]
    for number in sorted(range(len(labels)), key=lambda index: (-crowd[index], index)):
        text = TextPath((0, 0), labels[number], size=LABEL_SIZE, prop=FontProperties(family="DejaVu Sans"))
        width, height = text.get_extents().width + 2, LABEL_SIZE * 1.15
        candidates = [
            ((x, y), _box(centres[number] + np.array([x + np.sign(x) * width / 2, y]), width, height))
            for x, y in OFFSETS
        ]
        # The first of those that cover least; nothing, if there is room.
        (x, y), box = min(
            candidates,
            key=lambda found: (
                sum(_overlap(found[1], other) for other in taken) + 10 * _outside(found[1], frame)
            ),
        )
        taken.append(box)
        line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}
        label = axes.annotate(
            labels[number], points[number], (x, y), textcoords="offset points", fontsize=LABEL_SIZE, va="center",
            ha={1: "left", -1: "right", 0: "center"}[int(np.sign(x))],
            arrowprops=line if np.hypot(x, y) > 8 else None,
        )  # fmt: skip
        label.set_in_layout(False)


def _box(centre: NDArray[np.float64], width: float, height: float) -> NDArray[np.float64]:
    """[[left, bottom], [right, top]]."""
    half = np.array([width, height]) / 2
    return np.array([centre - half, centre + half])


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Area in common."""
    sides = np.minimum(one[1], other[1]) - np.maximum(one[0], other[0])
    return float(np.prod(np.maximum(sides, 0)))


def _outside(box: NDArray[np.float64], frame: NDArray[np.float64]) -> float:
    return float(np.prod(box[1] - box[0])) - _overlap(box, frame)
