"""The sequences that every sequence model of a run shares, in folders that keep the test targets out of reach."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from attrec.datasets.tables import Tables, read_parquet, write_parquet
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.sequences.ceiling import sequence_ceiling
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Phase, Prepared, TrainingData


class SequenceTraining(TrainingData, frozen=True):
    """Training actions and validation targets: user_id and item_id, the actions in order within each user."""

    exclude_seen: bool = True
    """Whether what a user has done already is out of the ranking, in validation as in the test."""

    def arguments(self, phase: Phase) -> dict[str, Any]:
        """As `SequenceModel.fit` takes them; every model is fitted once, on the training actions."""
        return {
            "actions": self.actions(),
            "validation": self.validation(),
            "exclude_seen": self.exclude_seen,
        }

    def actions(self) -> pd.DataFrame:
        """What users did, in training."""
        return read_parquet(self.folder.path / "actions.parquet")

    def validation(self) -> pd.DataFrame:
        """What each user did next: one row a user."""
        return read_parquet(self.folder.path / "validation.parquet")

    def items(self) -> pd.DataFrame:
        """Items as cleaned: item_id, and title, year, genres where known."""
        return read_parquet(self.folder.path / "items.parquet")


class PreparedSequences(Prepared, frozen=True):
    """`test_histories` has what the test asks behind; `test_targets` the answers; `facts` what is told of all."""

    training: SequenceTraining
    facts: Artifact
    test_histories: Artifact
    test_targets: Artifact

    def excluding_seen(self, exclude_seen: bool) -> PreparedSequences:
        """The same, but for whether what users have done already is out of the ranking."""
        training = self.training.model_copy(update={"exclude_seen": exclude_seen})
        return self.model_copy(update={"training": training})


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
    with writing("sequence-training") as training:
        write_parquet(parts.actions, training.folder / "actions.parquet")
        write_parquet(parts.validation, training.folder / "validation.parquet")
        write_parquet(tables.items, training.folder / "items.parquet")
    with writing("sequence-facts") as described:
        (described.folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    with writing("sequence-test-histories") as histories:
        write_parquet(parts.test_histories, histories.folder / "histories.parquet")
    with writing("sequence-test-targets") as targets:
        write_parquet(parts.test, targets.folder / "targets.parquet")
        if tables.truth is not None and split.name == "leave-one-out":
            ceiling = sequence_ceiling(tables.truth, parts.test)
            if ceiling is not None:
                write_parquet(pd.DataFrame(ceiling), targets.folder / "ceiling.parquet")
    return PreparedSequences(
        training=SequenceTraining(folder=training.artifact),
        facts=described.artifact,
        test_histories=histories.artifact,
        test_targets=targets.artifact,
    )


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


def load_sequence_ceiling(sequences: PreparedSequences) -> pd.DataFrame | None:
    """A row a user of the test, a column a metric: what could be expected of who knows by what probabilities the
    targets were drawn. None of data that were not simulated, and of other targets than users' last actions."""
    file = sequences.test_targets.path / "ceiling.parquet"
    return read_parquet(file) if file.is_file() else None
