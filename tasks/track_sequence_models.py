"""Log fitted sequence models to MLflow and let the best one challenge the champion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from prefect import task

from attrec.metrics.ranking import METRICS
from attrec.sequences.model import SequenceModel
from tasks import sequence_serving
from tasks.champion import SEQUENCE
from tasks.engine.artifacts import Artifact
from tasks.families.sequences.data import load_sequence_items
from tasks.families.sequences.ranks import read_ranks
from tasks.log_model import OPTIONAL_NUMBER, id_type, log_served_model
from tasks.sequence_serving import DEFAULT_K
from tasks.track import Fitted, challenge_fitted, track_fitted


class FittedSequenceModel(Fitted):
    """A sequence model."""

    def histories(self) -> dict[str, pd.DataFrame]:
        """Losses by epoch of the first seed."""
        model = SequenceModel.load(self.models[0].path)
        return {name: history.frame() for name, history in model.losses.items()}


@task(name="track-sequence-model", task_run_name="track {fitted.name}")
def track_sequence_model(
    fitted: FittedSequenceModel,
    parent: str,
    fit: Artifact,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
) -> tuple[str, str]:
    """As `track_fitted`."""
    return track_fitted(
        fitted, parent, scores, tags, SEQUENCE, validation_values(fitted),
        lambda run_id, scratch: _log_model(fitted.models[0], fit, run_id, scratch),
    )  # fmt: skip


@task(name="challenge-sequence-champion")
def challenge_sequence_champion(
    registered: str,
    fitted: FittedSequenceModel,
    run_id: str,
    uri: str,
    facts: Mapping[str, Any],
    exclude_seen: bool,
    seed: int,
) -> str:
    """As `challenge_fitted`; models that were ranked otherwise stand on another split."""
    split = dict(facts["split"])
    if not exclude_seen:
        split["hash"] += "-with-seen"
    asked = {**facts, "split": split}
    return challenge_fitted(registered, fitted, run_id, uri, asked, SEQUENCE, validation_values(fitted), seed)


def validation_values(fitted: FittedSequenceModel) -> pd.DataFrame:
    """user_id, item_id (the target) and value: NDCG@10 of the first seed, which is the seed that is registered."""
    ranks = read_ranks(fitted.validation[0])
    return ranks[["user_id", "item_id"]].assign(value=METRICS["ndcg@10"](ranks["rank"].to_numpy()))


def _log_model(model: Artifact, fit: Artifact, run_id: str, scratch: Path) -> str:
    items = load_sequence_items(fit)
    ids = id_type(items["item_id"])
    text = DataType.string
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(OPTIONAL_NUMBER, "item_id", required=False),
                ColSpec(text, "title", required=False),
                ColSpec(text, "history", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(text, "history"),
                ColSpec(DataType.long, "rank", required=False),
                ColSpec(ids, "item_id", required=False),
                ColSpec(text, "title", required=False),
                ColSpec(text, "genres", required=False),
                ColSpec(DataType.double, "score", required=False),
                ColSpec(text, "after", required=False),
                ColSpec(text, "left_out", required=False),
                ColSpec(text, "error", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("k", DataType.integer, DEFAULT_K)]),
    )
    return log_served_model(sequence_serving, model, items, signature, run_id, scratch)
