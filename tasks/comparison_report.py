"""The page of a comparison, from the tables that its flow has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from attrec.datasets.registry import get_spec
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.comparison_page import write_comparison
from attrec.reporting.contents import ComparisonReport, DatasetReport, Provenance
from tasks import environment, tracking
from tasks.prepared import Prepared, load_facts
from tasks.published import read_published


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
    """reports/<table>/index.html.

    Args:
        table: Name of the table.
        split: What its splits together are called.
        names: What each of them is called.
        prepared: Each of them.
        tables: What is written under results/, by what it adds to the name of the table.
        by_fold: model, metric, fold, value.
        runs: Run id of each model, and of the flow.
        settings: Parameters of the flow.

    Returns:
        The file.
    """
    facts = [load_facts(own.fit) for own in prepared]
    dataset = str(facts[0]["dataset"])
    board = tables[""]
    splits = set(board["split"])
    rmse = by_fold[by_fold["metric"] == "rmse"]
    found = tracking.provenance()
    parts = [
        {
            "split": name,
            **{part: own["split"][f"{part}_ratings"] for part in ("train", "validation", "test")},
            "hash": own["split"]["hash"][:16],
        }
        for name, own in zip(names, facts, strict=True)
    ]
    report = ComparisonReport(
        name=table,
        dataset=DatasetReport(
            name=dataset,
            title=get_spec(dataset).title,
            version=prepared[0].fit.sha256,
            simulated=dataset.startswith("simulated"),
            cleaning=CleaningReport(**facts[0]["cleaning"]),
            split=split,
        ),
        provenance=Provenance(
            git_commit=found["git.commit"],
            git_dirty=found["git.dirty"] == "true",
            params=settings,
            versions={
                "python": found["python"],
                **{
                    key.removeprefix("version."): value
                    for key, value in found.items()
                    if key.startswith("version.")
                },
            },
            runs=runs,
        ),
        leaderboard=board,
        split=split if split in splits else names[0],
        tested=split if splits == {split} else names[0],
        comparisons=tables["-comparisons"],
        models=tables["-models"],
        by_split=rmse.assign(split=[names[fold] for fold in rmse["fold"]])[["model", "split", "value"]],
        splits=pd.DataFrame(parts),
        published=read_published(dataset),
        class_bins=tables.get("-calibration"),
        ablation=tables.get("-ablation"),
    )
    file = environment.ROOT / "reports" / table / "index.html"
    write_comparison(report, file)
    return file
