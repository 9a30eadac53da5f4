"""The tables of a published comparison under results/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from attrec.files import write_text
from tasks.comparison.score import read_scores
from tasks.engine import tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.provenance import provenance
from tasks.reports.published import table_file


def write_tables(
    table: str,
    tables: Mapping[str, pd.DataFrame],
    splits: Mapping[str, str],
    comparison: Mapping[str, Any],
    parent: str,
    origin: str = "provenance",
) -> None:
    """Write results/<table>/*.csv (six decimals) and what they were made of, each file whole or not at all, and log
    them.

    Args:
        tables: By the names of their files.
        splits: Hash of each split, by name.
        comparison: The models and how they are configured.
        origin: Name of the file that says what they were made of.
    """
    written = {f"{name}.csv": rows.to_csv(index=False, float_format="%.6f") for name, rows in tables.items()}
    content = {**provenance(), "splits": dict(splits), "comparison": dict(comparison)}
    written[f"{origin}.json"] = json.dumps(content, indent=1) + "\n"
    for file_name, text in written.items():
        file = table_file(table, file_name)
        write_text(file, text)
        tracking.log_files(parent, file, "results")


def ablation_table(evaluation: Artifact, metric: str) -> pd.DataFrame:
    """step, metric, value, ci_low, ci_high, n, seeds, difference (from the reference of the evaluation, which has
    none), p (paired test, Holm-adjusted): the steps of an evaluation on validation, by one of its metrics."""
    scores, tests = read_scores(evaluation), pd.read_csv(evaluation.path / "comparisons.csv")
    steps = scores[scores["metric"] == metric].rename(columns={"model": "step"})
    tests = tests[tests["metric"] == metric].rename(columns={"model": "step", "p_adjusted": "p"})
    table = steps.merge(tests[["step", "difference", "p"]], on="step", how="left")
    return table.assign(metric=f"validation {metric}")


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with textual keys."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
