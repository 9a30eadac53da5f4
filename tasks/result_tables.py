"""The tables of a published comparison under results/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks import environment, tracking
from tasks.artifacts import Artifact
from tasks.evaluate import read_scores


def write_tables(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    splits: Mapping[str, str],
    comparison: Mapping[str, Any],
    parent: str,
) -> None:
    """Write results/<name>*.csv and what they were made of, and log all of it to the run.

    Args:
        tables: By what they add to the name.
        splits: Hash of each split, by name.
        comparison: The models and how they are configured.
    """
    folder = environment.ROOT / "results"
    folder.mkdir(exist_ok=True)
    for kind, rows in tables.items():
        file = folder / f"{name}{kind}.csv"
        _write_csv(rows, file)
        tracking.log_files(parent, file, "results")
    provenance = folder / f"{name}-provenance.json"
    content = {**tracking.provenance(), "splits": dict(splits), "comparison": dict(comparison)}
    provenance.write_text(json.dumps(content, indent=1) + "\n")
    tracking.log_files(parent, provenance, "results")


def ablation_table(evaluation: Artifact, metric: str) -> pd.DataFrame:
    """step, metric, value, ci_low, ci_high, n, seeds, behind_best, p (paired test, Holm-adjusted): the steps of an
    evaluation on validation, by one of its metrics."""
    scores, tests = read_scores(evaluation), pd.read_csv(evaluation.path / "comparisons.csv")
    steps = scores[scores["metric"] == metric].rename(columns={"model": "step"})
    tests = tests[tests["metric"] == metric].rename(
        columns={"model": "step", "difference": "behind_best", "p_adjusted": "p"}
    )
    tests["behind_best"] = tests["behind_best"].abs()
    table = steps.merge(tests[["step", "behind_best", "p"]], on="step", how="left")
    return table.assign(metric=f"validation {metric}")


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with textual keys."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _write_csv(table: pd.DataFrame, file: Path) -> None:
    """Whole or not at all, six decimals."""
    staging = file.with_name(f"{file.name}.part")
    table.to_csv(staging, index=False, float_format="%.6f")
    staging.replace(file)
