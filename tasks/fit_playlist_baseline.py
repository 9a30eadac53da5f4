"""Fit a baseline of the playlist models."""

from __future__ import annotations

from typing import Literal

from attrec.playlists.baselines import Hybrid, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.model import PlaylistModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.playlists.data import load_playlist_data

PlaylistBaselineKind = Literal["random", "popularity", "itemknn", "mean-vector", "itemknn+mean-vector"]
BASELINES: dict[PlaylistBaselineKind, type[PlaylistModel]] = {
    "random": Random,
    "popularity": Popularity,
    "itemknn": ItemKNN,
    "mean-vector": MeanVector,
    "itemknn+mean-vector": Hybrid,
}


@cached_task("fit-playlist-baseline", task_run_name="fit {kind}")
def fit_playlist_baseline(kind: PlaylistBaselineKind, seed: int, fit: Artifact) -> Artifact:
    """Count; what there is to choose is chosen on validation.

    Returns:
        Folder of the saved model.
    """
    data = load_playlist_data(fit)
    model = BASELINES[kind](seed=seed).fit(data.train, data.songs, data.validation)
    with writing("playlist-model") as draft:
        model.save(draft.folder)
    return draft.artifact
