"""Log a data version to MLflow: params, validation outcome, Data Docs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prefect import task

from tasks.engine import tracking
from tasks.engine.artifacts import Artifact


@task(name="track-data", task_run_name="track-data")
def track_prepared(params: Mapping[str, Any], validated: Artifact, split: Artifact) -> None:
    """One run for the prepare flow."""
    report = json.loads((validated.path / "validation.json").read_text())
    facts = json.loads((split.path / "split.json").read_text())
    tags = {
        "dvc.stage": "prepare",
        "dataset": params["dataset"],
        "split": facts["name"],
        "split.hash": facts["hash"],
    }
    with tracking.tracked_run(f"prepare {params['dataset']}", params, tags) as run_id:
        counts = {
            f"{table}/{key}": value for table, row in report["tables"].items() for key, value in row.items()
        }
        sizes = {f"split/{key}": value for key, value in facts.items() if isinstance(value, int)}
        tracking.log_metrics(run_id, {**counts, **sizes})
        tracking.log_files(run_id, validated.path / "validation.json")
        tracking.log_files(run_id, validated.path / "data_docs", "data_docs")
