"""Assemble the leaderboard and the self-contained report from what the other stages left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from prefect import task

from attrec.datasets.registry import get_spec
from attrec.datasets.tables import Tables
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.contents import DatasetReport, Provenance, RatingReport, ReportData
from attrec.reporting.distributions import distributions
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard, uses_time, write_leaderboard
from attrec.reporting.page import write_report
from tasks import environment, tracking
from tasks.published import read_published

DESCRIPTIONS = {
    "global-mean": "Baseline: the mean training rating for every pair.",
    "user-item-bias": "Baseline: mean + user bias + item bias; a model that has learned taste beats it.",
    "rsattae+xgboost-paper": "RSAttAE + XGBoost as published: in-sample embeddings, the grid of Table II.",
    "rsattae+xgboost": "RSAttAE + XGBoost with cross-fitted autoencoders.",
    "stacked+xgboost": "The same trees over autoencoders and a factorisation machine, with what it leaves unexplained.",
    "stacked+xgboost+time": "As stacked+xgboost, with what the machine leaves unexplained around the moment.",
}
# The sections that the report stage depends on in dvc.yaml.
SHOWN_PARAMS = ("dataset", "seed", "prepare", "rating")


@task(name="leaderboard")
def write_board() -> None:
    """reports/leaderboard.csv: every task's test figures."""
    rating = environment.ROOT / "reports" / "rating"
    summary = _json(rating / "summary.json")
    runs = _json(environment.ROOT / "reports" / "rating_runs.json")["runs"]
    rows = [
        LeaderboardRow(
            task="rating",
            dataset=summary["dataset"],
            split=summary["split"]["name"],
            model=row["model"],
            metric=row["metric"],
            value=row["value"],
            ci_low=row["ci_low"],
            ci_high=row["ci_high"],
            n=row["n"],
            seeds=row["seeds"],
            run_id=runs[row["model"]],
        )
        for row in pd.read_csv(rating / "test" / "scores.csv").to_dict("records")
    ]
    write_leaderboard(build_leaderboard(rows), environment.ROOT / "reports" / "leaderboard.csv")


@task(name="report-page")
def write_page() -> None:
    """reports/index.html."""
    root = environment.ROOT
    data = ReportData(dataset=_dataset(root), provenance=_provenance(root), rating=_rating(root))
    write_report(data, root / "reports" / "index.html")


def _dataset(root: Path) -> DatasetReport:
    split = _json(root / "reports" / "prepare" / "split.json")
    validation = _json(root / "reports" / "prepare" / "validation.json")
    name = _json(root / "reports" / "rating" / "summary.json")["dataset"]
    sizes = [
        {"part": part, "ratings": split[f"{part}_ratings"], "users": split[f"{part}_users"]}
        for part in ("train", "validation", "test")
    ]
    quarantine = pd.read_parquet(root / "data" / "quarantine.parquet")
    return DatasetReport(
        name=name,
        title=get_spec(name).title,
        version=tracking.stage_outs("prepare").get("data/processed", "not under DVC"),
        simulated=name == "simulated",
        cleaning=CleaningReport(**_json(root / "reports" / "prepare" / "cleaning.json")),
        expectations=pd.DataFrame(validation["expectations"]),
        quarantined=len(quarantine[["table", "file", "line"]].drop_duplicates()),
        distributions=distributions(
            Tables.load(root / "data" / "raw"), Tables.load(root / "data" / "interim")
        ),
        split=split["name"],
        split_hash=split["hash"],
        split_sizes=pd.DataFrame(sizes),
    )


def _rating(root: Path) -> RatingReport:
    folder = root / "reports" / "rating"
    summary = _json(folder / "summary.json")
    board = pd.read_csv(root / "reports" / "leaderboard.csv", dtype={"run_id": str})
    floor = root / "data" / "processed" / "test_ratings" / "noise_floor.json"
    return RatingReport(
        leaderboard=board[board["task"] == "rating"],
        comparisons=pd.read_csv(folder / "test" / "comparisons.csv"),
        champion=summary["champion_on_validation"],
        noise_floor=_json(floor)["rmse"] if floor.exists() else None,
        descriptions={name: DESCRIPTIONS[name] for name in summary["seeds"] if name in DESCRIPTIONS},
        references=_published(summary["dataset"], summary["split"]["name"]),
        curves=_curves(folder),
        importance=pd.read_csv(folder / "feature_importance.csv"),
        user_activity=pd.read_csv(folder / "test" / "user_activity.csv"),
        item_activity=pd.read_csv(folder / "test" / "item_activity.csv"),
        calibration=pd.read_csv(folder / "test" / "calibration.csv"),
        predictions=pd.read_csv(folder / "test" / "by_rating.csv"),
    )


def _published(dataset: str, split: str) -> pd.DataFrame | None:
    """model, value, note: figures published of models without timestamps, highest first; None if there are none."""
    rows = read_published(dataset)
    if rows is None:
        return None
    own = rows[(rows["split"] == split) & ~rows["model"].map(uses_time)]
    own = own.sort_values("value", ascending=False, kind="stable").rename(columns={"source": "note"})
    return own[["model", "value", "note"]].reset_index(drop=True)


def _curves(folder: Path) -> pd.DataFrame:
    curves = pd.read_csv(folder / "loss_curves.csv")
    return curves[curves["model"].isin(list(dict.fromkeys(curves["model"]))[:4])]


def _provenance(root: Path) -> Provenance:
    found = tracking.provenance()
    params = yaml.safe_load((root / "params.yaml").read_text())
    runs = _json(root / "reports" / "rating_runs.json")["runs"]
    summary = _json(root / "reports" / "rating" / "summary.json")
    hashes = {
        path: md5 for stage in ("prepare", "rating") for path, md5 in tracking.stage_outs(stage).items()
    }
    versions = {
        key.removeprefix("version."): value for key, value in found.items() if key.startswith("version.")
    }
    return Provenance(
        git_commit=found["git.commit"],
        git_dirty=found["git.dirty"] == "true",
        seeds=tuple(sorted({seed for seeds in summary["seeds"].values() for seed in seeds})),
        params={key: params[key] for key in SHOWN_PARAMS if key in params},
        versions={"python": found["python"], **versions},
        runs=runs,
        hashes=hashes,
    )


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content
