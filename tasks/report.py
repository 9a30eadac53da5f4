"""Assemble the leaderboard and the self-contained report from what the other stages left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from prefect import task

from attrec.datasets.registry import get_spec
from attrec.datasets.tables import Tables
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.contents import (
    DatasetReport,
    PlaylistReport,
    Provenance,
    RatingReport,
    ReportData,
    SequenceReport,
)
from attrec.reporting.distributions import distributions
from attrec.reporting.leaderboard import SHOWN, LeaderboardRow, build_leaderboard, write_leaderboard
from attrec.reporting.page import write_report
from tasks import environment, tracking
from tasks.published import published_references

DESCRIPTIONS = {
    "global-mean": "Baseline: the mean training rating for every pair.",
    "user-item-bias": "Baseline: mean + user bias + item bias; a model that has learned taste beats it.",
    "rsattae+xgboost-paper": "RSAttAE + XGBoost as published: in-sample embeddings, the grid of Table II.",
    "rsattae+xgboost": "RSAttAE + XGBoost with cross-fitted autoencoders.",
    "stacked+xgboost": "The same trees over autoencoders and a factorisation machine, with what it leaves unexplained.",
    "stacked+xgboost+time": "As stacked+xgboost, with what the machine leaves unexplained around the moment.",
}
SEQUENCE_DESCRIPTIONS = {
    "popularity": "Baseline: the items with the most training actions, the same for everybody.",
    "item-knn": "Baseline: items that have many users in common with those of the history.",
    "markov-chain": "Baseline: what most often follows the newest action.",
    "sasrec": "Causal self-attention over the history, read at its newest action (Kang & McAuley 2018).",
    "bert4rec": "Attention in both directions that learns to fill in hidden actions, asked for one behind the newest "
    "(Sun et al. 2019).",
}
PLAYLIST_DESCRIPTIONS = {
    "random": "Baseline: chance.",
    "popularity": "Baseline: the songs that most training playlists have, the same for every playlist.",
    "itemknn": "Baseline: songs that are in the same training playlists as those given.",
    "mean-vector": "Baseline: the songs nearest to the mean of those given.",
    "kmeans": "Within the K-Means clusters of the songs given, those at the smallest mean distance to them.",
    "agglomerative": "The same within clusters that are built up from single songs (Ward).",
    "dbscan": "The same within clusters of densely packed songs.",
    "ars": "Attention over the songs given makes a centroid, and the nearest songs are recommended "
    "(Mousaei & Asgharivahed).",
}
"""By what a model is, which its name begins with."""
# The sections that the report stage depends on in dvc.yaml.
SHOWN_PARAMS = ("dataset", "seed", "prepare", "rating", "sequence", "playlist")


@task(name="leaderboard")
def write_board() -> None:
    """reports/leaderboard.csv: every task's test figures."""
    root = environment.ROOT
    rows = [row for name in measured_tasks(root) for row in _rows(root, name)]
    write_leaderboard(build_leaderboard(rows), root / "reports" / "leaderboard.csv")


@task(name="report-page")
def write_page() -> None:
    """reports/index.html."""
    root = environment.ROOT
    measured = measured_tasks(root)
    data = ReportData(
        dataset=_dataset(root),
        provenance=_provenance(root),
        rating=_rating(root) if "rating" in measured else None,
        sequence=_sequence(root) if "sequence" in measured else None,
        playlist=_playlist(root) if "playlist" in measured else None,
    )
    write_report(data, root / "reports" / "index.html")


def measured_tasks(root: Path) -> list[str]:
    """The tasks that have figures: a dataset that nobody rates has none of rating prediction."""
    return [name for name in SHOWN if (root / "reports" / name / "test" / "scores.csv").is_file()]


