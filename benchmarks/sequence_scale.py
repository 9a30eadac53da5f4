"""Measure how a SASRec step grows with length, width and catalogue, and 20 million ratings through an epoch.

    make bench-scale        # writes benchmarks/sequence_scale.csv, .svg and .md

Sequences of the sweeps are drawn at random; the 20 million ratings come from the simulator. Each point is a process of
its own on one thread, so that its peak memory is its own, and is kept in sequence_scale.json: run again what was
killed, and only what is missing is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from attrec.datasets.histories import Histories
from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.models.layers import seeded_generator
from attrec.models.training import TrainingConfig, train
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.network import Batch
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from benchmarks.rows import Row, Rows, in_own_process, peak_mb
from benchmarks.sequence_growth import draw, scale_report
from tasks.engine.imports import source_hash

FOLDER = Path(__file__).resolve().parent
STEPS = 6  # the first warms up
BLOCKS = 2
LENGTHS = (25, 50, 100, 200, 400, 800, 1600)
WIDTHS = (16, 32, 64, 128, 256, 512)
CATALOGUES = (1_000, 10_000, 100_000, 1_000_000)
FEW, SOME, MANY = 16, 256, 1024
"""Sampled negatives: so few in the sweeps of length and width that the blocks are what is measured; a thousand where
the catalogue is what grows, or some beside the step's targets."""


@dataclass(frozen=True)
class Point:
    """One training of a few steps."""

    sweep: str
    length: int = 200
    width: int = 64
    items: int = 1_000
    negatives: int | None = FEW
    """None is softmax over all items."""
    targets: bool = False
    """Over the step's targets too, not the negatives alone."""
    sequences: int = 64

    @property
    def loss(self) -> ItemLossConfig:
        if self.negatives is None:
            return ItemLossConfig()
        kind = "batch-softmax" if self.targets else "sampled-softmax"
        return ItemLossConfig(kind=kind, negatives=self.negatives)

    @property
    def in_blocks(self) -> float:
        """Operations of the matrix products of a step, forward and twice that backward: 12 n d² in the layers of a
        block and 4 n² d in its attention for every sequence."""
        n, d = self.length, self.width
        return 3.0 * self.sequences * BLOCKS * (12 * n * d**2 + 4 * n**2 * d)

    @property
    def in_output(self) -> float:
        """As many: 2 n d for every sequence and item that is scored."""
        scored = float(self.items) if self.negatives is None else self.negatives + 1.0
        if self.targets:
            # An item of random sequences is none of the step's targets with chance (1 - 1 / items)^targets.
            missed = (1 - 1 / self.items) ** (self.sequences * self.length)
            scored = self.items - missed * max(self.items - (self.negatives or 0), 0)
        return 3.0 * self.sequences * 2 * self.length * self.width * scored

    def described(self) -> Row:
        loss = "softmax over all" if self.negatives is None else f"{self.negatives:,} sampled"
        loss = f"the step's targets and {loss}" if self.targets else loss
        products = self.in_blocks + self.in_output
        return {**asdict(self), "loss": loss, "products": products, "output_share": self.in_output / products}


@dataclass(frozen=True)
class Simulated:
    """The large data and what is trained on them."""

    users: int = 138_000
    items: int = 27_000
    ratings: int = 20_000_000
    length: int = 128


