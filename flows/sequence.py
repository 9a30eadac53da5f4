"""Flow `sequence`: fit every sequence model, rank the catalogue once on test, track, challenge the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from attrec.parameters import ModelName, Seeds
from attrec.prepare.sequence_splits import PRESETS, SequenceConfig, SequenceSplitConfig
from flows.fitting import fit_and_rank
from flows.sequence_models import SequenceModelSpec
from flows.stage import run_stage
from tasks import tracking
from tasks.engine import environment
from tasks.engine.artifacts import publish
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, task_runner
from tasks.families.ratings.data import Part, adopt
from tasks.families.sequences.data import PreparedSequences, load_sequence_facts, make_sequences
from tasks.families.sequences.figures import best_sequence_model, evaluate_sequences
from tasks.families.sequences.ranks import rank
from tasks.families.sequences.shown import write_sequence_outputs
from tasks.scores import read_scores
from tasks.track_sequence_models import (
    FittedSequenceModel,
    challenge_sequence_champion,
    track_sequence_model,
)

REGISTERED = "attrec-sequence"


class SequenceSection(BaseModel):
    """Section `sequence` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    actions: SequenceConfig = Field(
        SequenceConfig(), description=f"which actions count; or the name of a preset: {', '.join(PRESETS)}"
    )
    split: SequenceSplitConfig = SequenceSplitConfig()
    exclude_seen: bool = Field(True, description="leave what a user has done already out of the ranking")
    models: dict[ModelName, SequenceModelSpec] = Field(
        min_length=1, description="name in every table: what it is"
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
        for name, spec in self.models.items():
            if not name.startswith(spec.kind):
                raise ValueError(f"the name {name} must begin with what the model is: {spec.kind}")
        return self


class SequenceParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    seed: int = Field(0, ge=0)
    runner: RunnerConfig = RunnerConfig()
    sequence: SequenceSection


def fit_sequence_models(
    models: Mapping[str, SequenceModelSpec],
    seeds: Sequence[int],
    sequences: PreparedSequences,
    exclude_seen: bool,
    label: str = "fit and rank",
    parts: Sequence[Part] = ("validation", "test"),
) -> list[FittedSequenceModel]:
    """Fit and rank all models, as cached tasks side by side; for any flow that compares sequence models."""
    return fit_and_rank(
        FittedSequenceModel,
        models,
        seeds,
        lambda spec, name, seed: spec.submit(name, seed, sequences.fit, exclude_seen),
        lambda fitted, part: rank.submit(fitted, sequences, part, exclude_seen),
        label,
        parts,
    )


@flow(name="sequence", flow_run_name="sequence")
def sequence(params: SequenceParams) -> None:
    """Compare the sequence models of params.yaml on the clean data."""
    section = params.sequence
    cleaned = adopt(environment.ROOT / "data" / "interim", "clean")
    sequences = make_sequences(params.dataset, cleaned, section.actions, section.split)
    facts = load_sequence_facts(sequences)
    seeds = [params.seed + seed for seed in section.seeds]
    outs = tracking.stage_outs("prepare")
    run_tags = {
        "dvc.stage": "sequence",
        "dataset": params.dataset,
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
        **{f"dvc.{path}": md5 for path, md5 in outs.items()},
    }
    with tracking.tracked_run(
        f"sequence {params.dataset}", params.model_dump(mode="json"), run_tags
    ) as parent:
        tracking.log_dataset(
            parent, params.dataset, outs.get("data/interim", cleaned.sha256), "data/interim",
            facts["split"]["actions"], "training",
        )  # fmt: skip
        fitted = fit_sequence_models(section.models, seeds, sequences, section.exclude_seen)
        evaluations = {
            part: evaluate_sequences(sequences, part, {model.name: getattr(model, part) for model in fitted})
            for part in ("validation", "test")
        }
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        runs = {
            model.name: track_sequence_model(
                model, parent, sequences.fit, scores, {**run_tags, "model": model.name}
            )
            for model in fitted
        }
        best = next(model for model in fitted if model.name == best_sequence_model(scores["validation"]))
        decision = challenge_sequence_champion(
            REGISTERED, best, *runs[best.name], facts, section.exclude_seen, params.seed
        )
        tracking.set_tags(parent, {"champion": decision})
        print(decision)
        output = write_sequence_outputs(facts, fitted, evaluations, best.name, sequences.fit)
        publish(output.path, environment.ROOT / "reports" / "sequence")
        publish(best.models[0].path, environment.ROOT / "models" / "sequence")
        tracking.log_files(parent, output.path, "sequence")
        run_ids = {name: run_id for name, (run_id, _) in runs.items()}
        tracking.write_runs("sequence", run_ids | {"sequence": parent}, decision)


def run(params: SequenceParams) -> None:
    """Run the flow with the task runner of the params, under the tag of this process."""
    with tags(process_tag()):
        sequence.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    run_stage(SequenceParams, run)
