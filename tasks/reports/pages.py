"""The pages of published tables, from the tables that their flows have made: reports/<table>/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from attrec.datasets.registry import known_spec
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.contents import (
    ComparisonReport,
    DatasetReport,
    PlaylistReport,
    ReportData,
)
from attrec.reporting.page import write_report
from attrec.reporting.sections.comparison import write_comparison
from tasks.data.prepared import PreparedRatings
from tasks.engine.artifacts import Artifact
from tasks.reports.published import read_published
from tasks.reports.sections import code_provenance, sequence_report


@task(name="rating-results-page", task_run_name="rating-results-page")
def write_rating_page(
    file: Path,
    split: str,
    names: Sequence[str],
    prepared: Sequence[PreparedRatings],
    tables: Mapping[str, pd.DataFrame],
    by_fold: pd.DataFrame,
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """The page of a table of rating models, reports/<table>/index.html.

    Args:
        file: Where it goes.
        split: What its splits together are called.
        names: What each of them is called.
        prepared: Each of them.
        tables: What is written to results/<table>/, by the names of the files.
        by_fold: model, metric, fold, value.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.
    """
    facts = [own.training.facts() for own in prepared]
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
        name=file.parent.name,
        dataset=_dataset(dataset, split=split, cleaning=cleaning),
        provenance=code_provenance(settings, runs),
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
    write_comparison(report, file)


@task(name="sequence-results-page", task_run_name="sequence-results-page")
def write_sequence_page(
    file: Path,
    dataset: str,
    summary: Artifact,
    tables: Mapping[str, pd.DataFrame],
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """The page of a table of sequence models, which were ranked without what users have had.

    Args:
        file: Where it goes.
        summary: As `write_summary` leaves it.
        tables: What is written to results/<table>/, by the names of the files.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.
    """
    section = sequence_report(
        summary.path, tables["scores"], exclude_seen=True, ablation=tables.get("ablation")
    )
    data = ReportData(_dataset(dataset), code_provenance(settings, runs), sequence=section)
    write_report(data, file)


@task(name="playlist-results-page", task_run_name="playlist-results-page")
def write_playlist_page(
    file: Path,
    dataset: str,
    facts: Sequence[Mapping[str, Any]],
    descriptions: Mapping[str, str],
    tables: Mapping[str, pd.DataFrame],
    runs: Mapping[str, str],
    settings: Mapping[str, Any],
    remarks: Sequence[str],
) -> None:
    """The page of playlist models on one of the data sets of a table, reports/<table>/<dataset>.html.

    Args:
        file: Where it goes.
        facts: As `load_playlist_facts`, of each fold.
        descriptions: What each model is.
        tables: The rows of this data set, by the names of the files.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.
        remarks: What the reader should know of the figures.
    """
    board, ceiling = tables["scores"], tables.get("ceiling")
    section = PlaylistReport(
        leaderboard=board,
        comparisons=tables["comparisons"],
        descriptions=dict(descriptions),
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
        replace(_dataset(dataset, "song" if section.kind == "songs" else "item"), remarks=tuple(remarks)),
        replace(code_provenance(settings, runs), hashes=hashes),
        playlist=section,
    )
    write_report(data, file)


def _dataset(
    name: str, noun: str = "item", split: str = "", cleaning: CleaningReport | None = None
) -> DatasetReport:
    noun = known_spec(name).noun or noun
    return DatasetReport(
        name=name,
        noun=noun,
        nouns=f"{noun}s",
        title=known_spec(name).title,
        simulated=name.startswith("simulated"),
        cleaning=cleaning,
        split=split,
    )
