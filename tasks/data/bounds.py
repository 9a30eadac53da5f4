"""What counts as plausible, and how much bad data is too much."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ExpectationsConfig(BaseModel):
    """What counts as plausible."""

    model_config = ConfigDict(extra="forbid")

    timestamp_min: int = Field(788_918_400, description="earliest plausible rating, seconds UTC (1995-01-01)")
    timestamp_max: int = Field(2_051_222_400, description="latest plausible rating, seconds UTC (2035-01-01)")
    year_min: int = Field(1874, description="earliest plausible release year")
    year_max: int = Field(2035, description="latest plausible release year")
    age_max: int = Field(120, description="highest plausible age in years")
    min_ratings_per_user: int = Field(2, ge=1, description="users below it are reported as a warning")

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        for low, high in (("timestamp_min", "timestamp_max"), ("year_min", "year_max")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be above {high}, or nothing is plausible")
        return self


class ValidationConfig(ExpectationsConfig):
    """Expectations, and how much bad data is too much."""

    max_bad_fraction: float = Field(
        0.001, ge=0, le=1, description="share of bad rating rows above which the run stops"
    )
