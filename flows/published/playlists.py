"""The published comparison of playlist models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from attrec.datasets.tables import Tables
from attrec.models.specs import Spec
from attrec.playlists.specs import PLAYLIST_MODELS, PlaylistSpec
from attrec.prepare.playlist_splits import PlaylistSplitConfig, split_playlists
from flows.fitting import fit_models
from flows.prepare import prepare_dataset
from flows.prepare_params import PrepareParams
from flows.published.comparison import Comparison, checked_number
from tasks.comparison.family import Fitted
from tasks.engine.artifacts import Artifact
from tasks.engine.training_data import Part
from tasks.families.playlists.data import LikesConfig, PreparedPlaylists, make_playlists, playlist_rows
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.playlists.figures import RANKING_METRIC, evaluate_playlists
from tasks.families.playlists.shown import chosen_clusterings
from tasks.reports.facts import model_facts
from tasks.reports.pages import write_playlist_page
from tasks.reports.results import ablation_table


class PlaylistComparison(Comparison):
    """Playlist models, and the data and folds that they are compared on."""

    family: ClassVar = PLAYLISTS
    files: ClassVar = {
        "known": "known",
        "comparisons": "comparisons",
        "beyond": "beyond",
        "by-seed": "by_seed",
        "by-fold": "by_fold",
        "ceiling": "ceiling",
    }

    likes: LikesConfig = LikesConfig()
    split: PlaylistSplitConfig
    """Of which all folds are tested on, so that every playlist that is long enough is asked about once."""
    folds: list[int] = Field(min_length=1)
    chosen_on: dict[str, list[PlaylistSplitConfig]] = Field({})
    """By data set, the splits on whose validation playlists recipes were chosen: these playlists are not scored."""
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    models: dict[str, PlaylistSpec]
    ablation: dict[str, PlaylistSpec] = Field({})
    """Steps that are held against the first of them, on the validation playlists of all folds."""

    @property
    def together(self) -> str:
        return f"cv{len(self.folds)}"

    def some_splits(self, number: int) -> dict[str, Any]:
        return {"folds": self.folds[:number]} if checked_number(number, len(self.folds)) else {}

    def prepared(self, dataset: str) -> list[PreparedPlaylists]:
        cleaned = self._cleaned(dataset)
        splits = (self.split.model_copy(update={"fold": fold}) for fold in self.folds)
        return [make_playlists(dataset, cleaned, self.likes, split, None) for split in splits]

    def _cleaned(self, dataset: str) -> Artifact:
        return prepare_dataset(PrepareParams(dataset=dataset, prepare=self.prepare)).cleaned

    def _without(self, dataset: str) -> list[int | str]:
        """The playlists that recipes were chosen on."""
        splits = self.chosen_on.get(dataset, [])
        if not splits:
            return []
        rows = playlist_rows(Tables.load(self._cleaned(dataset).path), self.likes)
        validated = (split_playlists(rows, split).validation.given["user_id"] for split in splits)
        return sorted(set().union(*validated))

    def evaluate(
        self, dataset: str, splits: Sequence[PreparedPlaylists], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[Part, Artifact]:
        ranks = {name: [own[place].test for own in fitted] for place, name in enumerate(self.models)}
        return {"test": evaluate_playlists(list(splits), "test", ranks, self._without(dataset))}

    def compare_steps(self, dataset: str, splits: Sequence[PreparedPlaylists]) -> pd.DataFrame:
        """Other folds test these playlists: it says what choices gave that were made before, and none may be made by
        it."""
        steps, seeds = self.ablation, self.seeds[:1]
        fitted = [
            fit_models(PLAYLISTS, steps, seeds, split, f"{dataset}, ablation, fold {number}", ("validation",))
            for number, split in enumerate(splits, 1)
        ]
        ranks = {name: [own[place].validation for own in fitted] for place, name in enumerate(steps)}
        evaluation = evaluate_playlists(
            list(splits), "validation", ranks, self._without(dataset), next(iter(steps))
        )
        return ablation_table(evaluation, RANKING_METRIC)

    def further_tables(
        self, splits: Sequence[PreparedPlaylists], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[str, pd.DataFrame]:
        facts = model_facts(fitted).drop(columns="epochs")
        return {"models": facts, "clusterings": chosen_clusterings(fitted)}

    def write_page(
        self,
        file: Path,
        dataset: str,
        splits: Sequence[PreparedPlaylists],
        fitted: Sequence[Sequence[Fitted]],
        evaluations: Mapping[Part, Artifact],
        tables: Mapping[str, pd.DataFrame],
        runs: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        facts = [PLAYLISTS.facts(split) for split in splits]
        said = {one.name: one.sentence for one in fitted[0]}
        write_playlist_page(file, dataset, facts, said, tables, runs, settings, self.remarks)


def _ars(**changes: Any) -> Spec:
    return PLAYLIST_MODELS.spec("ars", recipe="full", changes=changes)


ARS_STEPS = {
    "full recipe": _ars(),
    "one pair": _ars(pairs=1),
    "four pairs": _ars(pairs=4),
    "without attention": _ars(attention=False),
    "learned similarity": _ars(similarity="learned"),
    "without popularity": _ars(popularity=False),
    "without co-occurrence": _ars(cooccurrence=0),
    "without either, as `ars-paper`": PLAYLIST_MODELS.spec("ars", recipe="paper"),
}
"""What each choice of `ars-full` contributed."""


def _scouted(*folds: int) -> list[PlaylistSplitConfig]:
    return [PlaylistSplitConfig(seed=7, fold=fold) for fold in folds]


PLAYLIST_TABLES = {
    "spotify-playlists": PlaylistComparison(
        about="songs and liked films for playlists, five folds, three seeds",
        datasets=["spotify-playlists", "simulated-playlists", "ml-latest-small"],
        split=PlaylistSplitConfig(seed=11),
        folds=[0, 1, 2, 3, 4],
        chosen_on={
            "spotify-playlists": _scouted(0, 1, 2, 3, 4),
            "simulated-playlists": _scouted(0),
            "ml-latest-small": _scouted(0, 1),
        },
        models={
            "random": PLAYLIST_MODELS.spec("random"),
            "popularity": PLAYLIST_MODELS.spec("popularity"),
            "itemknn": PLAYLIST_MODELS.spec("itemknn"),
            "mean-vector": PLAYLIST_MODELS.spec("mean-vector"),
            "itemknn+mean-vector": PLAYLIST_MODELS.spec("itemknn+mean-vector"),
            "kmeans": PLAYLIST_MODELS.spec("kmeans"),
            "agglomerative": PLAYLIST_MODELS.spec("agglomerative"),
            "dbscan": PLAYLIST_MODELS.spec("dbscan"),
            "ars-paper": PLAYLIST_MODELS.spec("ars", recipe="paper"),
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
