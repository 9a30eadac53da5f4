"""What each change to how SASRec learns gives on ML-1M, in CPU-seconds to a validation NDCG@10:
benchmarks/sequence_changes.md.

    make bench-changes

One change is added to the ones before it, or taken away from all of them. Trainings are processes of their own with one
thread, and are kept one by one in sequence_changes.json: run again what was killed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from attrec.models.training import TrainingConfig
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.sasrec import SASRecConfig
from benchmarks.rows import Row, Rows, in_own_process
from benchmarks.sequence_table import to_target
from benchmarks.sequences import NETWORK, OUR_CODE, Size, described, first_users, our_training

PROJECT = Path(__file__).resolve().parents[1]
TARGET = 0.15


def variants() -> dict[str, SASRecConfig]:
    """By what is new in them."""
    adam = TrainingConfig(learning_rate=1e-3, beta2=0.98, precision="bfloat16")
    muon = {"learning_rate": 8e-3, "matrix_rate": 4e-3}
    before = SASRecConfig(network=NETWORK, batch=128, training=adam)
    smaller = changed(before, batch=32, training=with_fields(adam, learning_rate=2e-3))
    by_muon = changed(smaller, training=with_fields(adam, **muon))
    averaged = changed(by_muon, training=with_fields(adam, **muon, average_decay=0.99))
    stretches = changed(averaged, short_epochs=1)
    in_batch = changed(stretches, loss=ItemLossConfig(kind="batch-softmax"))
    started = changed(in_batch, start="cooccurrence")
    return {
        "before: batch 128, Adam 0.001": before,
        "+ batch 32, Adam 0.002": smaller,
        "+ matrices of layers by Muon at 0.004, Adam 0.008": by_muon,
        "+ average of the weights, 0.99": averaged,
        "+ a first epoch of all actions in stretches of 50": stretches,
        "+ softmax over the step's targets and 256 more": in_batch,
        "+ item vectors that begin as they stand together": started,
        "all but the stretches": changed(started, short_epochs=0),
        "all but the softmax over the step's targets": changed(started, loss=ItemLossConfig()),
        "all but the average": changed(started, training=with_fields(adam, **muon)),
        "all, batch 64": changed(started, batch=64),
        "all, in float32": changed(started, training=with_fields(started.training, precision="float32")),
    }


def changed(config: SASRecConfig, **fields: object) -> SASRecConfig:
    """With these fields."""
    return config.model_copy(update=fields)


def with_fields(config: TrainingConfig, **fields: object) -> TrainingConfig:
    """With these fields."""
    return config.model_copy(update=fields)


def main() -> None:
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=PROJECT / "benchmarks", help="where the results go")
    given = parser.parse_args()
    parts = first_users(None)
    rows = Rows(given.folder / "sequence_changes.json", {**described(Size()), "split": parts.split_hash})
    limits = {"target": TARGET, "least_epochs": 1, "least_share": 0.0, "most_seconds": 3600, "ahead": []}
    found: dict[str, list[Row]] = {}
    # The slowest, from which they set out, at the end of its round.
    wanted = [(seed, *variant) for seed in range(given.seeds) for variant in reversed(variants().items())]
    for seed, name, config in (bar := tqdm(wanted, unit="training")):
        bar.set_postfix_str(name)
        own = (parts, config, seed, limits)
        key = f"{name}, seed {seed}"
        found.setdefault(name, []).append(
            rows.measure(key, in_own_process, our_training, *own, code=OUR_CODE)
        )
        (given.folder / "sequence_changes.md").write_text(table(rows, found), encoding="utf-8")


def table(rows: Rows, found: dict[str, list[Row]]) -> str:
    """benchmarks/sequence_changes.md."""
    commits = {
        rows.commit_of(f"{name}, seed {seed}", OUR_CODE) for name in found for seed in range(len(found[name]))
    }
    lines = []
    for name in (name for name in variants() if name in found):
        trainings = found[name]
        first = [row["ndcg"][0] for row in trainings]
        seconds = [row["epochs"][0] + row["validations"][0] for row in trainings]
        after = f"{sum(first) / len(first):.4f} ({min(first):.4f} – {max(first):.4f})"
        took = f"{sum(seconds) / len(seconds):.1f} s"
        lines.append(f"| {name} | {took} | {after} | {' | '.join(to_target(trainings, TARGET))} |")
    told = rows.conditions
    return "\n".join(
        [
            "# What makes a good sequence model sooner",
            "",
            f"SASRec on ML-1M, leave-one-out; d {told['dimension']}, {told['blocks']} blocks, {told['heads']} heads,"
            f" length {told['length']}, dropout {told['dropout']:g}, bfloat16. CPU seconds of a process on one thread"
            f" of {told['machine']}; torch {told['torch']} (`make bench-changes`, code of"
            f" {', '.join(sorted(commits))}). Target: validation NDCG@10 of {TARGET:g}, all items ranked, seen ones"
            " left out; set-up, epochs and their validations count.",
            "",
            "| how it learns | first epoch | NDCG@10 after it | epochs to target | seconds to target |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
