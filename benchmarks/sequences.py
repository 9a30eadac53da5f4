"""Measure the sequence models' speed on ML-1M beside RecTools, one thread each: benchmarks/sequences.md.

    make bench-sequences            # RecTools gets an environment of its own, benchmarks/.rectools
    make bench-sequences SEEDS=3    # three trainings of each of its networks, not one

Batch and step sizes of each side are chosen by the same search, ours with Muon and without. Every training, ours or
theirs, is a process of its own on the same machine and ends at a fixed validation NDCG@10; all figures come from these
trainings. They are kept one by one in sequences.json: run again what was killed, or with more seeds, and only what is
missing is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from attrec.datasets.histories import Histories
from attrec.datasets.registry import load_dataset
from attrec.models.training import TrainingConfig
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplit, SequenceSplitConfig, split_sequences
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.network import Batch
from attrec.sequences.ranking import rank_users
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from benchmarks.rows import SURROUNDINGS, Row, Rows, in_own_process
from benchmarks.sequence_table import (
    NEARLY,
    OURS,
    SEARCHED,
    SEARCHED_TOO,
    Setting,
    System,
    first_at,
    seconds_until,
    speed_table,
)
from tasks.engine.imports import source_hash

PROJECT = Path(__file__).resolve().parents[1]
RIVAL_SCRIPT = PROJECT / "benchmarks" / "rectools_sasrec.py"
OUR_CODE = source_hash("attrec.sequences.sasrec")
RIVAL_CODE = hashlib.sha256(RIVAL_SCRIPT.read_bytes()).hexdigest()
BATCHES = (32, 64, 128)
RATES = (2e-3, 4e-3, 8e-3, 1e-3)
SYSTEMS = (
    System(OURS, "float32", OUR_CODE),
    System(OURS, "bfloat16", OUR_CODE),
    System("SASRecModel", "float32", RIVAL_CODE),
    System("FlatSASRecNet", "float32", RIVAL_CODE),
    System("SASRecModel", "bfloat16", RIVAL_CODE),
    System("FlatSASRecNet", "bfloat16", RIVAL_CODE),
)
NETWORK = TransformerConfig(dimension=64, blocks=2, heads=2, length=200, dropout=0.2)
OUR_SEEDS = 3
LEAST_EPOCHS = 4  # the first warms up, three give a median
MOST_EPOCHS = 100
EVALUATIONS = 3
LEAST_SHARE = 0.8
"""A setting is given up when its best NDCG@10 is below this share of what the best one so far had by then, once that
was half the target."""


@dataclass(frozen=True)
class Size:
    """What is trained, the same on both sides."""

    network: TransformerConfig = NETWORK
    users: int | None = None
    """The first ones alone; None takes all."""


QUICK = Size(TransformerConfig(dimension=16, blocks=2, heads=2, length=20, dropout=0.2), users=200)


class Stop(Exception):
    """Ends a training from its progress callback."""


def main() -> None:
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", type=Path, help="python of an environment with RecTools")
    parser.add_argument("--target", type=float, default=0.15, help="validation NDCG@10 to reach")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each of RecTools' networks")
    names = [f"{system.name} {system.precision}" for system in SYSTEMS]
    parser.add_argument("--systems", nargs="+", choices=names, default=names, help="what to train now")
    parser.add_argument("--most-hours", type=float, default=4, help="of CPU, after which one is given up")
    parser.add_argument("--folder", type=Path, default=PROJECT / "benchmarks", help="where the results go")
    parser.add_argument(
        "--quick", action="store_true", help="some users and a small network, to try the code"
    )
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    parts = first_users(size.users)
    limits = {
        "target": given.target,
        "least_epochs": LEAST_EPOCHS,
        "least_share": LEAST_SHARE,
        "most_seconds": 3600 * given.most_hours,
    }
    conditions = {**described(size), "split": parts.split_hash, "target": given.target}
    rows = Rows(given.folder / "sequences.json", conditions)
    asked = [
        system
        for system, name in zip(SYSTEMS, names, strict=True)
        if name in given.systems and (system.name == OURS or given.rival is not None)
    ]

    def train(system: System, seed: int, ahead: Sequence[tuple[float, float]] = ()) -> Row:
        most = ahead[-1][0] if ahead else limits["most_seconds"]
        # At first all hardly differ from chance: nothing is held against that.
        told_apart = [(seconds, figure) for seconds, figure in ahead if figure >= limits["target"] / 2]
        told = {**limits, "most_seconds": most, "ahead": told_apart}
        if seed in (SEARCHED, *SEARCHED_TOO):  # of which no epoch's time is told
            told["least_epochs"] = 1
        if system.name == OURS:
            ours = (parts, our_config(size, system), seed, told)
            return rows.measure(system.key(seed), in_own_process, our_training, *ours, code=system.code)
        theirs = (given.rival, parts, size, system, seed, told)
        return rows.measure(system.key(seed), rival_training, *theirs, code=system.code)

    searched = [search(system, train, given.target) for system in asked]
    chosen = [best for best, _ in searched]
    # Seed by seed, so that whatever else the machine does falls on all systems alike.
    wanted = [
        (seed, system)
        for seed in range(max(OUR_SEEDS, given.seeds))
        for system in chosen
        if seed < (OUR_SEEDS if system.name == OURS else given.seeds)
    ]
    for seed, system in (bar := tqdm(wanted, desc="trainings", unit="training")):
        bar.set_postfix_str(system.key(seed))
        train(system, SEARCHED + 1 + seed)
    text = speed_table(rows, chosen, [each for _, tried in searched for each in tried])
    (given.folder / "sequences.md").write_text(text, encoding="utf-8")
    print(text)


def settings(system: System) -> list[Setting]:
    """What is tried, the likeliest first; Muon's step size is half of Adam's."""
    rates = [
        (rate, muon) for rate in RATES for muon in ((rate / 2, None) if system.name == OURS else (None,))
    ]
    return [Setting(batch, rate, muon) for batch in BATCHES for rate, muon in rates]


def search(system: System, train: Callable[..., Row], target: float) -> tuple[System, list[System]]:
    """With the setting that takes the fewest seconds to the target, and with all that were tried; one that falls behind
    the best so far, or takes as long, is ended.

    Where the best step size is the largest that was tried, one half as large again is tried too. Where others are
    nearly as good as the best, what each takes on average of some more seeds decides.
    """
    best = system
    course: list[tuple[float, float]] = []  # of the best one: seconds, NDCG@10
    took: dict[System, float] = {}
    waiting = [replace(system, setting=setting) for setting in settings(system)]
    with tqdm(total=len(waiting), desc=f"{system.name} {system.precision}", unit="setting") as bar:
        while waiting:
            each = waiting.pop(0)
            bar.set_postfix_str(str(each.setting))
            row = train(each, SEARCHED, course)
            took[each] = seconds_to(row, target)
            if took[each] < (course[-1][0] if course else math.inf):
                best = each
                course = [
                    (seconds_until(row, epoch), row["ndcg"][epoch - 1])
                    for epoch in range(1, (first_at(row, target) or 0) + 1)
                ]
            bar.update()
            largest = max(one.setting.learning_rate for one in took)
            if course and not waiting and best.setting.learning_rate == largest:
                waiting.append(replace(best, setting=best.setting.larger()))
    near = [each for each, seconds in took.items() if seconds <= NEARLY * took[best] < math.inf]
    if len(near) > 1:
        means = {
            each: np.mean([took[each], *(seconds_to(train(each, seed), target) for seed in SEARCHED_TOO)])
            for each in tqdm(near, desc="those that are nearly as good", unit="setting")
        }
        best = min(near, key=lambda each: means[each])
    return best, list(took)


def seconds_to(row: Row, target: float) -> float:
    """Of a training until it reaches the target; infinite where it does not."""
    reached = first_at(row, target)
    return math.inf if reached is None else seconds_until(row, reached)


def first_users(users: int | None) -> SequenceSplit:
    """ML-1M, leave-one-out."""
    ratings = load_dataset("ml-1m-sequences").ratings
    if users is not None:
        ratings = ratings[ratings["user_id"].isin(ratings["user_id"].unique()[:users])]
    return split_sequences(ratings, SequenceConfig(), SequenceSplitConfig())


def described(size: Size) -> Row:
    """As both sides are told."""
    return dict(size.network.model_dump(include={"dimension", "blocks", "heads", "length", "dropout"}))


class ClockedSASRec(SASRec):
    """Notes when an epoch asks for its first batch and when its last step is done."""

    first: float | None = None

    def batches(self, actions: Histories, generator: torch.Generator, epoch: int) -> Iterator[Batch]:
        self.began = time.process_time()
        self.first = self.first or self.began
        yield from super().batches(actions, generator, epoch)
        self.ended = time.process_time()


def our_config(size: Size, system: System) -> SASRecConfig:
    """A first epoch of short stretches, the softmax over a step's targets, item vectors that begin as items stand
    together: benchmarks/sequence_changes.md has what each of these gives."""
    return SASRecConfig(
        network=size.network,
        loss=ItemLossConfig(kind="batch-softmax"),
        short_epochs=1,
        start="cooccurrence",
        batch=system.setting.batch,
        training=TrainingConfig(
            precision=system.precision,
            learning_rate=system.setting.learning_rate,
            matrix_rate=system.setting.matrix_rate,
            average_decay=0.99,
            beta2=0.98,  # as RecTools, which cannot be told otherwise
        ),
    )


def our_training(parts: SequenceSplit, config: SASRecConfig, seed: int, limits: Row) -> Row:
    """Train until validation NDCG@10 has reached the target, then evaluate as RecTools does: lists of ten."""
    epochs: list[float] = []
    validations: list[float] = []
    figures: list[float] = []

    def note(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        assert validation_loss is not None
        epochs.append(model.ended - model.began)
        validations.append(time.process_time() - model.ended)
        figures.append(1 - validation_loss)
        print(f"  epoch {epoch}: {epochs[-1]:.1f} s, NDCG@10 {figures[-1]:.4f}", file=sys.stderr, flush=True)
        reached = max(figures) >= limits["target"] and epoch >= limits["least_epochs"]
        spent = sum(epochs) + sum(validations)
        ahead = [figure for seconds, figure in limits["ahead"] if seconds <= spent]
        behind = max(figures) < limits["least_share"] * max(ahead, default=0.0)
        if reached or behind or epoch >= MOST_EPOCHS or spent >= limits["most_seconds"]:
            raise Stop

    # One more than `note` lets it train, so that all of them end there, with the weights of the last epoch.
    endless = config.training.model_copy(update={"epochs": MOST_EPOCHS + 1, "patience": MOST_EPOCHS + 1})
    model = ClockedSASRec(config.model_copy(update={"training": endless}), seed)
    torch.optim.Adam([torch.zeros(1)])  # torch imports a second's worth at the first one
    start = time.process_time()
    with contextlib.suppress(Stop):
        model.fit(parts.actions, parts.validation, progress=note)
    assert model.first is not None
    asked = Histories.of(parts.actions, pd.Index(parts.validation["user_id"]), model.items)
    wanted = model.items.get_indexer(pd.Index(parts.validation["item_id"]))
    evaluations = [cpu_seconds(lambda: rank_users(model, asked, wanted, k=10)) for _ in range(EVALUATIONS)]
    return {
        "set_up": model.first - start,
        "epochs": epochs,
        "validations": validations,
        "evaluations": evaluations,
        "ndcg": figures,
    }


def rival_training(
    python: Path, parts: SequenceSplit, size: Size, system: System, seed: int, limits: Row
) -> Row:
    """The same of one of RecTools' networks, in its own environment."""
    settings = {
        **described(size),
        **limits,
        "batch": system.setting.batch,
        "learning_rate": system.setting.learning_rate,
        "network": system.name,
        "precision": system.precision,
        "seed": seed,
        "most_epochs": MOST_EPOCHS,
    }
    with tempfile.TemporaryDirectory() as folder:
        parts.actions[["user_id", "item_id"]].to_csv(Path(folder) / "actions.csv", index=False)
        parts.validation[["user_id", "item_id"]].to_csv(Path(folder) / "validation.csv", index=False)
        done = subprocess.run(
            [str(python), str(RIVAL_SCRIPT), folder, json.dumps(settings)],
            env={**os.environ, **SURROUNDINGS},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
