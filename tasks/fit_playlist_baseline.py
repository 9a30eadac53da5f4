"""Fit a baseline of the playlist models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrec.playlists.baselines import Hybrid, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.model import PlaylistModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.playlists.data import load_playlist_data

PlaylistBaselineKind = Literal["random", "popularity", "itemknn", "mean-vector", "itemknn+mean-vector"]
BASELINES: dict[PlaylistBaselineKind, Callable[[int], PlaylistModel]] = {
    "random": Random,
    "popularity": lambda seed: Popularity(),
    "itemknn": lambda seed: ItemKNN(),
    "mean-vector": lambda seed: MeanVector(),
    "itemknn+mean-vector": lambda seed: Hybrid(),
}


@cached_task("fit-playlist-baseline", task_run_name="fit {kind}")
def fit_playlist_baseline(kind: PlaylistBaselineKind, seed: int, fit: Artifact) -> Artifact:
    """Count; what there is to choose is chosen on validation.

    Returns:
        Folder of the saved model.
    """
    data = load_playlist_data(fit)
    model = BASELINES[kind](seed).fit(data.train, data.songs, data.validation)
    with writing("playlist-model") as draft:
        model.save(draft.folder)
    return draft.artifact
