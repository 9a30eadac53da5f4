"""The playlist models there are: a row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrec.models.specs import Row, Spec, Table
from attrec.playlists.ars import ARS
from attrec.playlists.baselines import Hybrid, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.clusters import DBSCAN, Agglomerative, KMeans
from attrec.playlists.recipes import ARS_RECIPES

PLAYLIST_MODELS = Table(
    Row("random", Random, "Baseline: chance."),
    Row(
        "popularity",
        Popularity,
        "Baseline: the items that most training playlists have, the same for every playlist.",
    ),
    Row("itemknn", ItemKNN, "Baseline: items that are in the same training playlists as those given."),
    Row("mean-vector", MeanVector, "Baseline: the items nearest to the mean of those given."),
    Row(
        "itemknn+mean-vector",
        Hybrid,
        "Baseline: itemknn and mean-vector, added up with a weight from validation.",
    ),
    Row(
        "kmeans",
        KMeans,
        "Within the K-Means clusters of the items given, those at the smallest mean distance to them.",
    ),
    Row(
        "agglomerative",
        Agglomerative,
        "As kmeans, within clusters that are built up from single items (Ward).",
    ),
    Row("dbscan", DBSCAN, "As kmeans, within clusters of densely packed items."),
    Row(
        "ars",
        ARS,
        "Attention over the items given makes a centroid, and the nearest items are recommended "
        "(Mousaei & Asgharivahed), popular ones the more.",
        ARS_RECIPES,
        {
            "paper": "ARS as it was described: items are known by their content alone, whatever their popularity.",
        },
    ),
)

if TYPE_CHECKING:
    PlaylistSpec = Spec
else:
    PlaylistSpec = PLAYLIST_MODELS.union()
"""What `params.yaml` says of a playlist model."""


def check_playlist_names(models: Mapping[str, Spec]) -> None:
    """Raises: ValueError if a name does not say what the model is: its kind, and of ARS something more."""
    for name, spec in models.items():
        if spec.kind == "ars" and not name.removeprefix("ars-"):
            raise ValueError(f"the name {name} must say more of the model behind ars-")
        if spec.kind == "ars" and not name.startswith("ars-"):
            raise ValueError(f"the name {name} must begin with ars-")
        if not name.startswith(spec.kind):
            raise ValueError(f"the name {name} must begin with what the model is: {spec.kind}")
