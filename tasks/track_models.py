"""Log fitted models to MLflow and let the best one challenge the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from prefect import task
from pydantic import BaseModel

from attrec.models.autoencoder import PretrainedAutoencoder
from attrec.models.boosting import BoostedTrees
from attrec.models.registry import load_rating_model
from attrec.reporting.plots import feature_importance
from tasks import serving, tracking
from tasks.artifacts import Artifact
from tasks.champion import RATING, Challenger, challenge
from tasks.evaluate import read_predictions
from tasks.log_model import id_type, log_served_model
from tasks.prepared import PAIR, load_items, load_validation


class FittedModel(BaseModel):
    """One model of a run, with all its seeds; the first seed's is the one that is logged and can be registered."""

    name: str
    config: dict[str, Any]
    seeds: list[int]
    selected: list[Artifact] = []
    models: list[Artifact]
    validation: list[Artifact]
    test: list[Artifact]
    autoencoders: dict[str, Artifact] = {}
    heads: list[Artifact] = []
    fits: list[list[Artifact]] = []
    """By seed, all that had to be fitted for the model: selection, parts and final fit; of a blend, its members'."""
    members: list[str] = []
    """Of a blend."""

    def histories(self) -> dict[str, pd.DataFrame]:
        """Losses by epoch of what the first seed's selection trained, by name of the part; of the model itself, ""."""
        histories = {
            name: PretrainedAutoencoder.load(artifact.path).history.frame()
            for name, artifact in self.autoencoders.items()
        }
        if self.selected:
            model = load_rating_model(self.selected[0].path)
            histories |= {name: history.frame() for name, history in model.histories.items()}
        return histories


@task(name="track-model", task_run_name="track {fitted.name}")
def track_model(
    fitted: FittedModel,
    parent: str,
    fit: Artifact,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
) -> tuple[str, str]:
    """One child run: parameters, figures by seed, loss curves, importance, the model.

    Returns:
        Run id and the URI of the logged model.
    """
    with tracking.tracked_run(fitted.name, {"seeds": fitted.seeds, **fitted.config}, tags, parent) as run_id:
        for part, table in scores.items():
            own = table[table["model"] == fitted.name]
            tracking.log_metrics(
                run_id,
                {
                    f"{part}/{metric}": value
                    for metric, value in zip(own["metric"], own["value"], strict=True)
                },
            )
        for name, history in fitted.histories().items():
            place = f"loss/{name}".rstrip("/")
            trained = history.dropna(subset="train_loss")
            tracking.log_curve(
                run_id, f"{place}/train", trained["train_loss"].tolist(), trained["epoch"].tolist()
            )
            held = history.dropna(subset="validation_loss")
            tracking.log_curve(
                run_id, f"{place}/validation", held["validation_loss"].tolist(), held["epoch"].tolist()
            )
        with tempfile.TemporaryDirectory() as folder:
            if fitted.heads:
                importance = mean_importance(fitted.heads)
                file = Path(folder) / "feature_importance.png"
                feature_importance(importance).savefig(file, dpi=120, bbox_inches="tight")
                tracking.log_files(run_id, file)
            predictions = Path(folder) / RATING.file
            validation_predictions(fitted, fit).to_parquet(predictions, index=False)
            tracking.log_files(run_id, predictions)
            uri = _log_model(fitted.models[0], fit, run_id, Path(folder))
    return run_id, uri


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
    """Let the best model on validation challenge the champion; return what happened, in a sentence."""
    challenger = Challenger(
        model=fitted.name,
        run_id=run_id,
        model_uri=uri,
        dataset=facts["dataset"],
        split_hash=facts["split"]["hash"],
        validation=validation_predictions(fitted, fit),
    )
    return challenge(registered, challenger, seed)


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
        inputs=Schema([*asked, ColSpec(DataType.double, "rating", required=False)]),
        outputs=Schema([*asked, ColSpec(DataType.double, "prediction")]),
    )
    return log_served_model(serving, model, load_items(fit), signature, run_id, scratch)


def _id_types(fit: Artifact) -> tuple[DataType, DataType]:
    ratings = load_validation(fit)
    user, item = (id_type(ratings[name]) for name in PAIR)
    return user, item
