"""The comparisons whose tables are kept under results/: models, and the splits they are measured on."""

from __future__ import annotations

from typing import Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import ParamsError
from attrec.prepare.rating_splits import SplitConfig
from attrec.ratings.rsattae.recipes import ABLATION
from attrec.ratings.surprise.baselines import Algorithm
from flows.rating import check_models
from flows.rating_models import (
    BaselineSpec,
    BayesianFMSpec,
    BayesianMFSpec,
    BlendSpec,
    GLocalKSpec,
    ImputedSVDSpec,
    PairNetworkSpec,
    ResidualNeighboursSpec,
    RSAttAEXGBoostSpec,
    SingleSpec,
    SurpriseSpec,
)
from tasks.families.ratings.splits import Together


class Comparison(BaseModel):
    """Models, and the splits of a dataset that they are compared on."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    split: str
    """What the splits together are called in tables."""
    splits: list[SplitConfig] = Field(min_length=1)
    together: Together
    """`pooled`: the test parts hold every rating once, and are scored as one. `mean`: each split is a row of its own,
    and so is the mean over them."""
    seeds: list[int] = Field([0], min_length=1)
    later_seeds: list[int] | None = Field(
        None, min_length=1, description="those of all splits but the first; None: the same"
    )
    chosen_on: list[int] = []
    """Splits, counted from 0, on whose validation parts recipes were chosen: in pooled splits these ratings are test
    ratings of others, and all models are scored without them too."""
    models: dict[str, SingleSpec | BlendSpec]
    ablation: dict[str, RSAttAEXGBoostSpec] = {}
    """Steps that are compared on validation alone, on the first split and with the first seed."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_models(self.models)
        if self.together == "pooled" and self.later_seeds is not None:
            raise ValueError("pooled splits have the same seeds")
        if self.together == "mean" and self.chosen_on:
            raise ValueError("only pooled splits test what other splits validate on")
        return self

    def seeds_of(self, number: int) -> list[int]:
        """Seeds of a split, which is counted from 0."""
        return self.seeds if number == 0 or self.later_seeds is None else self.later_seeds

    def split_names(self) -> list[str]:
        """What each split is called where it is a row of its own."""
        return [f"fold{split.fold}" if split.name == "kfold" else split.name for split in self.splits]

    def part(self, splits: int | None, seeds: int | None) -> tuple[Comparison, str]:
        """The first splits and so many seeds of the first of them (of the others no more than they have), without the
        ablation; and what is added to the name of its table: nothing where all is asked for.

        Raises:
            ParamsError: there are fewer splits.
        """
        changes: dict[str, object] = {}
        suffix = ""
        if splits is not None and splits > len(self.splits):
            raise ParamsError(f"--splits is {splits}, but there are {len(self.splits)} of them.")
        if splits is not None and splits < len(self.splits):
            suffix += f"-first-{splits}-splits"
            # What these parts test may be what splits that are left out validate on.
            changes |= {"splits": self.splits[:splits], "chosen_on": []}
        if seeds is not None and seeds != len(self.seeds):
            suffix += f"-{seeds}-seeds"
            later = None if self.later_seeds is None else self.later_seeds[:seeds]
            changes |= {"seeds": list(range(seeds)), "later_seeds": later}
        if changes:
            changes |= {"split": f"{self.split}{suffix}", "ablation": {}}
        return self.model_copy(update=changes), suffix


NINE_PAIRS: dict[str, SingleSpec | BlendSpec] = {
    f"{embedding}+{head}": PairNetworkSpec(embedding=embedding, head=head)
    for embedding in ("simple", "autoencoder", "attentive")
    for head in ("inner", "mlp1", "mlp2")
}

SURPRISE: dict[str, SingleSpec | BlendSpec] = {
    algorithm: SurpriseSpec(algorithm=algorithm) for algorithm in get_args(Algorithm)
}

COMPARISONS = {
    "ml-100k": Comparison(
        dataset="ml-100k",
        split="u1-u5",
        splits=[SplitConfig.model_validate({"name": f"u{number}"}) for number in range(1, 6)],
        together="mean",
        seeds=[0, 1, 2, 3, 4],
        later_seeds=[0],
        models={
            "global-mean": BaselineSpec(kind="global-mean"),
            "user-item-bias": BaselineSpec(kind="user-item-bias"),
            **{name: SURPRISE[name] for name in ("KNNBaseline", "SVD", "SVDpp")},
            "rsattae+xgboost-paper": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="paper"),
            "rsattae+xgboost": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="full"),
            "attentive+inner": NINE_PAIRS["attentive+inner"],
            "attentive+xgboost": PairNetworkSpec(embedding="attentive", head="xgboost"),
            "glocal-k": GLocalKSpec(),
            "bayesian-fm": BayesianFMSpec(recipe="small"),
            "bayesian-fm+time": BayesianFMSpec(recipe="small+time"),
            "stacked+xgboost": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="stacked"),
            "stacked+xgboost+time": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="stacked+time"),
            "blend": BlendSpec(kind="blend", members=["stacked+xgboost", "bayesian-fm", "rsattae+xgboost"]),
        },
        ablation={
            step: RSAttAEXGBoostSpec.model_validate({"kind": "rsattae+xgboost", **spec})
            for step, spec in ABLATION.items()
        },
    ),
    "cil": Comparison(
        dataset="cil",
        split="cv10",
        splits=[SplitConfig(name="kfold", fold=fold, n_folds=10) for fold in range(10)],
        together="pooled",
        chosen_on=[0, 1],
        models={
            "global-mean": BaselineSpec(kind="global-mean"),
            "user-item-bias": BaselineSpec(kind="user-item-bias"),
            **SURPRISE,
            "SVD-imputed": ImputedSVDSpec(),
            "residual-neighbours": ResidualNeighboursSpec(),
            **NINE_PAIRS,
            "bayesian-mf": BayesianMFSpec(),
            "mean-of-pairs": BlendSpec(kind="blend", members=list(NINE_PAIRS), weights="mean"),
            "blend": BlendSpec(kind="blend", members=[*NINE_PAIRS, "residual-neighbours", "bayesian-mf"]),
        },
    ),
}
