"""Measure the sequence models' speed on ML-1M beside RecTools, one thread each, in one run: benchmarks/sequences.md.

    make bench-sequences            # RecTools gets an environment of its own, benchmarks/.rectools

Seconds are CPU seconds of the process. Absolute ones drift from machine to machine, so the table also says what share
of this machine's matrix product peak is reached; the rival runs on the same machine right after.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from attrec.datasets.registry import load_dataset
from attrec.metrics.ranking import rank_users
from attrec.models.histories import Histories
from attrec.models.sasrec import SASRec, SASRecConfig
from attrec.models.transformer import TransformerConfig
from attrec.prepare.sequences import SequenceConfig, SequenceSplit, SequenceSplitConfig, split_sequences
from attrec.training import TrainingConfig
from tasks.environment import keep_freed_memory

PROJECT = Path(__file__).resolve().parents[1]
TABLE = PROJECT / "benchmarks" / "sequences.md"
NETWORK = TransformerConfig(dimension=64, blocks=2, heads=2, length=200, dropout=0.2)
BATCH = 128
WARM_UP, MEASURED = 1, 3  # epochs
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Stop(Exception):
    """Ends a training from its progress callback."""


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", type=Path, help="python of an environment with RecTools")
    parser.add_argument("--target", type=float, default=0.15, help="validation NDCG@10 to reach")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    tables = load_dataset("ml-1m-sequences")
    parts = split_sequences(tables.ratings, SequenceConfig(), SequenceSplitConfig())
    rows = []
    for precision in ("float32", "bfloat16"):
        peak = gemm_peak(getattr(torch, precision))
        epoch, model = epoch_seconds(parts, precision)
        share = epoch_operations(parts, model) / epoch / peak
        rows.append(
            (
                f"epoch, softmax over all items, {precision}",
                f"{epoch:.1f} s",
                f"{share:.0%} of {peak / 1e9:.0f} GFLOP/s",
            )
        )
    rows.append(
        ("evaluation of all users, all items ranked", f"{evaluation_seconds(parts, model):.2f} s", "")
    )
    reached = seconds_to(parts, given.target)
    rows.append(
        (f"to validation NDCG@10 {given.target:g}, bfloat16, validation included", f"{reached:.0f} s", "")
    )
    if given.rival is not None:
        rows += rival_rows(parts, given.rival, given.target)
    write_table(rows)


def config(precision: str, epochs: int) -> SASRecConfig:
    """What is measured."""
    training = TrainingConfig.model_validate(
        {"epochs": epochs, "patience": epochs, "precision": precision, "learning_rate": 1e-3}
    )
    return SASRecConfig(network=NETWORK, batch=BATCH, training=training)


def epoch_seconds(parts: SequenceSplit, precision: str) -> tuple[float, SASRec]:
    """Median CPU seconds of an epoch after the first, without validation; and the model."""
    ends: list[float] = []
    model = SASRec(config(precision, WARM_UP + MEASURED))
    model.fit(parts.actions, progress=lambda *_: ends.append(time.process_time()))
    return float(np.median(np.diff(ends)[WARM_UP - 1 :])), model


def epoch_operations(parts: SequenceSplit, model: SASRec) -> float:
    """Floating-point operations of the matrix products of an epoch: forward, and twice that backward.

    Of n positions of a sequence: 12 n d² in the projections and the feed-forward network of a block, 4 n² d in its
    attention (not halved for what the causal mask hides, which is computed), 2 n d items in the output.
    """
    d, blocks, items = NETWORK.dimension, NETWORK.blocks, len(model.items)
    counts = parts.actions["user_id"].value_counts().to_numpy()
    n = np.minimum(counts - 1, NETWORK.length).astype(np.float64)
    forward = blocks * (12 * n * d**2 + 4 * n**2 * d) + 2 * n * d * items
    return 3 * float(forward.sum())


def gemm_peak(kind: torch.dtype) -> float:
    """Floating-point operations a second of a product of two square matrices, the best of five."""
    size = 1024
    a, b = (torch.randn(size, size).to(kind) for _ in range(2))
    return 2 * size**3 / min(cpu_seconds(lambda: torch.mm(a, b)) for _ in range(5))


def evaluation_seconds(parts: SequenceSplit, model: SASRec) -> float:
    """CPU seconds of ranking every user's validation target, the best of three."""
    histories, targets = validation(parts, model)
    return min(cpu_seconds(lambda: rank_users(model, histories, targets)) for _ in range(3))


def validation(parts: SequenceSplit, model: SASRec) -> tuple[Histories, np.ndarray]:
    """Histories and codes of the targets."""
    histories = Histories.of(parts.actions, pd.Index(parts.validation["user_id"]), model.items)
    return histories, model.items.get_indexer(pd.Index(parts.validation["item_id"]))


def seconds_to(parts: SequenceSplit, target: float) -> float:
    """CPU seconds until validation NDCG@10 has reached the target; infinite where it never does."""
    start = time.process_time()

    def stop(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if validation_loss is not None and 1 - validation_loss >= target:
            raise Stop

    try:
        SASRec(config("bfloat16", 100)).fit(parts.actions, parts.validation, progress=stop)
    except Stop:
        return time.process_time() - start
    return float("inf")


def rival_rows(parts: SequenceSplit, python: Path, target: float) -> Iterator[tuple[str, str, str]]:
    """The same of RecTools' SASRec, in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        parts.actions[["user_id", "item_id"]].to_csv(Path(folder) / "actions.csv", index=False)
        parts.validation.to_csv(Path(folder) / "validation.csv", index=False)
        script = PROJECT / "benchmarks" / "rectools_sasrec.py"
        words = [str(python), str(script), folder, str(target), str(WARM_UP + MEASURED), str(BATCH)]
        shape = [str(value) for value in (NETWORK.dimension, NETWORK.blocks, NETWORK.heads, NETWORK.length)]
        surroundings = {**os.environ, **dict.fromkeys(THREADS, "1")}
        done = subprocess.run(
            [*words, *shape], env=surroundings, stdout=subprocess.PIPE, text=True, check=True
        )
    found = json.loads(done.stdout.splitlines()[-1])
    yield f"RecTools {found['version']}: epoch, softmax over all items", f"{found['epoch']:.1f} s", ""
    yield "RecTools: evaluation of all users", f"{found['evaluation']:.2f} s", ""
    yield f"RecTools: to validation NDCG@10 {target:g}, validation included", f"{found['reached']:.0f} s", ""


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def write_table(rows: list[tuple[str, str, str]]) -> None:
    """benchmarks/sequences.md."""
    lines = [
        "# Speed of the sequence models",
        "",
        "ML-1M, leave-one-out; d 64, 2 blocks, 2 heads, length 200, batch 128; one thread, CPU seconds, one run"
        f" (`make bench-sequences`), torch {torch.__version__}. Epochs: median of {MEASURED} after the first.",
        "",
        "| what | CPU seconds | share of the peak of one matrix product |",
        "|---|---|---|",
        *(f"| {what} | {seconds} | {share} |" for what, seconds, share in rows),
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
