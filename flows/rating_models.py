"""How each kind of rating model is fitted: selection on validation, then the final fit on training + validation rows.

A spec is what params.yaml says of a model. Its `submit` hands in cached tasks and returns at once; `rating` gathers
them, so that all models run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from prefect.futures import PrefectFuture
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.parameters import changed
from attrec.ratings.bayesian.factorization_machine import BayesianFMConfig
from attrec.ratings.bayesian.matrix_factorization import BayesianMFConfig
from attrec.ratings.bayesian.recipes import FM_RECIPES
from attrec.ratings.blend import BlendConfig
from attrec.ratings.glocal_k.model import GLocalKConfig
from attrec.ratings.imputed_svd import ImputedSVDConfig
from attrec.ratings.neighbourhoods.model import ResidualNeighboursConfig
from attrec.ratings.pairs.model import PairNetworkConfig
from attrec.ratings.pairs.recipes import (
    EmbeddingName,
    HeadName,
    embedded_xgboost_recipe,
    pair_recipe,
    pretraining_recipe,
)
from attrec.ratings.pairs.xgboost import EmbeddedXGBoostConfig, pretraining_jobs
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig, autoencoder_jobs, machine_jobs
from attrec.ratings.rsattae.recipes import RECIPES
from attrec.ratings.surprise.baselines import Algorithm, SurpriseConfig
from tasks.baseline import BaselineKind, fit_baseline
from tasks.engine.artifacts import Artifact
from tasks.families.ratings.cross_fitting import assemble, choose, epochs, fit_one_head
from tasks.families.ratings.data import Phase
from tasks.families.ratings.fit_embedded_xgboost import (
    assemble_embedded,
    choose_embedded,
    chosen_networks,
    fit_embedded_trees,
    fit_fold_network,
    networks_part,
)
from tasks.families.ratings.pretrain import pretrain, pretraining_part
from tasks.families.ratings.sample_machine import machine_part, sample_machine
from tasks.fit_bayesian_mf import fit_bayesian_mf
from tasks.fit_factorization_machine import fit_factorization_machine
from tasks.fit_glocal_k import fit_glocal_k
from tasks.fit_library_baselines import fit_imputed_svd, fit_residual_neighbours, fit_surprise
from tasks.fit_pair_network import fit_pair_network


@dataclass
class Fit:
    """Tasks under way for one model, seed and phase."""

    model: PrefectFuture[Artifact]
    autoencoders: dict[str, PrefectFuture[Artifact]] = field(default_factory=dict)
    heads: list[PrefectFuture[Artifact]] = field(default_factory=list)
    networks: list[PrefectFuture[Artifact]] = field(default_factory=list)
    """By fold."""
    machines: dict[str, PrefectFuture[Artifact]] = field(default_factory=dict)

    def futures(self) -> list[PrefectFuture[Artifact]]:
        """All of them."""
        return [
            *self.autoencoders.values(),
            *self.machines.values(),
            *self.networks,
            *self.heads,
            self.model,
        ]


class Spec(BaseModel):
    """What params.yaml says of a model."""

    model_config = ConfigDict(extra="forbid")

    seeded: ClassVar[bool] = True
    """Whether a seed changes the model; where not, one seed says all."""
    chooses: ClassVar[bool] = True
    """Whether anything is chosen on validation; where not, the final fit needs no selection before it."""

    @property
    def uses_time(self) -> bool:
        """Whether timestamps of the pairs to predict are an input."""
        return False

    def resolved(self) -> dict[str, Any]:
        """Everything that was set or defaulted, for the log."""
        return self.model_dump(mode="json")

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        """Submit the fit of one phase; that of `final` needs what was `selected`, if the model chooses anything."""
        raise NotImplementedError


class BaselineSpec(Spec):
    """A baseline: nothing to set."""

    seeded: ClassVar[bool] = False

    kind: BaselineKind

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        return Fit(fit_baseline.submit(self.kind, fit, phase))


class RSAttAEXGBoostSpec(Spec):
    """RSAttAE + XGBoost, alone or stacked with a machine: a named recipe, and what departs from it."""

    kind: Literal["rsattae+xgboost"]
    recipe: Literal["quick", "full", "paper-quick", "paper", "stacked", "stacked+time"] = "quick"
    changes: dict[str, Any] = Field(
        {}, description="fields of RSAttAEXGBoostConfig that replace the recipe's"
    )

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    def config(self) -> RSAttAEXGBoostConfig:
        """The recipe with the changes."""
        config: RSAttAEXGBoostConfig = changed(RECIPES[self.recipe], self.changes)
        return config

    @property
    def uses_time(self) -> bool:
        return self.config().moments

    def resolved(self) -> dict[str, Any]:
        return {"kind": self.kind, "recipe": self.recipe, **self.config().model_dump(mode="json")}

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        config = self.config()
        # What the final tasks do is known only when selection has chosen; how many there are is known now.
        fitted_as: Any = config
        pretrained_as: Any = pretraining_part(config)
        if selected is not None:
            fitted_as = choose.submit(config, selected.autoencoders, selected.heads)
            pretrained_as = epochs.submit(fitted_as)
        autoencoders = {
            job.name: pretrain.submit(job, pretrained_as, seed, fit, phase)
            for job in autoencoder_jobs(config, seed)
        }
        machines = {
            job.name: sample_machine.submit(job, machine_part(config), seed, fit, phase)
            for job in machine_jobs(config, seed)
        }
        heads = [
            fit_one_head.submit(number, fitted_as, seed, fit, phase, autoencoders, machines)
            for number in range(config.head_seeds)
        ]
        model = assemble.submit(fitted_as, seed, fit, phase, autoencoders, machines, heads)
        return Fit(model, autoencoders, heads, machines=machines)


class PairNetworkSpec(Spec):
    """An embedding and a head of attentive neural collaborative filtering, and what departs from their recipe."""

    kind: Literal["pair-network"] = "pair-network"
    embedding: EmbeddingName
    head: HeadName
    changes: dict[str, Any] = Field(
        {},
        description="fields of PairNetworkConfig, with xgboost of EmbeddedXGBoostConfig, that replace the recipe's",
    )

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        if (self.embedding, self.head) == ("rsattae", "xgboost"):
            raise ValueError(
                "the embedding rsattae with the head xgboost has a kind of its own: rsattae+xgboost"
            )
        of_network = self.changes.get("network") if self.head == "xgboost" else self.changes
        for name in ("embedding", "head"):
            if name in (of_network or {}):
                raise ValueError(f"changes: {name} is set beside `changes`, not in it")
        self.config()
        return self

    def config(self) -> PairNetworkConfig | EmbeddedXGBoostConfig:
        """The recipe with the changes."""
        recipe = (
            embedded_xgboost_recipe(self.embedding)
            if self.head == "xgboost"
            else pair_recipe(self.embedding, self.head)
        )
        config: PairNetworkConfig | EmbeddedXGBoostConfig = changed(recipe, self.changes)
        return config

    def resolved(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), **self.config().model_dump(mode="json")}

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        config = self.config()
        if isinstance(config, EmbeddedXGBoostConfig):
            return self._submit_folds(config, seed, fit, phase, selected)
        autoencoders = self._pretrain(config.dimension, 1, seed, fit, phase, selected)
        chosen = None if selected is None else selected.model
        model = fit_pair_network.submit(config, seed, fit, phase, chosen, autoencoders)
        return Fit(model, autoencoders)

    def _submit_folds(
        self, config: EmbeddedXGBoostConfig, seed: int, fit: Artifact, phase: Phase, selected: Fit | None
    ) -> Fit:
        fitted_as: Any = config
        networks_as: Any = networks_part(config)
        if selected is not None:
            fitted_as = choose_embedded.submit(config, selected.networks, selected.heads[0])
            networks_as = chosen_networks.submit(fitted_as)
        autoencoders = self._pretrain(config.network.dimension, config.folds, seed, fit, phase, selected)
        networks = [
            fit_fold_network.submit(
                fold,
                networks_as,
                seed,
                fit,
                phase,
                [future for name, future in autoencoders.items() if name.endswith(f"-f{fold}")],
            )
            for fold in range(config.folds)
        ]
        trees = fit_embedded_trees.submit(fitted_as, seed, fit, phase, networks)
        model = assemble_embedded.submit(fitted_as, seed, fit, phase, networks, trees)
        return Fit(model, autoencoders, [trees], networks)

    def _pretrain(
        self, dimension: int, folds: int, seed: int, fit: Artifact, phase: Phase, selected: Fit | None
    ) -> dict[str, PrefectFuture[Artifact]]:
        """Autoencoders by the name of their job; none where the embedding starts from noise."""
        pretraining = pretraining_recipe(self.embedding, dimension, folds)
        if pretraining is None:
            return {}
        pretrained_as: Any = pretraining_part(pretraining)
        if selected is not None:
            pretrained_as = epochs.submit(choose.submit(pretraining, selected.autoencoders, []))
        return {
            job.name: pretrain.submit(job, pretrained_as, seed, fit, phase)
            for job in pretraining_jobs(pretraining, seed)
        }


class SurpriseSpec(Spec):
    """An algorithm of scikit-surprise with its defaults, but for `options`."""

    chooses: ClassVar[bool] = False

    kind: Literal["surprise"] = "surprise"
    algorithm: Algorithm
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm's class")

    @model_validator(mode="after")
    def _options_exist(self) -> Self:
        self.config()
        return self

    def config(self) -> SurpriseConfig:
        """Algorithm and options, checked."""
        return SurpriseConfig(algorithm=self.algorithm, options=self.options)

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        return Fit(fit_surprise.submit(self.config(), seed, fit, phase))


class ImputedSVDSpec(Spec):
    """SVD on the matrix that item means complete; the rank is chosen on validation."""

    seeded: ClassVar[bool] = False

    kind: Literal["imputed-svd"] = "imputed-svd"

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        chosen = None if selected is None else selected.model
        return Fit(fit_imputed_svd.submit(ImputedSVDConfig(), fit, phase, chosen))


class ResidualNeighboursSpec(Spec):
    """Residuals of all similar items and users; selection fits the shares of the parts."""

    seeded: ClassVar[bool] = False

    kind: Literal["residual-neighbours"] = "residual-neighbours"

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        chosen = None if selected is None else selected.model
        return Fit(fit_residual_neighbours.submit(ResidualNeighboursConfig(), fit, phase, chosen))


class BayesianFMSpec(Spec):
    """A Bayesian factorisation machine: a named recipe, and what departs from it."""

    chooses: ClassVar[bool] = False

    kind: Literal["bayesian-fm"] = "bayesian-fm"
    recipe: Literal["small", "small+time", "large"] = "small"
    changes: dict[str, Any] = Field({}, description="fields of BayesianFMConfig that replace the recipe's")

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    def config(self) -> BayesianFMConfig:
        """The recipe with the changes."""
        config: BayesianFMConfig = changed(FM_RECIPES[self.recipe], self.changes)
        return config

    @property
    def uses_time(self) -> bool:
        return self.config().time

    def resolved(self) -> dict[str, Any]:
        return {"kind": self.kind, "recipe": self.recipe, **self.config().model_dump(mode="json")}

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        return Fit(fit_factorization_machine.submit(self.config(), seed, fit, phase))


class BayesianMFSpec(Spec):
    """A Bayesian matrix factorisation, and what departs from its defaults."""

    chooses: ClassVar[bool] = False

    kind: Literal["bayesian-mf"] = "bayesian-mf"
    changes: dict[str, Any] = Field({}, description="fields of BayesianMFConfig")

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    def config(self) -> BayesianMFConfig:
        """The defaults with the changes."""
        config: BayesianMFConfig = changed(BayesianMFConfig(), self.changes)
        return config

    def resolved(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.config().model_dump(mode="json")}

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        return Fit(fit_bayesian_mf.submit(self.config(), seed, fit, phase))


class GLocalKSpec(Spec):
    """GLocal-K, and what departs from the paper's configuration."""

    kind: Literal["glocal-k"] = "glocal-k"
    changes: dict[str, Any] = Field({}, description="fields of GLocalKConfig")

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    def config(self) -> GLocalKConfig:
        """The paper's with the changes."""
        config: GLocalKConfig = changed(GLocalKConfig(), self.changes)
        return config

    def resolved(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.config().model_dump(mode="json")}

    def submit(self, seed: int, fit: Artifact, phase: Phase, selected: Fit | None = None) -> Fit:
        chosen = None if selected is None else selected.model
        return Fit(fit_glocal_k.submit(self.config(), seed, fit, phase, chosen))


class BlendSpec(Spec):
    """A blend of models that stand beside it."""

    kind: Literal["blend"]
    members: list[str] = Field(min_length=2, description="names of other models, none of them a blend")
    weights: Literal["linear", "mean"] = "linear"

    def config(self) -> BlendConfig:
        """How the members are weighted."""
        return BlendConfig(weights=self.weights)


SingleSpec = (
    BaselineSpec
    | RSAttAEXGBoostSpec
    | PairNetworkSpec
    | SurpriseSpec
    | ImputedSVDSpec
    | ResidualNeighboursSpec
    | BayesianFMSpec
    | BayesianMFSpec
    | GLocalKSpec
)
ModelSpec = Annotated[SingleSpec | BlendSpec, Field(discriminator="kind")]
