"""Log fitted playlist models to MLflow and let the best one challenge the champion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from prefect import task

from attrec.playlists.model import PlaylistModel
from tasks import playlist_serving
from tasks.champion import PLAYLIST
from tasks.engine.artifacts import Artifact
from tasks.families.playlists.data import load_songs
from tasks.families.playlists.figures import RANKING_METRIC, playlist_values
from tasks.families.playlists.ranks import read_held_out_ranks
from tasks.log_model import OPTIONAL_NUMBER, id_type, log_served_model
from tasks.playlist_serving import DEFAULT_K
from tasks.track import Fitted, challenge_fitted, track_fitted


class FittedPlaylistModel(Fitted):
    """A playlist model."""

    def histories(self) -> dict[str, pd.DataFrame]:
        """Losses by epoch of the first seed."""
        model = PlaylistModel.load(self.models[0].path)
        return {name: history.frame() for name, history in model.losses.items()}


@task(name="track-playlist-model", task_run_name="track {fitted.name}")
def track_playlist_model(
    fitted: FittedPlaylistModel,
    parent: str,
    fit: Artifact,
    scores: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str],
) -> tuple[str, str]:
    """As `track_fitted`."""
    return track_fitted(
        fitted, parent, scores, tags, PLAYLIST, validation_values(fitted),
        lambda run_id, scratch: _log_model(fitted.models[0], fit, run_id, scratch),
    )  # fmt: skip


@task(name="challenge-playlist-champion")
def challenge_playlist_champion(
    registered: str,
    fitted: FittedPlaylistModel,
    run_id: str,
    uri: str,
    facts: Mapping[str, Any],
    seed: int,
) -> str:
    """As `challenge_fitted`."""
    return challenge_fitted(registered, fitted, run_id, uri, facts, PLAYLIST, validation_values(fitted), seed)


def validation_values(fitted: FittedPlaylistModel) -> pd.DataFrame:
    """user_id (the playlist) and value: NDCG@10 of the first seed, which is the seed that is registered."""
    first = fitted.validation[:1]
    playlists = read_held_out_ranks(first[0])[1].ids
    return pd.DataFrame({"user_id": playlists, "value": playlist_values(first)[RANKING_METRIC][0]})


def _log_model(model: Artifact, fit: Artifact, run_id: str, scratch: Path) -> str:
    songs = load_songs(fit)
    ids = id_type(songs["item_id"])
    text = DataType.string
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(OPTIONAL_NUMBER, "item_id", required=False),
                ColSpec(text, "title", required=False),
                ColSpec(text, "artist", required=False),
                ColSpec(text, "playlist", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(text, "playlist"),
                ColSpec(DataType.long, "rank", required=False),
                ColSpec(ids, "item_id", required=False),
                ColSpec(text, "title", required=False),
                ColSpec(text, "artist", required=False),
                ColSpec(text, "genres", required=False),
                ColSpec(DataType.double, "score", required=False),
                ColSpec(DataType.double, "distance", required=False),
                ColSpec(text, "nearest", required=False),
                ColSpec(text, "given", required=False),
                ColSpec(text, "left_out", required=False),
                ColSpec(text, "error", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("k", DataType.integer, DEFAULT_K)]),
    )
    return log_served_model(playlist_serving, model, songs, signature, run_id, scratch)
