"""The cross-validated comparisons whose tables are kept under results/."""

from __future__ import annotations

from typing import Self, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from attrec.models.surprise_baselines import Algorithm
from attrec.prepare.splits import SplitConfig
from flows.rating import check_models
from flows.rating_models import (
    BaselineSpec,
    BayesianFMSpec,
    BlendSpec,
    ImputedSVDSpec,
    PairNetworkSpec,
    SingleSpec,
    SurpriseSpec,
)


class Comparison(BaseModel):
    """Models, and the folds of a dataset that they are compared on."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    split: str
    """What the folds together are called in tables."""
    splits: list[SplitConfig]
    seeds: list[int] = [0]
    models: dict[str, SingleSpec | BlendSpec]

    @model_validator(mode="after")
    def _models_fit_together(self) -> Self:
        check_models(self.models)
        return self


NINE_PAIRS: dict[str, SingleSpec | BlendSpec] = {
    f"{embedding}+{head}": PairNetworkSpec(embedding=embedding, head=head)
    for embedding in ("simple", "autoencoder", "attentive")
    for head in ("inner", "mlp1", "mlp2")
}

SURPRISE: dict[str, SingleSpec | BlendSpec] = {
    algorithm: SurpriseSpec(algorithm=algorithm) for algorithm in get_args(Algorithm)
}

COMPARISONS = {
    "cil": Comparison(
        dataset="cil",
        split="cv10",
        splits=[SplitConfig(name="kfold", fold=fold, n_folds=10) for fold in range(10)],
        models={
            "global-mean": BaselineSpec(kind="global-mean"),
            "user-item-bias": BaselineSpec(kind="user-item-bias"),
            **SURPRISE,
            "SVD-imputed": ImputedSVDSpec(),
            **NINE_PAIRS,
            "bayesian-fm": BayesianFMSpec(recipe="large"),
            "mean-of-pairs": BlendSpec(kind="blend", members=list(NINE_PAIRS), weights="mean"),
            "blend": BlendSpec(kind="blend", members=[*NINE_PAIRS, "KNNBaseline", "bayesian-fm"]),
        },
    ),
}
