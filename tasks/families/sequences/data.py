"""The sequences that every sequence model of a run shares, in folders that keep the test targets out of reach."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import BaseModel

from attrec.datasets.tables import Tables, read_parquet, write_parquet
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task


class PreparedSequences(BaseModel, frozen=True):
    """`fit` has what a fit may see; `test_histories` what the test asks behind; `test_targets` the answers; `facts`
    what is told of all of them."""

    fit: Artifact
    facts: Artifact
    test_histories: Artifact
    test_targets: Artifact


@dataclass(frozen=True)
class SequenceData:
    """Everything a sequence model may see: user_id and item_id, in order within each user."""

    actions: pd.DataFrame
    validation: pd.DataFrame
    """What each user did next: one row a user."""


@cached_task("sequences")
def make_sequences(
    dataset: str, cleaned: Artifact, config: SequenceConfig, split: SequenceSplitConfig
) -> PreparedSequences:
    """Order and split the actions of the clean tables."""
    tables = Tables.load(cleaned.path)
    parts = split_sequences(tables.ratings, config, split)
    facts = {
        "dataset": dataset,
        "split": {"name": split.name, "hash": parts.split_hash, **parts.summary},
        "sequences": config.model_dump(mode="json"),
    }
    with writing("sequence-fit") as fit:
        write_parquet(parts.actions, fit.folder / "actions.parquet")
        write_parquet(parts.validation, fit.folder / "validation.parquet")
        write_parquet(tables.items, fit.folder / "items.parquet")
    with writing("sequence-facts") as described:
        (described.folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    with writing("sequence-test-histories") as histories:
        write_parquet(parts.test_histories, histories.folder / "histories.parquet")
    with writing("sequence-test-targets") as targets:
        write_parquet(parts.test, targets.folder / "targets.parquet")
    return PreparedSequences(
        fit=fit.artifact,
        facts=described.artifact,
        test_histories=histories.artifact,
        test_targets=targets.artifact,
    )


def load_sequence_data(fit: Artifact) -> SequenceData:
    """Training actions and validation targets."""
    return SequenceData(
        read_parquet(fit.path / "actions.parquet"), read_parquet(fit.path / "validation.parquet")
    )


def load_sequence_items(fit: Artifact) -> pd.DataFrame:
    """Items as cleaned: item_id, and title, year, genres where known."""
    return read_parquet(fit.path / "items.parquet")


def load_sequence_facts(sequences: PreparedSequences) -> dict[str, Any]:
    """Dataset, split with its hash and counts, and which actions count."""
    facts: dict[str, Any] = json.loads((sequences.facts.path / "facts.json").read_text())
    return facts


def load_test_histories(sequences: PreparedSequences) -> pd.DataFrame:
    """user_id, item_id of what the users of the test did before their targets."""
    return read_parquet(sequences.test_histories.path / "histories.parquet")


def load_test_targets(sequences: PreparedSequences) -> pd.DataFrame:
    """user_id, item_id; for the evaluation alone."""
    return read_parquet(sequences.test_targets.path / "targets.parquet")
