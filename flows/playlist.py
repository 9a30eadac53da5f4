"""Flow `playlist`: fit every playlist model, rank held-out songs once on test, track, challenge the champion."""

from __future__ import annotations

from typing import Self

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import NoPlaylists
from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.playlists.specs import PlaylistSpec, check_playlist_names
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from attrec.prepare.songs import TableCleaningConfig
from flows.comparison import compare, leave_nothing
from flows.stage import ComparisonParams, run_in_tasks, run_stage
from tasks.engine import environment
from tasks.engine.artifacts import adopt
from tasks.engine.logs import tell
from tasks.families.playlists.data import LikesConfig, has_songs, make_playlists
from tasks.families.playlists.family import PLAYLISTS


class PlaylistSection(BaseModel):
    """Section `playlist` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    likes: LikesConfig = LikesConfig()
    split: PlaylistSplitConfig = PlaylistSplitConfig()
    cleaning: TableCleaningConfig | None = Field(
        None, description="how songs become points; left out: what suits the data"
    )
    models: dict[ModelName, PlaylistSpec] = Field(
        min_length=1, description="key: what it is, and its name in every table where that is another"
    )

    @model_validator(mode="after")
    def _names_say_what_they_are(self) -> Self:
        check_playlist_names(self.all_models())
        return self

    def all_models(self) -> dict[str, Spec]:
        """By what tables call them."""
        return by_name(self.models)


class PlaylistParams(ComparisonParams):
    """What the flow reads from params.yaml."""

    playlist: PlaylistSection


@flow(name="playlist", flow_run_name="playlist {params.dataset}")
def playlist(params: PlaylistParams) -> None:
    """Compare the playlist models of params.yaml on the clean data."""
    section = params.playlist
    cleaned = adopt(environment.ROOT / "data" / "interim", "clean")
    try:
        data = make_playlists(params.dataset, cleaned, section.likes, section.split, section.cleaning)
    except NoPlaylists as error:
        # Whoever has songs wants playlists; of other data they are taken where they are to be had.
        if has_songs(cleaned):
            raise
        tell(f"No playlist model is fitted to {params.dataset}. {error}")
        leave_nothing(PLAYLISTS, {"dataset": params.dataset}, str(error))
        return
    compare(PLAYLISTS, section.all_models(), section.seeds, data, params)


def run(params: PlaylistParams) -> None:
    """Run the flow."""
    run_in_tasks(playlist, params)


if __name__ == "__main__":
    run_stage(PlaylistParams, run)
