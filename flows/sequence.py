"""Flow `sequence`: fit every sequence model, rank the catalogue once on test, track, challenge the champion."""

from __future__ import annotations

from prefect import flow

from flows.comparison import compare
from flows.sequence_params import SequenceParams
from flows.stage import run_in_tasks, run_stage
from tasks.engine import environment
from tasks.engine.artifacts import adopt
from tasks.families.sequences.data import make_sequences
from tasks.families.sequences.family import SEQUENCES


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
