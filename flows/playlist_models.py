"""What params.yaml says of a playlist model, and the cached task that fits it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from prefect.futures import PrefectFuture
from pydantic import Field, field_validator, model_validator

from attrec.parameters import changed
from attrec.playlists.ars import ARSConfig
from attrec.playlists.clusters import AgglomerativeConfig, DBSCANConfig, KMeansConfig
from attrec.playlists.recipes import ARS_RECIPES
from flows.fitting import RankingSpec
from tasks.engine.artifacts import Artifact
from tasks.fit_ars import fit_ars
from tasks.fit_clusters import fit_clusters
from tasks.fit_playlist_baseline import fit_playlist_baseline

ClusterKind = Literal["kmeans", "agglomerative", "dbscan"]
CLUSTERINGS: dict[ClusterKind, type[KMeansConfig | AgglomerativeConfig | DBSCANConfig]] = {
    "kmeans": KMeansConfig,
    "agglomerative": AgglomerativeConfig,
    "dbscan": DBSCANConfig,
}


class PlaylistSpec(RankingSpec):
    """What params.yaml says of a model."""

    kind: str

    def submit(self, name: str, seed: int, fit: Artifact) -> PrefectFuture[Artifact]:
        """Submit the fit; every choice is made on validation."""
        raise NotImplementedError


class RandomSpec(PlaylistSpec):
    """Chance."""

    kind: Literal["random"]

    def submit(self, name: str, seed: int, fit: Artifact) -> PrefectFuture[Artifact]:
        return fit_playlist_baseline.submit(self.kind, seed, fit)


class BaselineSpec(PlaylistSpec):
    """Popularity, co-occurrence, the mean of the playlist's songs, or the last two together."""

    seeded: ClassVar[bool] = False

    kind: Literal["popularity", "itemknn", "mean-vector", "itemknn+mean-vector"]

    def submit(self, name: str, seed: int, fit: Artifact) -> PrefectFuture[Artifact]:
        return fit_playlist_baseline.submit(self.kind, 0, fit)


class ClusterSpec(PlaylistSpec):
    """A clustering of songs, and recommendation within the playlist's clusters."""

    kind: ClusterKind
    changes: dict[str, Any] = Field({}, description="fields of its config that replace the defaults")

    @model_validator(mode="after")
    def _changes_fit(self) -> ClusterSpec:
        self.config()
        return self

    def config(self) -> KMeansConfig | AgglomerativeConfig | DBSCANConfig:
        """The defaults with the changes."""
        config: KMeansConfig | AgglomerativeConfig | DBSCANConfig
        config = changed(CLUSTERINGS[self.kind](), self.changes)
        return config

    def resolved(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), **self.config().model_dump(mode="json")}

    def submit(self, name: str, seed: int, fit: Artifact) -> PrefectFuture[Artifact]:
        return fit_clusters.submit(name, self.config(), seed, fit)


class ARSSpec(PlaylistSpec):
    """ARS: a named recipe, and what departs from it."""

    kind: Literal["ars"]
    recipe: str = "quick"
    changes: dict[str, Any] = Field({}, description="fields of its config that replace the recipe's")

    @field_validator("recipe")
    @classmethod
    def _is_known(cls, recipe: str) -> str:
        if recipe not in ARS_RECIPES:
            raise ValueError(f"there is no recipe of this name, only {', '.join(ARS_RECIPES)}")
        return recipe

    @model_validator(mode="after")
    def _changes_fit(self) -> ARSSpec:
        self.config()
        return self

    def config(self) -> ARSConfig:
        """The recipe with the changes."""
        config: ARSConfig = changed(ARS_RECIPES[self.recipe], self.changes)
        return config

    def resolved(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), **self.config().model_dump(mode="json")}

    def submit(self, name: str, seed: int, fit: Artifact) -> PrefectFuture[Artifact]:
        return fit_ars.submit(name, self.config(), seed, fit)


PlaylistModelSpec = Annotated[RandomSpec | BaselineSpec | ClusterSpec | ARSSpec, Field(discriminator="kind")]


def check_names(models: dict[str, PlaylistModelSpec]) -> None:
    """Raises: ValueError if a name does not say what the model is: its kind, and of ARS something more."""
    for name, spec in models.items():
        if spec.kind == "ars" and not name.removeprefix("ars-"):
            raise ValueError(f"the name {name} must say more of the model behind ars-")
        if spec.kind == "ars" and not name.startswith("ars-"):
            raise ValueError(f"the name {name} must begin with ars-")
        if not name.startswith(spec.kind):
            raise ValueError(f"the name {name} must begin with what the model is: {spec.kind}")
