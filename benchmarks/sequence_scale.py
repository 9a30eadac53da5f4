"""Measure how a SASRec step grows with length, width and catalogue, and 20 million ratings through an epoch.

    make bench-scale        # writes benchmarks/sequence_scale.csv, .svg and .md

Sequences of the sweeps are drawn at random; the 20 million ratings come from the simulator. Each point is a process
of its own on one thread, so that its peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.models.histories import Histories
from attrec.models.item_losses import ItemLossConfig
from attrec.models.layers import seeded_generator
from attrec.models.sasrec import SASRec, SASRecConfig
from attrec.models.transformer import TransformerConfig
from attrec.prepare.sequences import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.reporting.style import SERIES, legend_below, panels, styled
from attrec.training import TrainingConfig, train
from tasks.environment import keep_freed_memory

FOLDER = Path(__file__).resolve().parent
SEQUENCES = 64
STEPS = 4
LENGTHS = (25, 50, 100, 200, 400, 800, 1600)
WIDTHS = (16, 32, 64, 128, 256, 512)
CATALOGUES = (1_000, 10_000, 100_000, 1_000_000)
MOST_FOR_FULL_SOFTMAX = 100_000
SAMPLED = ItemLossConfig(kind="sampled-softmax", negatives=1024)


@dataclass(frozen=True)
class Point:
    """One training of a few steps."""

    sweep: str
    length: int = 200
    width: int = 64
    items: int = 3416
    loss: str = "softmax"


def main() -> None:
    """Measure, tabulate, draw."""
    points = [Point("length", length=length) for length in LENGTHS]
    points += [Point("width", width=width) for width in WIDTHS]
    points += [Point("catalogue", items=items) for items in CATALOGUES if items <= MOST_FOR_FULL_SOFTMAX]
    points += [Point("catalogue", items=items, loss="sampled-softmax") for items in CATALOGUES]
    rows = []
    for point in tqdm(points, desc="sweeps", unit="point"):
        seconds, megabytes = in_own_process(step, point)
        rows.append({**asdict(point), "seconds_a_step": seconds, "peak_mb": megabytes})
    table = pd.DataFrame(rows)
    table.to_csv(FOLDER / "sequence_scale.csv", index=False, float_format="%.4f")
    draw(table).savefig(FOLDER / "sequence_scale.svg", bbox_inches="tight")
    seconds, megabytes = in_own_process(twenty_million, None)
    write_words(seconds, megabytes)


def in_own_process(work, argument) -> tuple[object, float]:  # type: ignore[no-untyped-def]
    """What the function returns, and the peak memory in MB of the process that ran it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, argument))


def _measured(work, argument) -> tuple[object, float]:  # type: ignore[no-untyped-def]
    keep_freed_memory()
    torch.set_num_threads(1)
    found = work(argument)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(point: Point) -> float:
    """CPU seconds of a training step of 64 full sequences, the median after the first."""
    loss = SAMPLED if point.loss == "sampled-softmax" else ItemLossConfig()
    network = TransformerConfig(dimension=point.width, length=point.length, dropout=0.2)
    training = TrainingConfig(epochs=STEPS, precision="bfloat16")
    model = SASRec(SASRecConfig(network=network, loss=loss, batch=SEQUENCES, training=training))
    items = np.random.default_rng(0).integers(0, point.items, (SEQUENCES, point.length + 1))
    histories = Histories(np.arange(SEQUENCES + 1) * (point.length + 1), items.ravel())
    model.items, model.users = pd.RangeIndex(point.items), pd.RangeIndex(0)
    generator = seeded_generator(0)
    model.network = model._build(generator)
    ends = [time.process_time()]
    train(
        model.network,
        batches=lambda drawn: model.batches(histories, drawn),
        loss=lambda network, batch: model._loss(batch, generator),
        config=training,
        generator=generator,
        progress=lambda *_: ends.append(time.process_time()),
    )
    return float(np.median(np.diff(ends)[1:]))


def twenty_million(_: None) -> dict[str, float]:
    """Seconds of each step from simulated ratings to the end of an epoch."""
    times = {}

    def note(what: str, start: float) -> None:
        times[what] = time.perf_counter() - start

    start = time.perf_counter()
    world = SimulatorConfig(n_users=138_000, n_items=27_000, n_ratings=20_000_000)
    ratings = simulate(world).ratings[["user_id", "item_id", "rating", "timestamp"]]
    note("simulate 20 million ratings", start)
    start = time.perf_counter()
    parts = split_sequences(ratings, SequenceConfig(min_rating=4.0, min_length=5), SequenceSplitConfig())
    del ratings
    note(f"order and split {len(parts.actions):,} actions of {parts.summary['users']:,} users", start)
    start = time.perf_counter()
    training = TrainingConfig(epochs=1, precision="bfloat16")
    config = SASRecConfig(network=TransformerConfig(length=128), loss=SAMPLED, training=training)
    SASRec(config).fit(parts.actions)
    note("one epoch of SASRec, length 128, sampled softmax, one thread", start)
    return times


@styled
def draw(table: pd.DataFrame) -> Figure:
    """Seconds a step against each size, with n²d + nd² through the middle point; memory below."""
    figure, axes = panels(5.6, 2, 3)
    for column, (sweep, size) in enumerate(
        (("length", "length"), ("width", "width"), ("catalogue", "items"))
    ):
        rows = table[table["sweep"] == sweep]
        for number, (loss, own) in enumerate(rows.groupby("loss", sort=False)):
            for row, measure in enumerate(("seconds_a_step", "peak_mb")):
                axes[3 * row + column].plot(
                    own[size], own[measure], "o-", color=SERIES[number], label=str(loss)
                )
        if sweep != "catalogue":
            work = rows["length"] ** 2 * rows["width"] + rows["length"] * rows["width"] ** 2
            middle = len(rows) // 2
            expected = work / work.iloc[middle] * rows["seconds_a_step"].iloc[middle]
            axes[column].plot(rows[size], expected, "--", color=SERIES[3])
        for row in (0, 1):
            axes[3 * row + column].set_xscale("log")
            axes[3 * row + column].set_yscale("log")
        axes[3 + column].set_xlabel({"length": "length n", "width": "width d", "items": "items"}[size])
    # The one legend is made of the last panel, which has both losses; the dashed line is in the others.
    axes[2].plot([], [], "--", color=SERIES[3], label="n²d + nd²")
    axes[0].set_ylabel("CPU seconds a step")
    axes[3].set_ylabel("peak memory, MB")
    legend_below(figure, axes[2])
    return figure


def write_words(seconds: dict[str, float], megabytes: float) -> None:
    """benchmarks/sequence_scale.md."""
    lines = [
        "# Scale of the sequence models",
        "",
        f"A training step of {SEQUENCES} full sequences (drawn at random), d 64, length 200, 3,416 items but for what"
        " is varied, bfloat16, one thread: `sequence_scale.csv`. Past 100,000 items a softmax over all of them gives"
        f" way to one over {SAMPLED.negatives:,} sampled ones.",
        "",
        "![seconds and memory](sequence_scale.svg)",
        "",
        "20 million simulated ratings, those of 4 and more as sequences:",
        "",
        "| what | seconds |",
        "|---|---|",
        *(f"| {what} | {taken:.0f} |" for what, taken in seconds.items()),
        "",
        f"Peak memory of the whole: {megabytes / 1024:.1f} GiB (`make bench-scale`, torch {torch.__version__}).",
    ]
    (FOLDER / "sequence_scale.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
