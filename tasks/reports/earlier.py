"""What the last committed run had, for a report to say what has changed since.

It is what `dvc.lock` of the last commit names, so that a report that is drawn twice says the same twice.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo

from attrec.reporting.contents import Earlier
from tasks.engine import environment
from tasks.engine.provenance import committed_outs, lock_commit, stage_outs

LEADERBOARD = "reports/leaderboard.csv"
NAMES = ("task", "dataset", "split", "model", "metric")
SOURCES = {"rating": "data/processed", "sequence": "data/interim", "playlist": "data/interim"}
"""By task, the out of the stage `prepare` that it reads."""


def earlier_figures(board: pd.DataFrame) -> dict[str, Earlier]:
    """By task, the committed figures of the dataset and split of a leaderboard; no task where DVC does not have them
    here, and none whose dataset or split is another now. What another version has written counts too, so far as its
    columns are these."""
    md5 = committed_outs("report").get(LEADERBOARD)
    file = None if md5 is None else _cached(md5)
    if file is None or not file.is_file():
        return {}
    then, now = (
        pd.read_csv(file, dtype=dict.fromkeys(NAMES, str), keep_default_na=False),
        stage_outs("prepare"),
    )
    if not {*NAMES, "value"} <= set(then.columns):
        return {}
    known = then.merge(board[["task", "dataset", "split"]].drop_duplicates())
    return {
        str(task): Earlier(
            commit=lock_commit(),
            leaderboard=rows.reset_index(drop=True),
            same_data=committed_outs("prepare").get(SOURCES[str(task)]) == now.get(SOURCES[str(task)]),
        )
        for task, rows in known.groupby("task")
    }


def _cached(md5: str) -> Path | None:
    """Where DVC's cache on this machine has a file, if it has it."""
    try:
        with Repo(str(environment.ROOT)) as repo:
            return Path(repo.cache.local.oid_to_path(md5))
    except NotDvcRepoError:
        return None
