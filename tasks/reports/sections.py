"""What a page says of each family, read from the folder that its comparison has left; no model's code is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from attrec.reporting.contents import (
    Earlier,
    PlaylistReport,
    Provenance,
    RatingReport,
    SequenceReport,
    TaskReport,
)
from attrec.reporting.leaderboard import SHOWN
from attrec.reporting.tuned import STUDY, Found, read_trials
from attrec.shown import from_cells
from tasks.comparison.left import Left
from tasks.engine.provenance import provenance
from tasks.reports.published import published_references

R = TypeVar("R", bound=TaskReport)


def rating_report(
    folder: Path,
    board: pd.DataFrame,
    noise_floor: float | None,
) -> RatingReport:
    """Rating prediction.

    Args:
        folder: As `write_summary` leaves it.
        board: The leaderboard, of all tasks.
        noise_floor: RMSE that no model can pass but by luck, where it is known.
    """
    return RatingReport(
        **_standings(folder, board, "rating"),
        users=read_summary(folder)["split"].get("test_users"),
        noise_floor=noise_floor,
        curves=_curves(folder),
        importance=from_cells(
            pd.read_csv(folder / "feature_importance.csv", dtype={"feature": str}, keep_default_na=False)
        ),
        user_activity=pd.read_csv(folder / "test" / "user_activity.csv"),
        item_activity=pd.read_csv(folder / "test" / "item_activity.csv"),
        calibration=pd.read_csv(folder / "test" / "calibration.csv"),
        predictions=pd.read_csv(folder / "test" / "by_rating.csv"),
    )


def sequence_report(
    folder: Path,
    board: pd.DataFrame,
    exclude_seen: bool,
    ablation: pd.DataFrame | None = None,
) -> SequenceReport:
    """Next items.

    Args:
        folder: As `write_summary` leaves it.
        board: The leaderboard, of all tasks.
        exclude_seen: Whether what a user has had is out of the ranking.
        ablation: What each choice contributed (see `ablation_table`).
    """
    summary = read_summary(folder)
    ceiling = folder / "test" / "ceiling.csv"
    return SequenceReport(
        **_standings(folder, board, "sequence"),
        split=summary["split"]["name"],
        split_hash=summary["split"]["hash"],
        counts=_counts(summary),
        actions=summary["sequences"],
        exclude_seen=exclude_seen,
        ceiling=dict(pd.read_csv(ceiling).to_numpy()) if ceiling.is_file() else {},
        beyond=pd.read_csv(folder / "test" / "beyond.csv"),
        by_length=pd.read_csv(folder / "test" / "by_length.csv", dtype={"group": str}),
        curves=pd.read_csv(folder / "loss_curves.csv"),
        attention=_attention(folder / "attention.csv"),
        ablation=ablation,
    )


def playlist_report(folder: Path, board: pd.DataFrame) -> PlaylistReport:
    """Songs for a playlist.

    Args:
        folder: As `write_summary` leaves it.
        board: The leaderboard, of all tasks.
    """
    summary = read_summary(folder)
    ceiling = folder / "test" / "ceiling.csv"
    frames: dict[str, Any] = {
        name: pd.read_parquet(file)
        for name in ("before", "after", "map")
        if (file := folder / f"{name}.parquet").is_file()
    }
    shown: dict[str, Any] = {
        name: from_cells(
            pd.read_csv(
                file,
                dtype={"title": str, "artist": str},
                keep_default_na=False,
                na_values={"weight": "", "attention": ""},
            )
        )
        for name in ("example", "recommended")
        if (file := folder / f"{name}.csv").is_file()
    }
    return PlaylistReport(
        **_standings(folder, board, "playlist"),
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


def tuning_reports(
    folder: Path, dataset: str, splits: Mapping[str, str]
) -> tuple[tuple[Found, pd.DataFrame], ...]:
    """Searches on a dataset and its splits, and their trials; none where nothing was searched.

    Args:
        folder: With a folder a family and in it one a model, as `attrec tune` leaves them.
        splits: By family, that of the figures beside them; of a family that has no figures any will do.
    """
    folders = sorted(file.parent for file in folder.glob(f"*/*/{STUDY}"))
    studies = [(Found.read(one), read_trials(one)) for one in folders]
    return tuple(
        (found, trials)
        for found, trials in studies
        if found.dataset == dataset and found.split == splits.get(found.family, found.split)
    )


def code_provenance(
    settings: Mapping[str, Any], runs: Mapping[str, str], links: Mapping[str, str] | None = None
) -> Provenance:
    """Commit, versions, settings and tracked runs of what a page shows."""
    found = provenance()
    versions = {
        key.removeprefix("version."): value for key, value in found.items() if key.startswith("version.")
    }
    return Provenance(
        git_commit=found["git.commit"],
        git_dirty=found["git.dirty"] == "true",
        params=settings,
        versions={"python": found["python"], **versions},
        runs=runs,
        links=links or {},
    )


def read_summary(folder: Path) -> dict[str, Any]:
    """`summary.json` of a comparison: dataset, split, seeds, the champion on validation."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def _counts(summary: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in summary["split"].items() if name not in ("name", "hash")}


def _standings(folder: Path, board: pd.DataFrame, task: str) -> dict[str, Any]:
    """The fields of `TaskReport` that every task fills in the same way."""
    summary = read_summary(folder)
    return {
        "leaderboard": board[board["task"] == task],
        "comparisons": pd.read_csv(folder / "test" / "comparisons.csv"),
        "champion": summary["champion_on_validation"],
        "descriptions": summary["descriptions"],
        "references": published_references(summary["dataset"], summary["split"]["name"], SHOWN[task]),
        "examples": _examples(folder / "examples.csv"),
    }


def with_run(report: R, left: Left | None, earlier: Earlier | None) -> R:
    """The report of a task with what its stage noted beside the figures, and those of the last committed run."""
    if left is None:
        return replace(report, earlier=earlier)
    links = run_links(left)
    return replace(report, earlier=earlier, decision=left.champion, costs=costs(left), links=links)


def costs(left: Left) -> pd.DataFrame:
    """model, numbers, counted, megabytes, cpu_seconds of the models of a stage."""
    times = {name: None if timing is None else timing.cpu_seconds for name, timing in left.timings.items()}
    rows = [
        {"model": name, **size.model_dump(), "cpu_seconds": times.get(name)}
        for name, size in left.sizes.items()
    ]
    columns = ["model", "numbers", "counted", "megabytes", "cpu_seconds"]
    return pd.DataFrame(rows, columns=columns).astype({"cpu_seconds": float})


def run_links(left: Left) -> dict[str, str]:
    """Where the server shows the runs of a stage, by model; nothing where no server has them."""
    return {name: f"{left.address}/runs/{run}" for name, run in left.runs.items()} if left.address else {}


def _examples(file: Path) -> pd.DataFrame | None:
    texts = dict.fromkeys(("model", "whose", "side", "title", "artist"), str)
    if not file.is_file():
        return None
    return from_cells(pd.read_csv(file, dtype=texts, keep_default_na=False, na_values={"rating": [""]}))


def _curves(folder: Path) -> pd.DataFrame:
    curves = pd.read_csv(folder / "loss_curves.csv")
    return curves[curves["model"].isin(list(dict.fromkeys(curves["model"]))[:4])]


def _attention(file: Path) -> pd.DataFrame | None:
    titles = {"query_title": str, "key_title": str}
    return from_cells(pd.read_csv(file, dtype=titles, keep_default_na=False)) if file.is_file() else None
