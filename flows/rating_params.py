"""What the flow `rating` reads from params.yaml."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.ratings.specs import Matrix, RatingSpec, check_models
from flows.comparison_params import ComparisonParams


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
