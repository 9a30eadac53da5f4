"""What the flow `sequence` reads from params.yaml."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.prepare.sequence_splits import PRESETS, SequenceConfig, SequenceSplitConfig
from attrec.sequences.specs import SequenceSpec, check_sequence_names
from flows.comparison_params import ComparisonParams


class SequenceSection(BaseModel):
    """Section `sequence` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    actions: SequenceConfig = Field(
        SequenceConfig(), description=f"which actions count; or the name of a preset: {', '.join(PRESETS)}"
    )
    split: SequenceSplitConfig = SequenceSplitConfig()
    exclude_seen: bool = Field(True, description="leave what a user has done already out of the ranking")
    models: dict[ModelName, SequenceSpec] = Field(
        min_length=1, description="key: what it is, and its name in every table where that is another"
    )

    @field_validator("actions", mode="before")
    @classmethod
    def _preset(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value not in PRESETS:
            raise ValueError(f"there is no preset {value}, only {', '.join(PRESETS)}")
        return PRESETS[value]

    @model_validator(mode="after")
    def _names_say_what_they_are(self) -> Self:
        check_sequence_names(self.all_models())
        return self

    def all_models(self) -> dict[str, Spec]:
        """By what tables call them."""
        return by_name(self.models)


class SequenceParams(ComparisonParams):
    """What the flow reads from params.yaml."""

    sequence: SequenceSection
