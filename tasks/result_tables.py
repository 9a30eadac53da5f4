"""The files of a published table under results/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks import tracking


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Whole or not at all, six decimals."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staging = file.with_name(f"{file.name}.part")
    table.to_csv(staging, index=False, float_format="%.6f")
    staging.replace(file)


def write_provenance(file: Path, splits: Mapping[str, str], comparison: Mapping[str, Any]) -> None:
    """What the figures were made of, for who has the tables and not the run store: code, versions, models.

    Args:
        splits: Hash of each split, by name.
        comparison: The models and how they are configured.
    """
    content = {**tracking.provenance(), "splits": dict(splits), "comparison": dict(comparison)}
    file.write_text(json.dumps(content, indent=1) + "\n")


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with textual keys."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
