"""Songs for playlists, as one of the families that one mechanism serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from prefect.futures import PrefectFuture

from attrec.models.base import Model
from attrec.serving.items import with_actions
from attrec.serving.playlists import ServedPlaylists
from tasks.comparison.champion import better_values
from tasks.comparison.examples import Example
from tasks.comparison.family import Contest, Family, Fitted, Key
from tasks.comparison.score import best_by
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import of_model
from tasks.engine.training_data import Part
from tasks.families.playlists.answers import rank_held_out, read_held_out_ranks
from tasks.families.playlists.data import PlaylistTraining, PreparedPlaylists, load_playlist_facts
from tasks.families.playlists.figures import RANKING_METRIC, evaluate_playlists, playlist_values
from tasks.families.playlists.shown import examples, write_playlists_shown


@dataclass(frozen=True)
class Playlists(Family[PreparedPlaylists, PlaylistTraining]):
    """What belongs to a set of songs; held-out songs are ranked in the catalogue, models are chosen by NDCG@10."""

    name: ClassVar = ServedPlaylists.family
    served: ClassVar = ServedPlaylists
    contest: ClassVar = Contest("NDCG@10", False, better_values, ("user_id",))
    """Of user_id (the playlist), value (its NDCG@10)."""
    refits: ClassVar = False
    source: ClassVar = "data/interim"

    def facts(self, data: PreparedPlaylists) -> dict[str, Any]:
        return load_playlist_facts(data)

    def training_rows(self, facts: Mapping[str, Any]) -> int:
        return int(facts["split"]["rows"])

    def answer(
        self,
        key: Key,
        model: Artifact | PrefectFuture[Artifact],
        kind: type[Model],
        data: PreparedPlaylists,
        part: Part,
    ) -> PrefectFuture[Artifact]:
        return of_model(rank_held_out, *key).submit(model, kind, data, part)

    def evaluate(
        self,
        data: PreparedPlaylists,
        part: Part,
        answers: Mapping[str, list[Artifact]],
        champion: str | None = None,
    ) -> Artifact:
        return evaluate_playlists([data], part, {model: [ranks] for model, ranks in answers.items()})

    def best(self, scores: pd.DataFrame) -> str:
        return best_by(scores, RANKING_METRIC)

    def on_validation(self, fitted: Fitted, training: PlaylistTraining) -> pd.DataFrame:
        first = fitted.validation[:1]
        playlists = read_held_out_ranks(first[0])[1].ids
        return pd.DataFrame({"user_id": playlists, "value": playlist_values(first)[RANKING_METRIC][0]})

    def seen(self, training: PlaylistTraining) -> pd.DataFrame:
        return training.playlists()

    def items(self, training: PlaylistTraining) -> pd.DataFrame:
        return with_actions(training.songs(), training.playlists())

    def described(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {name: facts[name] for name in ("dataset", "split", "playlists", "cleaning")}

    def examples(self, training: PlaylistTraining, best: Fitted) -> list[Example]:
        return examples(training, best)

    def write_shown(
        self, folder: Path, training: PlaylistTraining, fitted: Sequence[Fitted], champion: str
    ) -> None:
        write_playlists_shown(folder, training, fitted, champion)


PLAYLISTS = Playlists()
