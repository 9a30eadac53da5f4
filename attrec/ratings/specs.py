"""The rating models: what `params.yaml` may say of each, and what a name of one promises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import DataError
from attrec.models.base import Model
from attrec.models.specs import Row, Spec, Table
from attrec.models.tunable import Space, as_changes, merged
from attrec.parameters import changed
from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.bayesian.factorization_machine import BayesianFM
from attrec.ratings.bayesian.matrix_factorization import BayesianMF
from attrec.ratings.bayesian.recipes import FM_RECIPES
from attrec.ratings.blend import Blend, BlendConfig
from attrec.ratings.glocal_k.model import GLocalK
from attrec.ratings.imputed_svd import ImputedSVD
from attrec.ratings.model import RatingModel
from attrec.ratings.neighbourhoods.model import ResidualNeighbours
from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from attrec.ratings.pairs.recipes import EmbeddingName, HeadName, embedded_xgboost_recipe, pair_recipe
from attrec.ratings.pairs.xgboost import EmbeddedXGBoost, EmbeddedXGBoostConfig
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.recipes import RECIPES
from attrec.ratings.surprise.baselines import SPACES, Algorithm, SurpriseBaseline, SurpriseConfig


class PairNetworkSpec(Spec):
    """An embedding and a head of attentive neural collaborative filtering, and what departs from their recipe."""

    EMBEDDINGS: ClassVar[Mapping[str, str]] = {
        "simple": "A vector for each user and item,",
        "autoencoder": "A vector for each user and item that starts from an autoencoder's,",
        "rsattae": "A vector for each user and item that starts from RSAttAE's,",
        "attentive": "A user is what they have rated, seen from the item that is asked for,",
    }
    HEADS: ClassVar[Mapping[str, str]] = {
        "inner": "and their inner product",
        "mlp1": "and a network that gives a rating",
        "mlp2": "and a network that gives a probability to each rating",
        "xgboost": "cross-fitted, and gradient-boosted trees",
    }

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

    @property
    def model(self) -> type[Model]:
        return EmbeddedXGBoost if self.head == "xgboost" else NeuralCF

    @property
    def named_after(self) -> str:
        return f"{self.embedding}+{self.head}"

    @property
    def sentence(self) -> str:
        of_paper = self.embedding != "rsattae" and self.head != "xgboost"
        told = f"{self.EMBEDDINGS[self.embedding]} {self.HEADS[self.head]}"
        return f"{told}{' (Hutter et al.)' if of_paper else ''}."

    def config(self) -> PairNetworkConfig | EmbeddedXGBoostConfig:
        recipe = (
            embedded_xgboost_recipe(self.embedding)
            if self.head == "xgboost"
            else pair_recipe(self.embedding, self.head)
        )
        config: PairNetworkConfig | EmbeddedXGBoostConfig = changed(recipe, self.changes)
        return config


class SurpriseSpec(Spec):
    """An algorithm of scikit-surprise with its defaults, but for `options`."""

    kind: Literal["surprise"] = "surprise"
    algorithm: Algorithm
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm's class")

    @property
    def named_after(self) -> str:
        return self.algorithm

    @property
    def sentence(self) -> str:
        return f"Baseline: {self.algorithm} as in the library scikit-surprise (Hug 2020)."

    @property
    def space(self) -> Space:
        return SPACES.get(self.algorithm, {})

    def with_values(self, values: Mapping[str, Any]) -> Self:
        return self.validated(**merged(self.model_dump(), as_changes(self.config(), values)))

    def config(self) -> SurpriseConfig:
        return SurpriseConfig(algorithm=self.algorithm, options=self.options)


class BlendSpec(Spec):
    """A blend of models that stand beside it."""

    kind: Literal["blend"] = "blend"
    members: list[str] = Field(min_length=2, description="names of other models, none of them a blend")
    weights: Literal["linear", "mean"] = "linear"

    @property
    def blended(self) -> list[str]:
        return self.members

    def config(self) -> BlendConfig:
        return BlendConfig(weights=self.weights)


RATING_MODELS = Table(
    Row("global-mean", GlobalMean, "Baseline: the mean training rating for every pair."),
    Row(
        "user-item-bias",
        UserItemBias,
        "Baseline: mean + user bias + item bias; a model that has learned taste beats it.",
    ),
    Row(
        "rsattae+xgboost",
        RSAttAEXGBoost,
        "RSAttAE + XGBoost with cross-fitted autoencoders.",
        RECIPES,
        {
            "paper": "RSAttAE + XGBoost as published: in-sample embeddings, the grid of Table II.",
            "paper-quick": "As published, with fewer and shallower trees at a larger step.",
            "stacked": "The same trees over autoencoders and a factorisation machine, with what it leaves unexplained.",
            "stacked+time": "As stacked+xgboost, with what the machine leaves unexplained around the moment.",
        },
    ),
    Row(
        "pair-network",
        NeuralCF,
        "Attentive neural collaborative filtering: an embedding of users and items, and a head (Hutter et al.).",
        spec=PairNetworkSpec,
        variants={
            f"{embedding}+{head}": {"embedding": embedding, "head": head}
            for embedding in get_args(EmbeddingName)
            for head in get_args(HeadName)
            if (embedding, head) != ("rsattae", "xgboost")
        },
    ),
    Row(
        "surprise",
        SurpriseBaseline,
        "Baseline: an algorithm of the library scikit-surprise (Hug 2020).",
        spec=SurpriseSpec,
        variants={algorithm: {"algorithm": algorithm} for algorithm in get_args(Algorithm)},
    ),
    Row(
        "imputed-svd",
        ImputedSVD,
        "Baseline: a truncated SVD of the ratings, completed by the mean of each item (Sarwar et al. 2000).",
        known_as="SVD-imputed",
    ),
    Row(
        "residual-neighbours",
        ResidualNeighbours,
        "Biases, and what they leave unexplained of all similar items and users (after Koren 2010).",
    ),
    Row(
        "bayesian-fm",
        BayesianFM,
        "Bayesian factorisation machine with ordered probit, side features and what each user rated (myFM).",
        FM_RECIPES,
        {"small+time": "As bayesian-fm, with the moment of the rating."},
    ),
    Row(
        "bayesian-mf",
        BayesianMF,
        "Bayesian matrix factorisation with ordered probit, side features and who has rated what (ours).",
    ),
    Row(
        "glocal-k",
        GLocalK,
        "GLocal-K: an autoencoder of items with local kernels, fine-tuned on ratings that a global one has smoothed "
        "(Han et al. 2021).",
    ),
    Row(
        "blend",
        Blend,
        "Linear combination of other models, with weights learned on validation ratings; or their plain mean.",
        spec=BlendSpec,
    ),
)

if TYPE_CHECKING:
    RatingSpec = Spec
else:
    RatingSpec = RATING_MODELS.union()


def check_ratings(models: Mapping[str, Spec], values: np.ndarray) -> None:
    """See that each model can learn ratings of these values, ascending: some would say so after minutes of fitting.

    Raises:
        DataError: one cannot; its key in params.yaml is named.
    """
    for name, spec in models.items():
        if issubclass(spec.model, RatingModel):
            try:
                spec.model.check_ratings(spec.config(), values)
            except DataError as error:
                raise DataError(f"rating.models.{name}: {error}") from error


def has_classes(spec: Spec) -> bool:
    """Whether a model gives each rating value a probability (see `RatingModel.probabilities`)."""
    return issubclass(spec.model, RatingModel) and spec.model.has_classes(spec.config())


class Matrix(BaseModel):
    """Every embedding with every head, each pair a model of its own under the name embedding+head."""

    model_config = ConfigDict(extra="forbid")

    embeddings: list[EmbeddingName] = []
    heads: list[HeadName] = []

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.embeddings) != bool(self.heads):
            there, missing = ("embeddings", "heads") if self.embeddings else ("heads", "embeddings")
            raise ValueError(f"{there} without {missing} make no pair: give both, or leave both out")
        return self

    def models(self) -> dict[str, Spec]:
        """The pairs by name."""
        return {
            f"{embedding}+{head}": RATING_MODELS.spec("rsattae+xgboost")
            if (embedding, head) == ("rsattae", "xgboost")
            else PairNetworkSpec(embedding=embedding, head=head)
            for embedding in self.embeddings
            for head in self.heads
        }


def check_models(models: Mapping[str, Spec]) -> None:
    """Check what the models are called, and what they are blended of.

    Raises:
        ValueError: a blend's member is no single model, or a name says that the model is another one (see
            `_check_name`).
    """
    for name, spec in models.items():
        _check_name(name, spec)
        members = {member: models.get(member) for member in spec.blended}
        if len(members) < len(spec.blended):
            raise ValueError(f"{name} names a member twice")
        for member, single in members.items():
            if single is None or single.blended:
                raise ValueError(f"{name} blends {member!r}, which is no single model of rating.models")
        uses_time = any(single.config().uses_time for single in (spec, *members.values()) if single)
        if uses_time != name.endswith("+time"):
            says = "uses timestamps: its name must end in +time" if uses_time else "does not use timestamps"
            raise ValueError(f"{name} {says}")


PUBLISHED_NAMES = frozenset({"glocal-k", "SVD-imputed", "bayesian-fm", "bayesian-mf"})
"""By which a reader knows a model: a name that begins so is taken for it."""


def _check_name(name: str, spec: Spec) -> None:
    """Which recipe a model has is not looked at.

    Raises:
        ValueError: a name of an embedding and a head, of an algorithm of a library or of a published model is not its
            model's.
    """
    pairs = {f"{embedding}+{head}" for embedding in get_args(EmbeddingName) for head in get_args(HeadName)}
    said = {known for known in pairs | PUBLISHED_NAMES if re.match(rf"{re.escape(known)}($|[-+])", name)}
    said |= {name} & set(get_args(Algorithm))
    if said - {spec.named_after}:
        raise ValueError(
            f"{name} would be taken for {min(said)}, which this model is not: give it another name"
        )
    if isinstance(spec, PairNetworkSpec) and not said:
        raise ValueError(f"the name {name} must begin with the embedding and the head: {spec.named_after}")
