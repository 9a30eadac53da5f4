"""What each change to how SASRec learns gives on ML-1M, in CPU-seconds to a validation NDCG@10:
benchmarks/sequence_changes.md.

    make bench-changes

Of the network of benchmarks/sequences.py, and of the wide one of the recipe `full`. One change is added to the ones
before it, or taken away from all of them. Trainings are processes of their own with one thread, and are kept one by one
in sequence_changes.json: run again what was killed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from attrec.models.training import TrainingConfig
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.recipes import SASREC_RECIPES
from attrec.sequences.sasrec import SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from benchmarks.rows import Rows, in_own_process
from benchmarks.sequence_table import to_target
from benchmarks.sequences import NETWORK, OUR_CODE, Size, described, first_users, our_training

PROJECT = Path(__file__).resolve().parents[1]
WIDE = SASREC_RECIPES["full"].network


@dataclass(frozen=True)
class Question:
    """How soon a network reaches a validation NDCG@10."""

    network: TransformerConfig
    target: float
    variants: Mapping[str, SASRecConfig]
    """By what is new in them."""

    def key(self, variant: str, seed: int) -> str:
        """The name of a training among the rows."""
        wide = "" if self.network == NETWORK else f"d {self.network.dimension}, "
        return f"{wide}{variant}, seed {seed}"


def questions() -> list[Question]:
    """Those of the page."""
    return [Question(NETWORK, 0.15, variants()), Question(WIDE, 0.19, wide_variants())]


def variants() -> dict[str, SASRecConfig]:
    """Of the network of benchmarks/sequences.py."""
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


def wide_variants() -> dict[str, SASRecConfig]:
    """Of the network of `full`. The best published one of ids alone (SASRec with 3,000 negatives) has 0.186 on test;
    `full` has 0.0033 less there than on validation."""
    before = SASREC_RECIPES["full"]
    rates = {"learning_rate": 4e-3, "matrix_rate": 2e-3, "average_decay": 0.995, "beta2": 0.98}
    by_muon = changed(before, training=with_fields(before.training, **rates))
    started = changed(by_muon, short_epochs=1, start="cooccurrence")
    return {
        f"before: the recipe `full`, batch {before.batch}, Adam {before.training.learning_rate:g}": before,
        "+ Adam 0.004, Muon 0.002, average 0.995": by_muon,
        "+ a first epoch of stretches, item vectors that begin as they stand together": started,
        "+ softmax over the step's targets and 256 more": changed(
            started, loss=ItemLossConfig(kind="batch-softmax")
        ),
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
    limits = {"least_epochs": 1, "least_share": 0.0, "most_seconds": 3600, "ahead": []}
    # The slowest, from which they set out, at the end of its round.
    wanted = [
        (seed, question, *variant)
        for seed in range(given.seeds)
        for question in questions()
        for variant in reversed(question.variants.items())
    ]
    for seed, question, name, config in (bar := tqdm(wanted, unit="training")):
        key = question.key(name, seed)
        bar.set_postfix_str(key)
        own = (parts, config, seed, {**limits, "target": question.target})
        rows.measure(key, in_own_process, our_training, *own, code=OUR_CODE)
        (given.folder / "sequence_changes.md").write_text(page(rows, seed + 1), encoding="utf-8")


def page(rows: Rows, seeds: int) -> str:
    """benchmarks/sequence_changes.md: what is measured of these seeds."""
    told = rows.conditions
    parts = [
        "# What makes a good sequence model sooner",
        "",
        "SASRec on ML-1M, leave-one-out, in bfloat16 where nothing else is said. CPU seconds of a process on one thread"
        f" of {told['machine']}; torch {told['torch']} (`make bench-changes`). Validation ranks all items, seen ones"
        " left out; set-up, epochs and their validations count.",
        "",
    ]
    return "\n".join(parts + [line for question in questions() for line in table(rows, question, seeds)])


def table(rows: Rows, question: Question, seeds: int) -> list[str]:
    """What each change gives."""
    commits, lines = set(), []
    for name in question.variants:
        trainings = []
        for seed in range(seeds):
            key = question.key(name, seed)
            if (row := rows.find(key, OUR_CODE)) is not None:
                trainings.append(row)
                commits.add(rows.commit_of(key, OUR_CODE))
        if trainings:
            first = [row["ndcg"][0] for row in trainings]
            seconds = [row["epochs"][0] + row["validations"][0] for row in trainings]
            after = f"{sum(first) / len(first):.4f} ({min(first):.4f} – {max(first):.4f})"
            took = f"{sum(seconds) / len(seconds):.1f} s"
            reached = to_target(trainings, question.target)
            lines.append(f"| {name} | {took} | {after} | {' | '.join(reached)} |")
    if not lines:
        return []
    network = question.network
    wide = f", hidden {network.hidden}" if network.hidden else ""
    near = f", {network.neighbours} neighbours" if network.neighbours else ""
    far = ", distances" if network.distances else ""
    return [
        f"## To {question.target:g} with d {network.dimension}",
        "",
        f"{network.blocks} blocks, {network.heads} heads, length {network.length}{wide}{near}{far}, dropout"
        f" {network.dropout:g}; code of {', '.join(sorted(commits))}.",
        "",
        "| how it learns | first epoch | NDCG@10 after it | epochs to target | seconds to target |",
        "|---|---|---|---|---|",
        *lines,
        "",
    ]


if __name__ == "__main__":
    main()
