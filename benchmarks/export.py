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
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.models.training import TrainingConfig
from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig
from attrec.ratings.model import RatingModel
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from attrec.serving.items import save_shown_items
from benchmarks.rows import commit, machine
from tasks.engine import environment

FOLDER = environment.STATE / "benchmarks" / "export"
ACTIONS = FOLDER / "actions.parquet"
K = 20
WORLD = SimulatorConfig(n_users=138_000, n_items=27_000, n_ratings=20_000_000)
FITTED_ON = 4_000_000
"""Ratings of the matrix factorisation."""
SEQUENCES = 1_000
"""Users that the transformer is trained on."""


@dataclass(frozen=True)
class Cost:
    """Of one command."""

    seconds: float
    cpu_seconds: float
    peak_gib: float
    megabytes: float
    """Of the file."""
    rows: int


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
    # Users and items by name alone: how many draws of them there are is what answers cost.
    alone = {"implicit_users": False, "implicit_items": False, "side_features": False}
    mf = BayesianMF(BayesianMFConfig(iterations=130, burn_in=10, **alone))
    mf.fit(rated[["user_id", "item_id", "rating"]], *features).save(FOLDER / "bayesian-mf")
    for name in ("sasrec", "bayesian-mf"):
        save_shown_items(tables.items, FOLDER / name)
    actions.to_parquet(ACTIONS, index=False)


def measure(*words: str) -> Cost:
    """`attrec export recommendations WORDS`."""
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
    rows = len(pd.read_parquet(file, columns=["user_id"]))
    size = file.stat().st_size / 1e6
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, size, rows)


def same_as_all(users: int = 200) -> int:
    """Of some users, how many have the list that scoring every item gives: what is faster must find the same."""
    model = RatingModel.load(FOLDER / "bayesian-mf")
    assert isinstance(model, BayesianMF)
    some = pd.Index(np.random.default_rng(0).choice(model.catalogue.users, users, replace=False))
    found = model.recommend(some, K).groupby("user_id", sort=False)["item_id"].agg(list)
    model.best_known = lambda *asked: None  # type: ignore[method-assign]
    return int((found == model.recommend(some, K).groupby("user_id", sort=False)["item_id"].agg(list)).sum())


def main() -> None:
    """Measure, and write the page."""
    make()
    costs = {
        "SASRec": measure("sequence", "--model", str(FOLDER / "sasrec"), "--histories", str(ACTIONS)),
        "bayesian-mf": measure("rating", "--model", str(FOLDER / "bayesian-mf")),
    }
    for name, cost in costs.items():
        print(name, asdict(cost))
    print(same_as_all(), commit(), machine())


if __name__ == "__main__":
    main()