def main() -> None:
    """Measure what is missing, tabulate, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the code")
    given = parser.parse_args()
    rows = Rows(
        given.folder / "sequence_scale.json",
        {"steps": STEPS, "blocks": BLOCKS, "code": source_hash(SASRec.__module__)},
    )
    points = list(quick_sweeps() if given.quick else sweeps())
    measured = []
    for point in (bar := tqdm(points, desc="sweeps", unit="point")):
        described = point.described()
        name = " ".join(f"{key}={value}" for key, value in asdict(point).items())
        bar.set_postfix_str(f"{point.sweep} {described[point.sweep]:,}, {described['loss']}")
        measured.append({**described, **rows.measure(name, in_own_process, step, point)})
    grown = pd.DataFrame(measured)
    large = Simulated(2_000, 500, 60_000, 32) if given.quick else Simulated()
    epoch = rows.measure(f"{large}", in_own_process, large_epoch, large)
    grown.to_csv(given.folder / "sequence_scale.csv", index=False, float_format="%.4f")
    draw(grown).savefig(given.folder / "sequence_scale.svg", bbox_inches="tight", metadata={"Date": None})
    text = scale_report(grown, epoch, large.ratings, large.length, rows.conditions)
    (given.folder / "sequence_scale.md").write_text(text, encoding="utf-8")
    print(text)


def sweeps() -> Iterator[Point]:
    """One size varies at a time."""
    for length in LENGTHS:
        yield Point("length", length=length)
    for width in WIDTHS:
        yield Point("width", width=width)
    for negatives, targets in ((None, False), (MANY, False), (SOME, True)):
        for items in CATALOGUES:
            yield Point("items", items=items, negatives=negatives, targets=targets)


def quick_sweeps() -> Iterator[Point]:
    """Every kind of point, small."""
    for length in (10, 20):
        yield Point("length", length=length, sequences=4)
    for width in (16, 32):
        yield Point("width", length=20, width=width, sequences=4)
    for items in (100, 200):
        yield Point("items", length=20, items=items, negatives=None, sequences=4)
        yield Point("items", length=20, items=items, negatives=MANY, sequences=4)
        yield Point("items", length=20, items=items, negatives=SOME, targets=True, sequences=4)


def step(point: Point) -> Row:
    """CPU seconds of a training step of full sequences, the median after the first, and the memory it takes."""
    torch.optim.Adam([torch.zeros(1)])  # torch imports 100 MiB at the first one
    before = peak_mb()
    network = TransformerConfig(dimension=point.width, blocks=BLOCKS, length=point.length, dropout=0.2)
    training = TrainingConfig(epochs=STEPS, precision="bfloat16")
    config = SASRecConfig(network=network, loss=point.loss, batch=point.sequences, training=training)
    model = SASRec(config)
    drawn = np.random.default_rng(0).integers(0, point.items, (point.sequences, point.length + 1))
    histories = Histories(np.arange(point.sequences + 1) * (point.length + 1), drawn.ravel())
    model.items, model.users = pd.RangeIndex(point.items), pd.RangeIndex(0)
    model.popularity = np.full(point.items, drawn.size / point.items, dtype="float32")
    generator = seeded_generator(0)
    model.network = model._build(generator)
    ends = [time.process_time()]
    train(
        model.network,
        batches=lambda drawn, epoch: model.batches(histories, drawn, epoch),
        loss=lambda network, batch: model._loss(batch, generator),
        config=training,
        generator=generator,
        progress=lambda *_: ends.append(time.process_time()),
    )
    return {"seconds": float(np.median(np.diff(ends)[1:])), "step_mb": max(peak_mb() - before, 0.1)}


class ShownSASRec(SASRec):
    """Shows how far the epoch is."""

    def batches(self, actions: Histories, generator: torch.Generator, epoch: int) -> Iterator[Batch]:
        steps = -(-len(actions) // self.config.batch)
        return iter(tqdm(super().batches(actions, generator, epoch), desc="epoch", total=steps, unit="step"))


def large_epoch(size: Simulated) -> Row:
    """CPU seconds, and peak memory so far, of each stage from simulated ratings to the end of an epoch."""
    stages: list[tuple[str, float, float]] = []
    start = time.process_time()

    def done(what: str) -> None:
        nonlocal start
        stages.append((what, time.process_time() - start, peak_mb()))
        tqdm.write(f"{what}: {stages[-1][1]:.0f} s, {stages[-1][2] / 1024:.1f} GiB")
        start = time.process_time()

    world = SimulatorConfig(n_users=size.users, n_items=size.items, n_ratings=size.ratings)
    ratings = simulate(world).ratings[["user_id", "item_id", "rating", "timestamp"]]
    done(f"simulate {len(ratings):,} ratings")
    parts = split_sequences(ratings, SequenceConfig(min_rating=4.0, min_length=5), SequenceSplitConfig())
    del ratings
    users, actions = parts.summary["users"], parts.actions
    done(f"order and split those of 4 and more; {len(actions):,} actions of {users:,} users to train on")
    del parts
    config = SASRecConfig(
        network=TransformerConfig(blocks=BLOCKS, length=size.length),
        loss=ItemLossConfig(kind="sampled-softmax", negatives=MANY),
        training=TrainingConfig(epochs=1, precision="bfloat16"),
    )
    ShownSASRec(config).fit(actions)
    done(f"one epoch of SASRec, length {size.length}, {MANY:,} sampled negatives")
    return {"stages": stages}


if __name__ == "__main__":
    main()
