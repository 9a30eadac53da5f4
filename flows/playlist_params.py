"""What the flow `playlist` reads from params.yaml."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.playlists.specs import PlaylistSpec, check_playlist_names
from attrec.prepare.likes import LikesConfig
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from attrec.prepare.songs import TableCleaningConfig
from flows.comparison_params import ComparisonParams


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