def _rows(root: Path, name: str) -> list[LeaderboardRow]:
    summary, runs = _summary(root, name), _runs(root, name)
    return [
        LeaderboardRow(
            task=name,
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
        for row in pd.read_csv(root / "reports" / name / "test" / "scores.csv").to_dict("records")
    ]


def _dataset(root: Path) -> DatasetReport:
    facts = _json(root / "data" / "processed" / "fit" / "facts.json")
    validation = _json(root / "reports" / "prepare" / "validation.json")
    quarantine = pd.read_parquet(root / "data" / "quarantine.parquet")
    name, outs = facts["dataset"], tracking.stage_outs("prepare")
    dataset = DatasetReport(
        name=name,
        title=get_spec(name).title,
        version=outs.get("data/processed", "not under DVC"),
        simulated=name.startswith("simulated"),
        cleaning=CleaningReport(**_json(root / "reports" / "prepare" / "cleaning.json")),
        expectations=pd.DataFrame(validation["expectations"]),
        quarantined=len(quarantine[["table", "file", "line"]].drop_duplicates()),
        distributions=distributions(
            Tables.load(root / "data" / "raw"), Tables.load(root / "data" / "interim")
        ),
        remarks=tuple(_left_out(root)),
    )
    if facts["feedback"] == "actions":
        return dataset
    split = _json(root / "reports" / "prepare" / "split.json")
    sizes = [
        {"part": part, "ratings": split[f"{part}_ratings"], "users": split[f"{part}_users"]}
        for part in ("train", "validation", "test")
    ]
    return replace(dataset, split=split["name"], split_hash=split["hash"], split_sizes=pd.DataFrame(sizes))


def _left_out(root: Path) -> Iterator[str]:
    """Of each task that ended without figures, why."""
    measured = measured_tasks(root)
    for name in SHOWN:
        file = root / "reports" / f"{name}_runs.json"
        if name not in measured and file.is_file():
            yield f"No {name} model is fitted to these data. {_json(file)['champion']}"


def _rating(root: Path) -> RatingReport:
    folder = root / "reports" / "rating"
    summary = _summary(root, "rating")
    floor = root / "data" / "processed" / "test_ratings" / "noise_floor.json"
    return RatingReport(
        **_standings(root, "rating"),
        noise_floor=_json(floor)["rmse"] if floor.exists() else None,
        descriptions={name: DESCRIPTIONS[name] for name in summary["seeds"] if name in DESCRIPTIONS},
        curves=_curves(folder),
        importance=pd.read_csv(folder / "feature_importance.csv"),
        user_activity=pd.read_csv(folder / "test" / "user_activity.csv"),
        item_activity=pd.read_csv(folder / "test" / "item_activity.csv"),
        calibration=pd.read_csv(folder / "test" / "calibration.csv"),
        predictions=pd.read_csv(folder / "test" / "by_rating.csv"),
    )


def _sequence(root: Path) -> SequenceReport:
    folder = root / "reports" / "sequence"
    summary = _summary(root, "sequence")
    section = _params(root).get("sequence", {})
    return SequenceReport(
        **_standings(root, "sequence"),
        descriptions=_by_kind(summary, SEQUENCE_DESCRIPTIONS),
        split=summary["split"]["name"],
        split_hash=summary["split"]["hash"],
        counts=_counts(summary),
        actions=summary["sequences"],
        exclude_seen=section.get("exclude_seen", True),
        beyond=pd.read_csv(folder / "test" / "beyond.csv"),
        by_length=pd.read_csv(folder / "test" / "by_length.csv", dtype={"group": str}),
        curves=pd.read_csv(folder / "loss_curves.csv"),
        attention=_attention(folder / "attention.csv"),
    )


def _playlist(root: Path) -> PlaylistReport:
    folder = root / "reports" / "playlist"
    summary = _summary(root, "playlist")
    ceiling = folder / "test" / "ceiling.csv"
    frames: dict[str, Any] = {
        name: pd.read_parquet(file)
        for name in ("before", "after", "map")
        if (file := folder / f"{name}.parquet").is_file()
    }
    shown: dict[str, Any] = {
        name: pd.read_csv(
            file, dtype={"title": str, "artist": str}, keep_default_na=False, na_values={"weight": ""}
        )
        for name in ("example", "recommended")
        if (file := folder / f"{name}.csv").is_file()
    }
    return PlaylistReport(
        **_standings(root, "playlist"),
        descriptions=_by_kind(summary, PLAYLIST_DESCRIPTIONS),
        kind=summary["playlists"]["kind"],
        min_rating=summary["playlists"]["min_rating"],
        split=summary["split"]["name"],
        split_hash=summary["split"]["hash"],
        counts=_counts(summary),
        cleaning=summary["cleaning"],
        ceiling=dict(pd.read_csv(ceiling).to_numpy()) if ceiling.is_file() else {},
        beyond=pd.read_csv(folder / "test" / "beyond.csv"),
        clusterings=pd.read_csv(folder / "clusterings.csv"),
        curves=pd.read_csv(folder / "loss_curves.csv"),
        **frames,
        **shown,
    )


def _by_kind(summary: dict[str, Any], sentences: dict[str, str]) -> dict[str, str]:
    """What each model is, by what its name begins with."""
    return {
        name: sentence
        for name in summary["seeds"]
        for kind, sentence in sentences.items()
        if name.startswith(kind)
    }


def _counts(summary: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in summary["split"].items() if name not in ("name", "hash")}


def _standings(root: Path, name: str) -> dict[str, Any]:
    """The fields of `TaskReport` that every task fills in the same way."""
    summary = _summary(root, name)
    board = pd.read_csv(root / "reports" / "leaderboard.csv", dtype={"run_id": str})
    return {
        "leaderboard": board[board["task"] == name],
        "comparisons": pd.read_csv(root / "reports" / name / "test" / "comparisons.csv"),
        "champion": summary["champion_on_validation"],
        "references": published_references(summary["dataset"], summary["split"]["name"], SHOWN[name]),
    }


def _curves(folder: Path) -> pd.DataFrame:
    curves = pd.read_csv(folder / "loss_curves.csv")
    return curves[curves["model"].isin(list(dict.fromkeys(curves["model"]))[:4])]


def _attention(file: Path) -> pd.DataFrame | None:
    titles = {"query_title": str, "key_title": str}
    return pd.read_csv(file, dtype=titles, keep_default_na=False) if file.is_file() else None


def _provenance(root: Path) -> Provenance:
    found, params, measured = tracking.provenance(), _params(root), measured_tasks(root)
    hashes = {
        path: md5 for stage in ("prepare", *measured) for path, md5 in tracking.stage_outs(stage).items()
    }
    versions = {
        key.removeprefix("version."): value for key, value in found.items() if key.startswith("version.")
    }
    seeds = {seed for name in measured for seeds in _summary(root, name)["seeds"].values() for seed in seeds}
    return Provenance(
        git_commit=found["git.commit"],
        git_dirty=found["git.dirty"] == "true",
        seeds=tuple(sorted(seeds)),
        params={key: params[key] for key in SHOWN_PARAMS if key in params},
        versions={"python": found["python"], **versions},
        runs=_all_runs(root, measured),
        hashes=hashes,
    )


def _all_runs(root: Path, measured: list[str]) -> dict[str, str]:
    """By model; of models of several tasks that have one name, by model and task."""
    runs = [(name, model, run) for name in measured for model, run in _runs(root, name).items()]
    often = Counter(model for _, model, _ in runs)
    return {model if often[model] == 1 else f"{model} ({name})": run for name, model, run in runs}


def _params(root: Path) -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    return params


def _summary(root: Path, name: str) -> dict[str, Any]:
    return _json(root / "reports" / name / "summary.json")


def _runs(root: Path, name: str) -> dict[str, str]:
    runs: dict[str, str] = _json(root / "reports" / f"{name}_runs.json")["runs"]
    return runs


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content
