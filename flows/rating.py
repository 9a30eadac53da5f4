"""Flow `rating`: fit every rating model, score it once on test, track it, let the best challenge the champion."""

from __future__ import annotations

from typing import Self

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.ratings.specs import Matrix, RatingSpec, check_models, check_ratings
from flows.comparison import compare, leave_nothing
from flows.stage import ComparisonParams, run_in_tasks, run_stage
from tasks.data.prepared import adopt_ratings
from tasks.engine import environment
from tasks.engine.logs import tell
from tasks.families.ratings.family import RATINGS


class RatingSection(BaseModel):
    """Section `rating` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    matrix: Matrix = Matrix()
    models: dict[ModelName, RatingSpec] = Field(
        {}, description="key: what it is, and its name in every table where that is another"
    )

    @model_validator(mode="after")
    def _models_fit_together(self) -> Self:
        if not self.all_models():
            raise ValueError("there is no model: name one in rating.models, or a pair in rating.matrix")
        twice = self.matrix.models().keys() & by_name(self.models).keys()
        if twice:
            raise ValueError(f"{min(twice)} is both in rating.matrix and in rating.models")
        check_models(self.all_models())
        return self

    def all_models(self) -> dict[str, Spec]:
        """Those of the matrix and those that are named, by what tables call them."""
        return {**self.matrix.models(), **by_name(self.models)}


class RatingParams(ComparisonParams):
    """What the flow reads from params.yaml."""

    rating: RatingSection


@flow(name="rating", flow_run_name="rating {params.dataset}")
def rating(params: RatingParams) -> None:
    """Compare the rating models of params.yaml on the prepared data."""
    data = adopt_ratings(environment.ROOT / "data" / "processed")
    facts = RATINGS.facts(data)
    if facts["feedback"] == "actions":
        tell(
            f"Nobody rates in {facts['dataset']}: no rating model is fitted; "
            "the stages sequence and playlist have its models."
        )
        leave_nothing(RATINGS, RATINGS.described(facts), "Nobody rates in these data.")
        return
    models = params.rating.all_models()
    check_ratings(models, data.training.rating_values())
    compare(RATINGS, models, params.rating.seeds, data, params)


def run(params: RatingParams) -> None:
    """Run the flow."""
    run_in_tasks(rating, params)


if __name__ == "__main__":
    run_stage(RatingParams, run)
