"""What benchmarks/sequence_scale.py measured, drawn and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from attrec.reporting.style import MARKERS, MUTED, SERIES, legend_below, panels, styled
from attrec.sequences.packed import LONGEST_SAVED
from benchmarks.rows import Row

SWEEPS = {"length": "length n", "width": "width d", "items": "items"}
LOSS_WORDS = {"softmax over all": "softmax over all items"}


@styled
def draw(grown: pd.DataFrame) -> Figure:
    """Seconds a step against each size, with its matrix products through the last point; memory below.

    Args:
        grown: sweep, length, width, items, loss, products (operations), seconds, step_mb.
    """
    figure, axes = panels(5.6, 2, 3)
    losses = list(dict.fromkeys(grown["loss"]))
    for column, (sweep, label) in enumerate(SWEEPS.items()):
        above, below = axes[column], axes[3 + column]
        for loss, rows in grown[grown["sweep"] == sweep].groupby("loss", sort=False):
            number = losses.index(str(loss))
            look: dict[str, Any] = {"color": SERIES[number], "marker": MARKERS[number]}
            above.plot(rows[sweep], rows["seconds"], **look)
            below.plot(rows[sweep], rows["step_mb"], **look)
            # Sampled negatives cost the same products whatever the catalogue: no line to hold against.
            if rows["products"].nunique() > 1:
                last = rows.iloc[-1]
                expected = rows["products"] * (last["seconds"] / last["products"])
                above.plot(rows[sweep], expected, "--", color=SERIES[number], linewidth=1)
        sizes = sorted(grown.loc[grown["sweep"] == sweep, sweep].unique())
        for panel in (above, below):
            panel.set_xscale("log")
            panel.set_yscale("log")
            # Every second of many, and the last.
            panel.set_xticks(sizes[::-2] if len(sizes) > 4 else sizes)
            panel.xaxis.set_major_formatter(FuncFormatter(short))
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
            panel.yaxis.set_major_formatter(FuncFormatter(short))
            panel.minorticks_off()
        below.set_xlabel(label)
    # The one legend is made of the last panel; what it shows and what not is in the others.
    for number, loss in enumerate(losses):
        axes[2].plot([], [], color=SERIES[number], marker=MARKERS[number], label=LOSS_WORDS.get(loss, loss))
    axes[2].plot([], [], "--", color=MUTED, linewidth=1, label="matrix products")
    axes[0].set_ylabel("CPU seconds a step")
    axes[3].set_ylabel("memory of training, MiB")
    legend_below(figure, axes[2], columns=2)
    return figure


def short(size: float, _: int) -> str:
    """1600, 10k, 1M."""
    if size >= 1e6:
        return f"{size / 1e6:g}M"
    return f"{size / 1e3:g}k" if size >= 1e4 or size == 1e3 else f"{size:g}"


def scale_report(grown: pd.DataFrame, epoch: Row, ratings: int, length: int, told: Row) -> str:
    """benchmarks/sequence_scale.md.

    Args:
        epoch: stages (what, CPU seconds, peak MiB so far) and peak_mb of the large data.
    """
    sequences = ", ".join(f"{count}" for count in sorted(grown["sequences"].unique()))
    middle = grown[grown["sweep"] == "items"].iloc[0]
    most = grown.loc[grown["sweep"] != "items", "output_share"].max()
    return "\n".join(
        [
            "# Scale of the sequence models",
            "",
            f"A SASRec training step of {sequences} full sequences (drawn at random) in bfloat16, d"
            f" {middle['width']}, {told['blocks']} blocks, length {middle['length']} but for what is varied; CPU"
            f" seconds on one thread of {told['machine']}, median of {told['steps'] - 1} steps; memory is the peak"
            f" less that of the process before it has a model (`make bench-scale`, torch {told['torch']}).",
            "",
            "![seconds and memory](sequence_scale.svg)",
            "",
            "Dashed: operations of the matrix products, in proportion, through the last point: 4n²d + 12nd² a block"
            f" and sequence, 2nd an item scored. Over length and width the output has at most {most:.1%} of them: what"
            " is left is the O(n²d + nd²) of the blocks. With sampled negatives the catalogue costs no products, but"
            " the optimiser passes over the whole item table. The step's targets are as many as its positions where the"
            " catalogue is large and they are drawn at random, as here; people's are fewer."
            f" Up to a length of {LONGEST_SAVED} attention keeps its weights for the backward pass; beyond, torch's own"
            " works them out again, so that memory grows in proportion.",
            "",
            losses_compared(grown),
            "",
            "| what grows | loss | from | to | seconds | products | memory |",
            "|---|---|---|---|---|---|---|",
            *growth(grown),
            "",
            f"{ratings:,} simulated ratings, those of 4 and more as sequences of {length}, one thread:",
            "",
            "| what | CPU seconds | peak memory so far |",
            "|---|---|---|",
            *(f"| {what} | {taken:.0f} | {peak / 1024:.1f} GiB |" for what, taken, peak in epoch["stages"]),
            "",
            f"Peak memory of the whole: {epoch['peak_mb'] / 1024:.1f} GiB. The numbers behind the plot are in"
            " `sequence_scale.csv`.",
            "",
        ]
    )


def losses_compared(grown: pd.DataFrame) -> str:
    """What softmax over all items takes beside the other losses, by the size of the catalogue."""
    seconds, memory = (
        grown[grown["sweep"] == "items"].pivot(index="items", columns="loss", values=column)
        for column in ("seconds", "step_mb")
    )
    losses = list(dict.fromkeys(grown.loc[grown["sweep"] == "items", "loss"]))
    beside = "; ".join(
        f"{items:,} items: "
        + ", ".join(
            f"{seconds.at[items, loss]:.2f} s and {memory.at[items, loss]:,.0f} MiB" for loss in losses
        )
        for items in seconds.index
    )
    return f"A step with {', with '.join(LOSS_WORDS.get(loss, loss) for loss in losses)}: {beside}."


def growth(grown: pd.DataFrame) -> Iterator[str]:
    """From each point of a sweep to the next: factors of time, products and memory."""
    for (sweep, loss), rows in grown.groupby(["sweep", "loss"], sort=False):
        for (_, small), (_, large) in zip(rows.iloc[:-1].iterrows(), rows.iloc[1:].iterrows(), strict=True):
            factors = (f"× {large[name] / small[name]:.1f}" for name in ("seconds", "products", "step_mb"))
            sizes = f"{small[str(sweep)]:,} | {large[str(sweep)]:,}"
            yield f"| {SWEEPS[str(sweep)]} | {LOSS_WORDS.get(str(loss), loss)} | {sizes} | {' | '.join(factors)} |"
