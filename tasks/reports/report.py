"""Assemble the leaderboard and the self-contained report from what the other stages left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from prefect import task

from attrec.datasets.registry import REGISTRY, known_spec
from attrec.datasets.tables import Tables
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.contents import DatasetReport, Provenance, ReportData
from attrec.reporting.distributions import distributions
from attrec.reporting.leaderboard import SHOWN, LeaderboardRow, build_leaderboard, write_leaderboard
from attrec.reporting.page import write_report
from tasks.comparison.left import Left
from tasks.engine import environment
from tasks.engine.provenance import stage_outs
from tasks.reports.earlier import earlier_figures
from tasks.reports.sections import (
    R,
    code_provenance,
    playlist_report,
    rating_report,
    read_summary,
    run_links,
    sequence_report,
    tuning_reports,
    with_run,
)

# The sections that the report stage depends on in dvc.yaml.
SHOWN_PARAMS = ("dataset", "seed", "prepare", "rating", "sequence", "playlist")


@task(name="leaderboard", task_run_name="leaderboard")
def write_board() -> None:
    """reports/leaderboard.csv: every task's test figures."""
    root = environment.ROOT
    rows = [row for name in measured_tasks(root) for row in _rows(root, name)]
    write_leaderboard(build_leaderboard(rows), root / "reports" / "leaderboard.csv")


@task(name="report-page", task_run_name="report-page")
def write_page() -> None:
    """reports/index.html."""
    root = environment.ROOT
    measured, folders = measured_tasks(root), root / "reports"
    board = pd.read_csv(folders / "leaderboard.csv", dtype={"run_id": str})
    floor = root / "data" / "processed" / "test_ratings" / "noise_floor.json"
    noise_floor = _json(floor)["rmse"] if floor.exists() else None
    exclude_seen = _params(root).get("sequence", {}).get("exclude_seen", True)
    earlier = earlier_figures(board)

    def complete(name: str, build: Callable[[], R]) -> R | None:
        return with_run(build(), Left.read(name), earlier.get(name)) if name in measured else None

    dataset = _dataset(root)
    splits = {name: str(_summary(root, name)["split"]["name"]) for name in measured}
    data = ReportData(
        dataset=dataset,
        provenance=_provenance(root),
        rating=complete("rating", lambda: rating_report(folders / "rating", board, noise_floor)),
        sequence=complete("sequence", lambda: sequence_report(folders / "sequence", board, exclude_seen)),
        playlist=complete("playlist", lambda: playlist_report(folders / "playlist", board)),
        tuning=tuning_reports(folders / "tuning", dataset.name, splits),
    )
    write_report(data, folders / "index.html")


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
            tried=summary["tried"][row["model"]],
        )
        for row in pd.read_csv(root / "reports" / name / "test" / "scores.csv").to_dict("records")
    ]


def _dataset(root: Path) -> DatasetReport:
    facts = _json(root / "data" / "processed" / "training" / "facts.json")
    validation = _json(root / "reports" / "prepare" / "validation.json")
    quarantine = pd.read_parquet(root / "data" / "quarantine.parquet")
    name, outs = facts["dataset"], stage_outs("prepare")
    dataset = DatasetReport(
        name=name,
        title=known_spec(name).title if name in REGISTRY else name,
        version=outs.get("data/processed", "not under DVC"),
        noun=facts.get("noun", "item"),
        nouns=facts.get("nouns", "items"),
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


def _provenance(root: Path) -> Provenance:
    params, measured = _params(root), measured_tasks(root)
    hashes = {path: md5 for stage in ("prepare", *measured) for path, md5 in stage_outs(stage).items()}
    seeds = {seed for name in measured for seeds in _summary(root, name)["seeds"].values() for seed in seeds}
    shown = {key: params[key] for key in SHOWN_PARAMS if key in params}
    code = code_provenance(shown, *_all_runs(measured))
    return replace(code, seeds=tuple(sorted(seeds)), hashes=hashes)


def _all_runs(measured: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Run ids, and where runs are shown, by model; of models of several tasks that have one name, by model and task."""
    left = {name: stage for name in measured if (stage := Left.read(name)) is not None}
    often = Counter(model for stage in left.values() for model in stage.runs)
    runs: dict[str, str] = {}
    links: dict[str, str] = {}
    for name, stage in left.items():
        labels = {model: model if often[model] == 1 else f"{model} ({name})" for model in stage.runs}
        runs |= {labels[model]: run for model, run in stage.runs.items()}
        links |= {labels[model]: address for model, address in run_links(stage).items()}
    return runs, links


def _params(root: Path) -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    return params


def _summary(root: Path, name: str) -> dict[str, Any]:
    return read_summary(root / "reports" / name)


def _runs(root: Path, name: str) -> dict[str, str]:
    runs: dict[str, str] = _json(root / "reports" / f"{name}_runs.json")["runs"]
    return runs


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content
