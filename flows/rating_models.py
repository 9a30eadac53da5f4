"""How each kind of rating model is fitted: selection on validation, then the final fit on training + validation rows.

Every function submits cached tasks and returns at once; `rating` gathers them, so that all models run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from prefect.futures import PrefectFuture
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from attrec.models.cross_fitting import RSAttAEXGBoostConfig, autoencoder_jobs
from attrec.models.recipes import Recipe, recipe
from tasks.artifacts import Artifact
from tasks.baseline import BaselineKind, fit_baseline
from tasks.boost import assemble, choose, epochs, fit_one_head
from tasks.params import explain
from tasks.prepared import Phase
from tasks.pretrain import pretrain, pretraining_part


class BaselineSpec(BaseModel):
    """A baseline: nothing to set."""

    model_config = ConfigDict(extra="forbid")

    kind: BaselineKind

    def resolved(self) -> dict[str, Any]:
        """For the log."""
        return {"kind": self.kind}


class RSAttAEXGBoostSpec(BaseModel):
    """RSAttAE + XGBoost: a named recipe, and what departs from it."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["rsattae+xgboost"]
    recipe: Recipe = "quick"
    changes: dict[str, Any] = Field(
        {}, description="fields of RSAttAEXGBoostConfig that replace the recipe's"
    )

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        try:
            self.config()
        except ValidationError as error:
            raise ValueError(f"changes: {explain(error, RSAttAEXGBoostConfig).rstrip('.')}") from error
        return self

    def config(self) -> RSAttAEXGBoostConfig:
        """The recipe with the changes, validated."""
        return RSAttAEXGBoostConfig.model_validate({**recipe(self.recipe).model_dump(), **self.changes})

    def resolved(self) -> dict[str, Any]:
        """For the log."""
        return {"kind": self.kind, "recipe": self.recipe, **self.config().model_dump(mode="json")}


ModelSpec = Annotated[BaselineSpec | RSAttAEXGBoostSpec, Field(discriminator="kind")]


@dataclass
class Fit:
    """Tasks under way for one model, seed and phase."""

    model: PrefectFuture[Artifact]
    autoencoders: dict[str, PrefectFuture[Artifact]] = field(default_factory=dict)
    heads: list[PrefectFuture[Artifact]] = field(default_factory=list)

    def futures(self) -> list[PrefectFuture[Artifact]]:
        """All of them."""
        return [*self.autoencoders.values(), *self.heads, self.model]


def select(spec: BaselineSpec | RSAttAEXGBoostSpec, seed: int, fit: Artifact) -> Fit:
    """Fit on the training rows; epochs, trees and regularisation are chosen on validation."""
    if isinstance(spec, BaselineSpec):
        return Fit(fit_baseline.submit(spec.kind, fit, "select"))
    config = spec.config()
    return _fit_rsattae_xgboost(config, seed, fit, "select", config, pretraining_part(config))


def refit(spec: BaselineSpec | RSAttAEXGBoostSpec, seed: int, fit: Artifact, selected: Fit) -> Fit:
    """Fit on training and validation rows with what selection has chosen."""
    if isinstance(spec, BaselineSpec):
        return Fit(fit_baseline.submit(spec.kind, fit, "final"))
    config = spec.config()
    chosen = choose.submit(config, selected.autoencoders, selected.heads)
    return _fit_rsattae_xgboost(config, seed, fit, "final", chosen, epochs.submit(chosen))


def _fit_rsattae_xgboost(
    config: RSAttAEXGBoostConfig,
    seed: int,
    fit: Artifact,
    phase: Phase,
    fitted_as: RSAttAEXGBoostConfig | PrefectFuture[RSAttAEXGBoostConfig],
    pretrained_as: RSAttAEXGBoostConfig | PrefectFuture[RSAttAEXGBoostConfig],
) -> Fit:
    """Submit the tasks that `config` asks for; what they do may be known only when selection has chosen."""
    autoencoders = {
        job.name: pretrain.submit(job, pretrained_as, seed, fit, phase)
        for job in autoencoder_jobs(config, seed)
    }
    heads = [
        fit_one_head.submit(number, fitted_as, seed, fit, phase, autoencoders)
        for number in range(config.head_seeds)
    ]
    return Fit(assemble.submit(fitted_as, seed, fit, phase, autoencoders, heads), autoencoders, heads)
