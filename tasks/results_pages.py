"""The pages of published tables, from the tables that their flows have made: reports/<table>/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from attrec.datasets.registry import get_spec
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.contents import (
    ComparisonReport,
    DatasetReport,
    PlaylistReport,
    Provenance,
    ReportData,
)
from attrec.reporting.page import write_report
from attrec.reporting.sections.comparison import write_comparison
from tasks import tracking
from tasks.engine import environment
from tasks.engine.artifacts import Artifact
from tasks.families.ratings.data import Prepared, load_facts
from tasks.published import read_published
from tasks.summary import PLAYLIST_DESCRIPTIONS, by_kind, sequence_report


@task(name="comparison-page", task_run_name="page {table}")
def write_comparison_page(
    table: str,
    split: str,
    names: Sequence[str],
    prepared: Sequence[Prepared],
    tables: Mapping[str, pd.DataFrame],
    by_fold: pd.DataFrame,
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
) -> Path:
    """reports/<table>/index.html of rating models.

    Args:
        table: Name of the table.
        split: What its splits together are called.
        names: What each of them is called.
        prepared: Each of them.
        tables: What is written to results/<table>/, by the names of the files.
        by_fold: model, metric, fold, value.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.

    Returns:
        The file.
    """
    facts = [load_facts(own.fit) for own in prepared]
    board = tables["scores"]
    splits = set(board["split"])
    rmse = by_fold[by_fold["metric"] == "rmse"]
    parts = [
        {
            "split": name,
            **{part: own["split"][f"{part}_ratings"] for part in ("train", "validation", "test")},
            "hash": own["split"]["hash"][:16],
        }
        for name, own in zip(names, facts, strict=True)
    ]
    cleaning = CleaningReport(**facts[0]["cleaning"])
    dataset = str(facts[0]["dataset"])
    report = ComparisonReport(
        name=table,
        dataset=_dataset(dataset, split=split, cleaning=cleaning),
        provenance=_provenance(settings, runs),
        leaderboard=board,
        split=split if split in splits else names[0],
        tested=split if splits == {split} else names[0],
        comparisons=tables["comparisons"],
        models=tables["models"],
        by_split=rmse.assign(split=[names[fold] for fold in rmse["fold"]])[["model", "split", "value"]],
        splits=pd.DataFrame(parts),
        published=read_published(dataset),
        class_bins=tables.get("calibration"),
        ablation=tables.get("ablation"),
    )
    file = environment.ROOT / "reports" / table / "index.html"
    write_comparison(report, file)
    return file


@task(name="sequence-results-page", task_run_name="page {table}")
def write_sequence_page(
    table: str,
    facts: Mapping[str, Any],
    outputs: Artifact,
    tables: Mapping[str, pd.DataFrame],
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
) -> Path:
    """reports/<table>/index.html of sequence models, which were ranked without what users have had.

    Args:
        table: Name of the table.
        facts: As `load_sequence_facts`.
        outputs: As `write_sequence_outputs`.
        tables: What is written to results/<table>/, by the names of the files.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.

    Returns:
        The file.
    """
    section = sequence_report(
        outputs.path, tables["scores"], exclude_seen=True, ablation=tables.get("ablation")
    )
    data = ReportData(_dataset(facts["dataset"]), _provenance(settings, runs), sequence=section)
    file = environment.ROOT / "reports" / table / "index.html"
    write_report(data, file)
    return file


@task(name="playlist-results-page", task_run_name="page {table}, {dataset}")
def write_playlist_page(
    table: str,
    dataset: str,
    facts: Sequence[Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
    remarks: Sequence[str],
) -> Path:
    """reports/<table>/<dataset>.html of playlist models on one of the data sets of a table.

    Args:
        table: Name of the table.
        facts: As `load_playlist_facts`, of each fold.
        tables: The rows of this data set, by the names of the files.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.
        remarks: What the reader should know of the figures.

    Returns:
        The file.
    """
    board, ceiling = tables["scores"], tables.get("ceiling")
    section = PlaylistReport(
        leaderboard=board,
        comparisons=tables["comparisons"],
        descriptions=by_kind(board["model"].unique(), PLAYLIST_DESCRIPTIONS),
        ablation=tables.get("ablation"),
        kind=facts[0]["playlists"]["kind"],
        min_rating=facts[0]["playlists"]["min_rating"],
        split=str(board["split"].iloc[0]),
        ceiling={} if ceiling is None else dict(ceiling[["metric", "value"]].to_numpy()),
        beyond=tables["beyond"],
        clusterings=tables["clusterings"],
    )
    hashes = {f"split {fold['split']['name']}": fold["split"]["hash"] for fold in facts}
    data = ReportData(
        replace(_dataset(dataset), remarks=tuple(remarks)),
        replace(_provenance(settings, runs), hashes=hashes),
        playlist=section,
    )
    file = environment.ROOT / "reports" / table / f"{dataset}.html"
    write_report(data, file)
    return file


def _dataset(name: str, split: str = "", cleaning: CleaningReport | None = None) -> DatasetReport:
    return DatasetReport(
        name=name,
        title=get_spec(name).title,
        simulated=name.startswith("simulated"),
        cleaning=cleaning,
        split=split,
    )


def _provenance(settings: Mapping[str, Any], runs: Mapping[str, str]) -> Provenance:
    found = tracking.provenance()
    versions = {
        key.removeprefix("version."): value for key, value in found.items() if key.startswith("version.")
    }
    return Provenance(
        git_commit=found["git.commit"],
        git_dirty=found["git.dirty"] == "true",
        params=settings,
        versions={"python": found["python"], **versions},
        runs=runs,
    )
