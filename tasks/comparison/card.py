"""A model as a stage leaves it in models/: what serves it, and beside that the card from which its run is made.

Whatever MLflow is told of a model stands in this folder, so that whoever has it, by `dvc pull`, can fill a run store.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from attrec.errors import DataError
from attrec.models.size import ModelSize, model_size
from attrec.serving.items import read_shown_items, save_shown_items
from tasks.comparison.family import Family, Fitted, T
from tasks.comparison.left import Size
from tasks.comparison.score import read_scores
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.tracking import DatasetVersion

FOLDER = "card"
_CARD, _FIGURES, _LOSSES = f"{FOLDER}/card.json", f"{FOLDER}/figures.csv", f"{FOLDER}/losses.csv"
_ANSWERS, _SEEN = f"{FOLDER}/validation.parquet", f"{FOLDER}/seen.parquet"


class Card(BaseModel, frozen=True):
    """What is told of a fitted model."""

    family: str
    model: str
    """Its name in every table."""
    sentence: str
    """What it is."""
    dataset: DatasetVersion
    split: str
    split_hash: str
    """What tells contests apart (see `Family.split_hash`)."""
    seeds: list[int]
    tried: int = 1
    """Configurations that were fitted to find this one."""
    config: dict[str, Any]
    size: ModelSize
    textual_users: bool | None
    """Whether the ids of users are text; None where requests name no user."""

    @classmethod
    def read(cls, folder: Path) -> Card:
        """The card in the folder of a model.

        Raises:
            DataError: there is none, or one of another version of attrec.
        """
        try:
            return cls.model_validate_json((folder / _CARD).read_text())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder} holds no model of this version of attrec: run `dvc repro`, or `dvc pull`."
            ) from error


@cached_task("keep-model", shown=["name"], task_run_name="{name}: keep")
def keep_model(
    name: str,
    family: Family[Any, T],
    fitted: Fitted,
    training: T,
    facts: dict[str, Any],
    dataset: DatasetVersion,
    evaluations: dict[str, Artifact],
    challenges: bool,
) -> Artifact:
    """Put together all that is known of a fitted model.

    Args:
        facts: What is told of the data (see `Family.facts`).
        evaluations: By part, of all models of the comparison.
        challenges: Whether it challenges the champion: then it must be known which rows its fit has seen.

    Returns:
        Folder of the saved model, the first seed's, with what is shown of its items, and the card.
    """
    users = family.user_ids(training)
    card = Card(
        family=family.name,
        model=fitted.name,
        sentence=fitted.sentence,
        dataset=dataset,
        split=facts["split"]["name"],
        split_hash=family.split_hash(facts, training),
        seeds=fitted.seeds,
        tried=fitted.tried,
        config=fitted.config,
        size=model_size(fitted.models[0].path),
        textual_users=None if users is None else not pd.api.types.is_integer_dtype(users),
    )
    with writing("kept-model") as draft:
        shutil.copytree(fitted.models[0].path, draft.folder, dirs_exist_ok=True)
        save_shown_items(family.items(training), draft.folder)
        (draft.folder / FOLDER).mkdir()
        (draft.folder / _CARD).write_text(json.dumps(card.model_dump(mode="json"), indent=2) + "\n")
        _figures(fitted.name, evaluations).to_csv(draft.folder / _FIGURES, index=False, float_format="%.6f")
        _losses(family.losses(fitted)).to_csv(draft.folder / _LOSSES, index=False, float_format="%.6f")
        family.on_validation(fitted, training).to_parquet(draft.folder / _ANSWERS, index=False)
        if challenges:
            seen = np.unique(row_keys(family.seen(training), family.contest.rows))
            pd.DataFrame({"key": seen}).to_parquet(draft.folder / _SEEN, index=False)
    return draft.artifact


def size_of(folder: Path) -> Size:
    """What a model in a folder is made of."""
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Size(**Card.read(folder).size.model_dump(), megabytes=round(stored / 1e6, 3))


def challenges(folder: Path) -> bool:
    """Whether the model in a folder is the one that challenged the champion."""
    return (folder / _SEEN).is_file()


def read_figures(folder: Path) -> dict[str, float]:
    """The figures of a model, by `part/metric`."""
    rows = pd.read_csv(folder / _FIGURES).to_dict("records")
    return {f"{row['part']}/{row['metric']}": float(row["value"]) for row in rows}


def read_losses(folder: Path) -> pd.DataFrame:
    """part (empty of the model itself), epoch, train_loss, validation_loss of what was trained for a model."""
    return pd.read_csv(
        folder / _LOSSES, keep_default_na=False, na_values={"train_loss": [""], "validation_loss": [""]}
    )


def read_answers(folder: Path) -> pd.DataFrame:
    """What a model said on validation, in the columns of its family's contest."""
    return pd.read_parquet(folder / _ANSWERS)


def same_ids(one: Path, other: Path) -> bool:
    """Whether ids of users and of items are numbers, or text, in the data of both models."""
    kinds = [
        (Card.read(folder).textual_users, pd.api.types.is_integer_dtype(read_shown_items(folder)["item_id"]))
        for folder in (one, other)
    ]
    return kinds[0] == kinds[1]


def unseen(rows: pd.DataFrame, names: tuple[str, ...], folder: Path) -> pd.Series:
    """Which rows, named by some columns, the fit of the model in `folder` has not seen, nor any that look like them."""
    seen = pd.read_parquet(folder / _SEEN)["key"]
    return pd.Series(~np.isin(row_keys(rows, names), seen), index=rows.index)


def row_keys(rows: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """[n] Of each row 32 bits that hang on the named columns alone, whether ids are numbers or text: of a billion rows
    they take 4 GB, and one row in four is then taken for another."""
    named = rows[list(names)].astype(str)
    return pd.util.hash_pandas_object(named, index=False).to_numpy().astype(np.uint32)


def _figures(model: str, evaluations: Mapping[str, Artifact]) -> pd.DataFrame:
    tables = [
        scores.loc[scores["model"] == model, ["metric", "value"]].assign(part=part)
        for part, scores in ((part, read_scores(evaluation)) for part, evaluation in evaluations.items())
    ]
    return pd.concat(tables, ignore_index=True)[["part", "metric", "value"]]


def _losses(by_part: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["part", "epoch", "train_loss", "validation_loss"]
    tables = [frame.assign(part=part)[columns] for part, frame in by_part.items()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
