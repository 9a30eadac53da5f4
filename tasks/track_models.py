"""Log fitted rating models to MLflow and let the best one challenge the champion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from prefect import task
from pydantic import Field

from attrec.ratings.boosting import BoostedTrees
from attrec.ratings.model import RatingModel
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.reporting.plots.ratings import feature_importance
from tasks import serving
from tasks.champion import RATING
from tasks.engine.artifacts import Artifact
from tasks.families.ratings.data import PAIR, load_items, load_validation
from tasks.families.ratings.figures import read_predictions
from tasks.log_model import OPTIONAL_NUMBER, id_type, log_served_model
from tasks.track import Fitted, challenge_fitted, track_fitted


class FittedModel(Fitted):
    """A rating model."""

    selected: list[Artifact] = Field([])
    autoencoders: dict[str, Artifact] = Field({})
    heads: list[Artifact] = Field([])
    fits: list[list[Artifact]] = Field([])
    """By seed, all that had to be fitted for the model: selection, parts and final fit; of a blend, its members'."""
    members: list[str] = Field([])
    """Of a blend."""

    def histories(self) -> dict[str, pd.DataFrame]:
        """Losses by epoch of what the first seed's selection trained, by name of the part; of the model itself, ""."""
        histories = {
            name: PretrainedAutoencoder.load(artifact.path).course.frame()
            for name, artifact in self.autoencoders.items()
        }
        if self.selected:
            model = RatingModel.load(self.selected[0].path)
            histories |= {name: history.frame() for name, history in model.losses.items()}
        return histories


@task(name="track-model", task_run_name="track {fitted.name}")
def track_model(
    fitted: FittedModel,
    parent: str,
    fit: Artifact,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
) -> tuple[str, str]:
    """As `track_fitted`, with the importance of features where trees are boosted."""
    plots = {}
    if fitted.heads:
        plots["feature_importance.png"] = feature_importance(mean_importance(fitted.heads))
    return track_fitted(
        fitted, parent, scores, tags, RATING, validation_predictions(fitted, fit),
        lambda run_id, scratch: _log_model(fitted.models[0], fit, run_id, scratch), plots,
    )  # fmt: skip


@task(name="challenge-champion")
def challenge_champion(
    registered: str,
    fitted: FittedModel,
    run_id: str,
    uri: str,
    fit: Artifact,
    facts: Mapping[str, Any],
    seed: int,
) -> str:
    """As `challenge_fitted`."""
    validation = validation_predictions(fitted, fit)
    return challenge_fitted(registered, fitted, run_id, uri, facts, RATING, validation, seed)


def mean_importance(heads: list[Artifact]) -> pd.DataFrame:
    """feature, importance: share of the total gain, averaged over the boosters; largest first."""
    shares = []
    for head in heads:
        table = BoostedTrees.load(head.path).importance().set_index("feature")
        total = table["gain"] * table["splits"]
        shares.append(total / total.sum())
    mean = pd.concat(shares, axis=1).fillna(0.0).mean(axis=1).sort_values(ascending=False, kind="stable")
    return mean.rename("importance").rename_axis("feature").reset_index()


def validation_predictions(fitted: FittedModel, fit: Artifact) -> pd.DataFrame:
    """user_id, item_id, rating, and the first seed's prediction, which is the seed that is registered."""
    truth = load_validation(fit)[[*PAIR, "rating"]]
    return truth.merge(read_predictions(fitted.validation[0]), on=PAIR, validate="one_to_one")


def _log_model(model: Artifact, fit: Artifact, run_id: str, scratch: Path) -> str:
    user_type, item_type = _id_types(fit)
    asked = [ColSpec(user_type, "user_id"), ColSpec(item_type, "item_id")]
    signature = ModelSignature(
        inputs=Schema(
            [
                *asked,
                ColSpec(DataType.double, "rating", required=False),
                ColSpec(OPTIONAL_NUMBER, "timestamp", required=False),
            ]
        ),
        outputs=Schema([*asked, ColSpec(DataType.double, "prediction")]),
    )
    return log_served_model(serving, model, load_items(fit), signature, run_id, scratch)


def _id_types(fit: Artifact) -> tuple[DataType, DataType]:
    ratings = load_validation(fit)
    user, item = (id_type(ratings[name]) for name in PAIR)
    return user, item
