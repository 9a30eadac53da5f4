"""The published comparisons of rating models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import pandas as pd
from pydantic import Field, model_validator

from attrec.errors import DataError
from attrec.models.specs import Spec
from attrec.prepare.rating_splits import SplitConfig
from attrec.ratings.rsattae.recipes import ABLATION
from attrec.ratings.specs import RATING_MODELS, RatingSpec, check_models, has_classes
from attrec.ratings.surprise.baselines import Algorithm
from flows.fitting import fit_models
from flows.prepare import prepare_dataset
from flows.prepare_params import PrepareParams
from flows.published.comparison import Comparison, checked_number
from tasks.comparison.family import Fitted
from tasks.data.prepared import PreparedRatings
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import of_model
from tasks.engine.runner import gather
from tasks.engine.training_data import Part
from tasks.families.ratings.classes import calibrate_classes, predict_classes
from tasks.families.ratings.facts import find_common_epochs, measure_size, rating_model_facts
from tasks.families.ratings.family import RATINGS
from tasks.families.ratings.splits import Together, evaluate_splits
from tasks.reports.pages import write_rating_page
from tasks.reports.results import ablation_table


class RatingComparison(Comparison):
    """Rating models, and the splits of a dataset that they are compared on."""

    family: ClassVar = RATINGS

    split: str
    """What the splits together are called in tables."""
    splits: list[SplitConfig] = Field(min_length=1)
    scored: Together
    """`pooled`: the test parts hold every rating once, and are scored as one. `mean`: each split is a row of its own,
    and so is the mean over them."""
    later_seeds: list[int] | None = Field(
        None, min_length=1, description="those of all splits but the first; None: the same"
    )
    chosen_on: list[int] = Field([])
    """Splits, counted from 0, on whose validation parts recipes were chosen: in pooled splits these ratings are test
    ratings of others, and all models are scored without them too."""
    models: dict[str, RatingSpec]
    ablation: dict[str, RatingSpec] = Field({})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_models(self.models)
        if self.scored == "pooled" and self.later_seeds is not None:
            raise ValueError("pooled splits have the same seeds")
        if self.scored == "mean" and self.chosen_on:
            raise ValueError("only pooled splits test what other splits validate on")
        return self

    @property
    def together(self) -> str:
        return self.split

    @property
    def files(self) -> Mapping[str, str]:  # type: ignore[override]
        """Paired tests; by fold where the splits are pooled, or else by seed of the first; and without the ratings that
        recipes were chosen on, where these are among those that are tested."""
        spread = {"by-fold": "by_fold"} if self.scored == "pooled" else {"by-seed": "by_seed"}
        return {"comparisons": "comparisons", **spread, "unchosen": "unchosen"}

    def seeds_of(self, number: int) -> list[int]:
        return self.seeds if number == 0 or self.later_seeds is None else self.later_seeds

    def names(self, splits: Sequence[Any]) -> list[str]:
        return [f"fold{split.fold}" if split.name == "kfold" else split.name for split in self.splits]

    def some_splits(self, number: int) -> dict[str, Any]:
        if not checked_number(number, len(self.splits)):
            return {}
        # What these parts test may be what splits that are left out validate on.
        name = f"{self.split}-first-{number}-splits"
        return {"splits": self.splits[:number], "chosen_on": [], "split": name}

    def fewer_seeds(self, number: int) -> dict[str, Any]:
        later = None if self.later_seeds is None else self.later_seeds[:number]
        return {**super().fewer_seeds(number), "later_seeds": later}

    def prepared(self, dataset: str) -> list[PreparedRatings]:
        """Raises: DataError if nobody rates in the data."""
        return [self._prepare(dataset, split) for split in self.splits]

    def _prepare(self, dataset: str, split: SplitConfig) -> PreparedRatings:
        section = self.prepare.model_copy(update={"split": split})
        data = prepare_dataset(PrepareParams(dataset=dataset, prepare=section)).prepared
        if data.training.facts()["feedback"] == "actions":
            raise DataError(f"Nobody rates in {dataset}: choose a dataset with ratings.")
        return data

    def evaluate(
        self, dataset: str, splits: Sequence[PreparedRatings], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[Part, Artifact]:
        predictions = {name: [own[place].test for own in fitted] for place, name in enumerate(self.models)}
        names = self.names(splits)
        scored = evaluate_splits(list(splits), predictions, names, self.split, self.scored, self.chosen_on)
        return {"test": scored}

    def compare_steps(self, dataset: str, splits: Sequence[PreparedRatings]) -> pd.DataFrame:
        first, seeds = splits[0], self.seeds[:1]
        fitted = fit_models(RATINGS, self.ablation, seeds, first, f"{dataset}, ablation", ("validation",))
        said = {model.name: model.validation for model in fitted}
        return ablation_table(RATINGS.evaluate(first, "validation", said), "rmse")

    def further_tables(
        self, splits: Sequence[PreparedRatings], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[str, pd.DataFrame]:
        classes = self._classes(splits, fitted)
        tables = {"models": self._facts(fitted, classes)}
        if classes is not None:
            tables["calibration"] = pd.read_csv(classes.path / "bins.csv")
        return tables

    def _facts(self, fitted: Sequence[Sequence[Fitted]], classes: Artifact | None) -> pd.DataFrame:
        """Size, training time, common epoch and class calibration of each model."""
        sizes = {
            model.name: of_model(measure_size, model.name).submit(
                model.models[0], self.models[model.name].model
            )
            for model in fitted[0]
            if not model.members
        }
        gather(sizes.values(), "sizes of models")
        counted = {name: size.result() for name, size in sizes.items()}
        return rating_model_facts(fitted, counted, find_common_epochs([list(own) for own in fitted]), classes)

    def _classes(
        self, splits: Sequence[PreparedRatings], fitted: Sequence[Sequence[Fitted]]
    ) -> Artifact | None:
        """Calibration of the models that give each rating a probability, with the first seed; None without one."""
        futures = {
            name: [
                of_model(predict_classes, name).submit(own[place].models[0], spec.model, split.test_pairs)
                for own, split in zip(fitted, splits, strict=True)
            ]
            for place, (name, spec) in enumerate(self.models.items())
            if has_classes(spec)
        }
        gather([future for own in futures.values() for future in own], "class probabilities")
        probabilities = {name: [future.result() for future in own] for name, own in futures.items()}
        return calibrate_classes(list(splits), probabilities) if probabilities else None

    def write_page(
        self,
        file: Path,
        dataset: str,
        splits: Sequence[PreparedRatings],
        fitted: Sequence[Sequence[Fitted]],
        evaluations: Mapping[Part, Artifact],
        tables: Mapping[str, pd.DataFrame],
        runs: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        by_fold = pd.read_csv(evaluations["test"].path / "by_fold.csv")
        write_rating_page(file, self.split, self.names(splits), splits, tables, by_fold, runs, settings)


NINE_PAIRS: dict[str, Spec] = {
    f"{embedding}+{head}": RATING_MODELS.spec("pair-network", embedding=embedding, head=head)
    for embedding in ("simple", "autoencoder", "attentive")
    for head in ("inner", "mlp1", "mlp2")
}

SURPRISE: dict[str, Spec] = {
    algorithm: RATING_MODELS.spec("surprise", algorithm=algorithm) for algorithm in get_args(Algorithm)
}

RATING_TABLES = {
    "ml-100k": RatingComparison(
        about="ratings of ML-100K: u1 with five seeds, u2 … u5, and their mean",
        datasets=["ml-100k"],
        split="u1-u5",
        splits=[SplitConfig.model_validate({"name": f"u{number}"}) for number in range(1, 6)],
        scored="mean",
        seeds=[0, 1, 2, 3, 4],
        later_seeds=[0],
        models={
            "global-mean": RATING_MODELS.spec("global-mean"),
            "user-item-bias": RATING_MODELS.spec("user-item-bias"),
            **{name: SURPRISE[name] for name in ("KNNBaseline", "SVD", "SVDpp")},
            "rsattae+xgboost-paper": RATING_MODELS.spec("rsattae+xgboost", recipe="paper"),
            "rsattae+xgboost": RATING_MODELS.spec("rsattae+xgboost", recipe="full"),
            "attentive+inner": NINE_PAIRS["attentive+inner"],
            "attentive+xgboost": RATING_MODELS.spec("pair-network", embedding="attentive", head="xgboost"),
            "glocal-k": RATING_MODELS.spec("glocal-k"),
            "bayesian-fm": RATING_MODELS.spec("bayesian-fm", recipe="small"),
            "bayesian-fm+time": RATING_MODELS.spec("bayesian-fm", recipe="small+time"),
            "stacked+xgboost": RATING_MODELS.spec("rsattae+xgboost", recipe="stacked"),
            "stacked+xgboost+time": RATING_MODELS.spec("rsattae+xgboost", recipe="stacked+time"),
            "blend": RATING_MODELS.spec(
                "blend", members=["stacked+xgboost", "bayesian-fm", "rsattae+xgboost"]
            ),
        },
        ablation={step: RATING_MODELS.spec("rsattae+xgboost", **spec) for step, spec in ABLATION.items()},
    ),
    "cil": RatingComparison(
        about="ratings of the ETH CIL data, ten folds pooled",
        datasets=["cil"],
        split="cv10",
        splits=[SplitConfig(name="kfold", fold=fold, n_folds=10) for fold in range(10)],
        scored="pooled",
        chosen_on=[0, 1],
        models={
            "global-mean": RATING_MODELS.spec("global-mean"),
            "user-item-bias": RATING_MODELS.spec("user-item-bias"),
            **SURPRISE,
            "SVD-imputed": RATING_MODELS.spec("imputed-svd"),
            "residual-neighbours": RATING_MODELS.spec("residual-neighbours"),
            **NINE_PAIRS,
            "bayesian-mf": RATING_MODELS.spec("bayesian-mf"),
            "mean-of-pairs": RATING_MODELS.spec("blend", members=list(NINE_PAIRS), weights="mean"),
            "blend": RATING_MODELS.spec("blend", members=[*NINE_PAIRS, "residual-neighbours", "bayesian-mf"]),
        },
    ),
}
