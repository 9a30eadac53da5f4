"""The comparison of playlist models whose tables are kept under results/."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import ParamsError
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from flows.playlist_models import ARSSpec, BaselineSpec, ClusterSpec, PlaylistModelSpec, RandomSpec
from tasks.families.playlists.data import LikesConfig


class PlaylistComparison(BaseModel):
    """Models, and the data and folds that they are compared on."""

    model_config = ConfigDict(extra="forbid")

    datasets: list[str] = Field(min_length=1)
    likes: LikesConfig = LikesConfig()
    split: PlaylistSplitConfig
    """Of which all folds are tested on, so that every playlist that is long enough is asked about once."""
    folds: list[int] = Field(min_length=1)
    chosen_on: dict[str, list[PlaylistSplitConfig]] = {}
    """By data set, the splits on whose validation playlists recipes were chosen: these playlists are not scored."""
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    models: dict[str, PlaylistModelSpec]
    ablation: dict[str, ARSSpec] = {}
    """Steps that are compared with the first of them, on the validation playlists of all folds, with the first seed."""
    remarks: list[str] = []
    """What whoever reads the figures should know of them, on every page."""

    def splits(self) -> list[PlaylistSplitConfig]:
        """One a fold."""
        return [self.split.model_copy(update={"fold": fold}) for fold in self.folds]

    def split_name(self) -> str:
        """What the folds together are called."""
        return f"cv{len(self.folds)}"

    def part(self, folds: int | None, seeds: int | None) -> tuple[PlaylistComparison, str]:
        """The first folds and so many seeds, without the ablation; and what is added to the name of its table:
        nothing where all is asked for.

        Raises:
            ParamsError: there are fewer folds.
        """
        if folds is not None and folds > len(self.folds):
            raise ParamsError(f"--splits is {folds}, but there are {len(self.folds)} of them.")
        changes: dict[str, object] = {}
        suffix = ""
        if folds is not None and folds < len(self.folds):
            suffix += f"-first-{folds}-folds"
            changes["folds"] = self.folds[:folds]
        if seeds is not None and seeds != len(self.seeds):
            suffix += f"-{seeds}-seeds"
            changes["seeds"] = list(range(seeds))
        return self.model_copy(update={**changes, "ablation": {}} if changes else {}), suffix


def _ars(**changes: Any) -> ARSSpec:
    return ARSSpec.model_validate({"kind": "ars", "recipe": "full", "changes": changes})


ARS_STEPS = {
    "full recipe": _ars(),
    "one pair": _ars(pairs=1),
    "four pairs": _ars(pairs=4),
    "without attention": _ars(attention=False),
    "learned similarity": _ars(similarity="learned"),
    "without popularity": _ars(popularity=False),
    "without co-occurrence": _ars(cooccurrence=0),
    "without either, as `ars-paper`": ARSSpec(kind="ars", recipe="paper"),
}
"""What each choice of `ars-full` contributed."""


def _scouted(*folds: int) -> list[PlaylistSplitConfig]:
    return [PlaylistSplitConfig(seed=7, fold=fold) for fold in folds]


PLAYLIST_COMPARISONS = {
    "spotify-playlists": PlaylistComparison(
        datasets=["spotify-playlists", "simulated-playlists", "ml-latest-small"],
        split=PlaylistSplitConfig(seed=11),
        folds=[0, 1, 2, 3, 4],
        chosen_on={
            "spotify-playlists": _scouted(0, 1, 2, 3, 4),
            "simulated-playlists": _scouted(0),
            "ml-latest-small": _scouted(0, 1),
        },
        models={
            "random": RandomSpec(kind="random"),
            "popularity": BaselineSpec(kind="popularity"),
            "itemknn": BaselineSpec(kind="itemknn"),
            "mean-vector": BaselineSpec(kind="mean-vector"),
            "itemknn+mean-vector": BaselineSpec(kind="itemknn+mean-vector"),
            "kmeans": ClusterSpec(kind="kmeans"),
            "agglomerative": ClusterSpec(kind="agglomerative"),
            "dbscan": ClusterSpec(kind="dbscan"),
            "ars-paper": ARSSpec(kind="ars", recipe="paper"),
            "ars-full": _ars(),
        },
        ablation=ARS_STEPS,
        remarks=[
            "Recipes were chosen on validation playlists of another split (seed 7): these are trained on where a fold "
            "does not test them, and they are not scored.",
            "The finer grids of itemknn and dbscan and the order among songs at the same place came after a review "
            "that had looked at test playlists of the first fold; itemknn+mean-vector, ars-paper and the wider grids "
            "of the clusterings came after all folds had been measured once. The recipe of ars-full is older.",
        ],
    ),
}
