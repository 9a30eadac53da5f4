"""Clean the ingested tables by the stated rules."""

from __future__ import annotations

import json

import pandas as pd

from attrec.datasets.tables import Tables
from attrec.prepare.cleaning import clean
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task


@cached_task("clean")
def clean_tables(raw: Artifact, validated: Artifact) -> Artifact:
    """Drop what is in quarantine, then apply the cleaning rules.

    Returns:
        Folder with the clean tables and `cleaning.json`, which counts what each rule did.
    """
    quarantine = pd.read_parquet(validated.path / "quarantine.parquet")
    tables, report = clean(Tables.load(raw.path), quarantine[quarantine["dropped"]])
    with writing("clean") as draft:
        tables.save(draft.folder)
        (draft.folder / "cleaning.json").write_text(json.dumps(report.to_dict(), indent=2) + "\n")
    return draft.artifact
