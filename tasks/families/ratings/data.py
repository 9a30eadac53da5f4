"""What the prepare flow hands on, in three folders, so that no fit can reach a test rating.

`fit/` has the training and validation rows and the features; `test_pairs/` the pairs to predict, with their
timestamps but without ratings; `test_ratings/` their ratings, which only the evaluation reads.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel

from attrec.datasets.tables import read_parquet
from tasks.engine.artifacts import Artifact, writing

Phase = Literal["select", "final"]
Part = Literal["validation", "test"]
PAIR = ["user_id", "item_id"]


class Prepared(BaseModel, frozen=True):
    """The three folders as artefacts."""

    fit: Artifact
    test_pairs: Artifact
    test_ratings: Artifact


@dataclass(frozen=True)
class FitData:
    """Everything a model may see.

    Ratings and validation have user_id, item_id, rating, and timestamp where the dataset has it.

    `select`: ratings are the training rows, choices are made on validation. `final`: ratings are training and
    validation rows, nothing is left to choose, and validation is None.
    """

    ratings: pd.DataFrame
    validation: pd.DataFrame | None
    user_features: pd.DataFrame
    item_features: pd.DataFrame


def adopt(folder: Path, kind: str) -> Artifact:
    """Make an artefact of a folder that a DVC stage has left."""
    with writing(kind) as draft:
        shutil.copytree(folder, draft.folder, dirs_exist_ok=True)
    return draft.artifact


def adopt_prepared(processed: Path) -> Prepared:
    """The outs of the prepare stage as artefacts."""
    return Prepared(**{name: adopt(processed / name, name) for name in Prepared.model_fields})


def load_fit_data(fit: Artifact, phase: Phase) -> FitData:
    """Rows and features for one phase."""
    ratings = read_parquet(fit.path / "ratings.parquet")
    columns = [name for name in (*PAIR, "rating", "timestamp") if name in ratings]
    training = ratings.loc[ratings["part"] == "train", columns].reset_index(drop=True)
    validation = ratings.loc[ratings["part"] == "validation", columns].reset_index(drop=True)
    features = [
        read_parquet(fit.path / f"{side}_features.parquet").set_index(f"{side}_id")
        for side in ("user", "item")
    ]
    if phase == "select":
        return FitData(training, validation, *features)
    return FitData(pd.concat([training, validation], ignore_index=True), None, *features)


def load_validation(fit: Artifact) -> pd.DataFrame:
    """Validation rows: user_id, item_id, rating, and timestamp where the dataset has it."""
    validation = load_fit_data(fit, "select").validation
    assert validation is not None
    return validation


def load_items(fit: Artifact) -> pd.DataFrame:
    """Items as cleaned: item_id, and title, year, genres where known."""
    return read_parquet(fit.path / "items.parquet")


def load_facts(fit: Artifact) -> dict[str, Any]:
    """What the prepare flow wrote down: dataset, split, hash, counts, cleaning rules, noise floor."""
    facts: dict[str, Any] = json.loads((fit.path / "facts.json").read_text())
    return facts
