"""Flow `sequence`: fit every sequence model, rank the catalogue once on test, track, challenge the champion."""

from __future__ import annotations

from typing import Self

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from attrec.models.specs import Spec, by_name
from attrec.parameters import ModelName, Seeds
from attrec.prepare.sequence_splits import PRESETS, SequenceConfig, SequenceSplitConfig
from attrec.sequences.specs import SequenceSpec, check_sequence_names
from flows.comparison import compare
from flows.stage import ComparisonParams, run_in_tasks, run_stage
from tasks.engine import environment
from tasks.engine.artifacts import adopt
from tasks.families.sequences.data import make_sequences
from tasks.families.sequences.family import SEQUENCES


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


@flow(name="sequence", flow_run_name="sequence {params.dataset}")
def sequence(params: SequenceParams) -> None:
    """Compare the sequence models of params.yaml on the clean data."""
    section = params.sequence
    cleaned = adopt(environment.ROOT / "data" / "interim", "clean")
    made = make_sequences(params.dataset, cleaned, section.actions, section.split)
    data = made.excluding_seen(section.exclude_seen)
    compare(SEQUENCES, section.all_models(), section.seeds, data, params)


def run(params: SequenceParams) -> None:
    """Run the flow."""
    run_in_tasks(sequence, params)


if __name__ == "__main__":
    run_stage(SequenceParams, run)
