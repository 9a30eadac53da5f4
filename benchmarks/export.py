"""Measure answers in bulk: the 20 best of 27,000 items for each of 138,000 users, into a Parquet file.

    make bench-export       # writes benchmarks/export.md

Users, items and ratings are simulated, as many as in MovieLens 20M. The models are fitted as briefly as gives them
their size: what an answer costs does not hang on how good it is. They are kept in .attrec/benchmarks/export. Each
export is the command that a user types, in a process of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.files import write_text
from attrec.metrics.top_lists import TopLists
from attrec.models.training import TrainingConfig
from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig
from attrec.ratings.model import RatingModel
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from attrec.serving.items import save_shown_items
from benchmarks.rows import Row, Rows, machine
from tasks.engine import environment
from tasks.engine.imports import source_hash

FOLDER = environment.STATE / "benchmarks" / "export"
ACTIONS = FOLDER / "actions.parquet"
K = 20
WORLD = SimulatorConfig(n_users=138_000, n_items=27_000, n_ratings=20_000_000)
FITTED_ON = 4_000_000
"""Ratings of the matrix factorisation."""
SEQUENCES = 1_000
"""Users that the transformer is trained on."""

FITTED = {
    "iterations": 130,
    "burn_in": 10,
    # Users and items by name alone: how many draws of them there are is what answers cost.
    "implicit_users": False,
    "implicit_items": False,
    "side_features": False,
}
VALUES = 10
PAGE = """# Answers in bulk

The {k} best of {items:,} items for each of {users:,} users, into a Parquet file with titles: `attrec export
recommendations`, start and loading of the model included, what users have had left out (`make bench-export`; {machine},
{cores} cores, commit {commit}; simulated data, models fitted briefly).

| model | wall time | CPU time | peak memory | rows | file |
|---|---|---|---|---|---|
{table}

SASRec reads {actions:.0f} million actions from a Parquet file, the newest 200 of each user. Its product with the
catalogue takes {catalogue:.1f} Tflop for {scores:.1f} billion scores; the rest is the network itself.

bayesian-mf (fitted on {fitted:.0f} million ratings of {values} values) averages {samples} samples of rank {rank}. The
mean latent scores of all pairs are one product of width {width:,}: {products:.0f} Tflop. Their expected ratings would
take {pairs:,.0f} billion scores more, each with {normal} normal probabilities; they are worked out for the items alone
that can be among the best (`BayesianMF.best_known`). Of 200 users drawn at random {same} have the list that scoring
every item gives.
"""


def make() -> None:
    """The models and what everybody has done, where they are not there."""
    if ACTIONS.exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    tables = simulate(WORLD)
    ratings = tables.ratings.sort_values(["user_id", "timestamp"], kind="stable")
    actions = ratings[["user_id", "item_id"]]
    some = actions[actions["user_id"].isin(actions["user_id"].unique()[:SEQUENCES])]
    # The vocabulary is what occurs: one more user has met everything.
    everything = pd.DataFrame({"user_id": -1, "item_id": tables.items["item_id"]})
    network = TransformerConfig(dimension=64, length=200)
    sasrec = SASRec(SASRecConfig(network=network, training=TrainingConfig(epochs=1)))
    sasrec.fit(pd.concat([some, everything])).save(FOLDER / "sasrec")
    # Half stars, as in MovieLens 20M.
    rated = ratings.sample(FITTED_ON, random_state=0)
    rated = rated.assign(rating=rated["rating"] - rated["timestamp"] % 2 / 2)
    features = [
        pd.DataFrame(index=pd.Index(ids)) for ids in (actions["user_id"].unique(), tables.items["item_id"])
    ]
    mf = BayesianMF(BayesianMFConfig(**FITTED))
    mf.fit(rated[["user_id", "item_id", "rating"]], *features).save(FOLDER / "bayesian-mf")
    for name in ("sasrec", "bayesian-mf"):
        save_shown_items(tables.items, FOLDER / name)
    actions.to_parquet(ACTIONS, index=False)


def export(*words: str) -> Row:
    """What `attrec export recommendations WORDS` takes."""
    file = FOLDER / "answers.parquet"
    command = [
        sys.executable,
        "-m",
        "cli.app",
        "export",
        "recommendations",
        words[0],
        str(file),
        "-k",
        str(K),
    ]
    started = time.monotonic()
    process = os.posix_spawn(sys.executable, [*command, *words[1:]], os.environ)
    _, status, used = os.wait4(process, 0)
    seconds = time.monotonic() - started
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_gib": used.ru_maxrss / 2**20,
        "megabytes": file.stat().st_size / 1e6,
        "rows": len(pd.read_parquet(file, columns=["user_id"])),
    }


def same_as_all(users: int = 200) -> Row:
    """Of some users, how many have the list that scoring every item gives them."""
    model = RatingModel.load(FOLDER / "bayesian-mf")
    assert isinstance(model, BayesianMF)
    some = np.random.default_rng(0).choice(len(model.catalogue.users), users, replace=False)
    found = model.best_known(some, K, None)
    assert found is not None
    every = [
        TopLists.best(model.score_known(block), K, None).codes for block in np.array_split(some, users // 20)
    ]
    return {"same": int((found.codes == np.concatenate(every)).all(axis=1).sum())}


def page(costs: Mapping[str, Row], same: int, taken_at: str) -> str:
    """The page of what was measured."""
    rows = [
        f"| {name} | {cost['seconds']:,.0f} s | {cost['cpu_seconds']:,.0f} s | {cost['peak_gib']:.1f} GiB |"
        f" {cost['rows']:,} | {cost['megabytes']:.0f} MB |"
        for name, cost in costs.items()
    ]
    mf = BayesianMFConfig(**FITTED)
    width = mf.kept_samples * mf.rank
    cells = WORLD.n_users * WORLD.n_items
    return PAGE.format(
        users=WORLD.n_users,
        items=WORLD.n_items,
        k=K,
        table="\n".join(rows),
        same=same,
        samples=mf.kept_samples,
        rank=mf.rank,
        width=width,
        products=2 * cells * width / 1e12,
        values=VALUES,
        normal=VALUES - 1,
        pairs=cells * mf.kept_samples / 1e9,
        catalogue=2 * cells * 64 / 1e12,
        scores=cells / 1e9,
        actions=WORLD.n_ratings / 1e6,
        fitted=FITTED_ON / 1e6,
        machine=machine(),
        cores=len(os.sched_getaffinity(0)),
        commit=taken_at,
    )


def main() -> None:
    """Measure what is not kept, and write the page."""
    make()
    here = Path(__file__)
    rows = Rows(here.with_suffix(".json"), {"cores": len(os.sched_getaffinity(0))})
    code = source_hash("flows.export")
    asked = {
        "SASRec, d 64, 2 blocks, length 200": (
            "sequence",
            "--model",
            str(FOLDER / "sasrec"),
            "--histories",
            str(ACTIONS),
        ),
        "bayesian-mf": ("rating", "--model", str(FOLDER / "bayesian-mf")),
    }
    costs = {name: rows.measure(name, export, *words, code=code) for name, words in asked.items()}
    same = rows.measure("same", same_as_all, code=code)["same"]
    write_text(here.with_suffix(".md"), page(costs, same, rows.commit_of("bayesian-mf", code)))


if __name__ == "__main__":
    main()
