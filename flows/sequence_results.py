"""Flow `sequence-results`: a published table of sequence models, several seeds, test targets ranked last.

Resumes where it was stopped: each model, seed and ranking is a cached task.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field

from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from flows.prepare import PrepareParams, prepare_dataset
from flows.sequence import fit_sequence_models
from flows.sequence_comparisons import SEQUENCE_COMPARISONS, SequenceComparison
from flows.stage import run_stage_with
from tasks import environment, tracking
from tasks.artifacts import Artifact
from tasks.evaluate import read_scores
from tasks.evaluate_sequences import RANKING_METRIC, best_sequence_model, evaluate_sequences
from tasks.processes import process_tag
from tasks.result_tables import ablation_table, as_records, write_tables
from tasks.results_pages import write_sequence_page
from tasks.runner import RunnerConfig, task_runner
from tasks.sequence_facts import sequence_model_facts
from tasks.sequence_outputs import write_sequence_outputs
from tasks.sequences import PreparedSequences, load_sequence_facts, make_sequences
from tasks.title_example import title_example
from tasks.track_sequence_models import FittedSequenceModel


class SequenceResultsParams(BaseModel):
    """Which table, how much of it, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    table: str
    seeds: int | None = Field(None, ge=1, description="counted from 0; None: as many as the table has")
    runner: RunnerConfig = RunnerConfig(kind="dask")


@flow(name="sequence-results", flow_run_name="results {params.table}")
def sequence_results(params: SequenceResultsParams) -> None:
    """Fit all models with all seeds, then rank, and write results/<table>*.csv and the page
    reports/<table>/index.html."""
    comparison = SEQUENCE_COMPARISONS[params.table]
    seeds = comparison.seeds if params.seeds is None else list(range(params.seeds))
    part = "" if seeds == comparison.seeds else f"-{len(seeds)}-seeds"
    table = f"{params.table}{part}"
    sequences = prepare_sequences(comparison)
    facts = load_sequence_facts(sequences)
    run_tags = {"dataset": comparison.dataset, "split": facts["split"]["name"], "dvc.stage": "none"}
    with tracking.tracked_run(f"results {table}", params.model_dump(mode="json"), run_tags) as parent:
        tables: dict[str, pd.DataFrame] = {}
        fitted = fit_sequence_models(comparison.models, seeds, sequences, exclude_seen=True)
        if comparison.ablation and not part:
            tables["-ablation"] = compare_steps(comparison, sequences)
        evaluations = {
            part: evaluate_sequences(sequences, part, {model.name: getattr(model, part) for model in fitted})
            for part in ("validation", "test")
        }
        runs = {model.name: track(model, parent, evaluations, run_tags) for model in fitted}
        tables |= score_tables(comparison, evaluations["test"], facts, runs)
        tables["-models"] = sequence_model_facts(fitted)
        if comparison.example:
            tables["-example"] = title_example(fitted, comparison.example, sequences.fit)
        splits = {facts["split"]["name"]: facts["split"]["hash"]}
        write_tables(table, tables, splits, comparison.model_dump(mode="json"), parent)
        best = best_sequence_model(read_scores(evaluations["validation"]))
        outputs = write_sequence_outputs(facts, fitted, evaluations, best, sequences.fit)
        tracking.log_files(parent, outputs.path, "sequence")
        settings = {
            **params.model_dump(mode="json"),
            **comparison.model_dump(mode="json", exclude={"ablation"}),
        }
        all_runs = {**runs, "results": parent}
        page = write_sequence_page(table, facts, sequences.fit, outputs, tables, all_runs, settings)
        tracking.log_files(parent, page, "report")
        print(f"Tables: {environment.ROOT / 'results'}/{table}*.csv\nPage:   {page}")


def prepare_sequences(comparison: SequenceComparison) -> PreparedSequences:
    """The data, split so."""
    prepared = prepare_dataset(PrepareParams(dataset=comparison.dataset))
    return make_sequences(comparison.dataset, prepared.cleaned, comparison.actions, comparison.split)


def compare_steps(comparison: SequenceComparison, sequences: PreparedSequences) -> pd.DataFrame:
    """The ablation on validation, with the first seed (see `ablation_table`)."""
    fitted = fit_sequence_models(
        comparison.ablation, comparison.seeds[:1], sequences, True, "ablation", parts=("validation",)
    )
    ranks = {model.name: model.validation for model in fitted}
    return ablation_table(evaluate_sequences(sequences, "validation", ranks), RANKING_METRIC)


def track(
    model: FittedSequenceModel,
    parent: str,
    evaluations: dict[str, Artifact],
    run_tags: dict[str, str],
) -> str:
    """A child run with the configuration and the figures; the models themselves are not kept there."""
    settings: dict[str, Any] = {"seeds": model.seeds, **model.config}
    with tracking.tracked_run(model.name, settings, run_tags, parent) as run_id:
        for part, evaluation in evaluations.items():
            scores = read_scores(evaluation)
            own = as_records(scores[scores["model"] == model.name])
            tracking.log_metrics(run_id, {f"{part}/{row['metric']}": row["value"] for row in own})
    return run_id


def score_tables(
    comparison: SequenceComparison, evaluation: Artifact, facts: dict[str, Any], runs: dict[str, str]
) -> dict[str, pd.DataFrame]:
    """By what they add to the name of the table: the figures in the columns of the leaderboard (nothing),
    -comparisons, -beyond and -by-seed."""
    rows = [
        LeaderboardRow(
            task="sequence",
            dataset=comparison.dataset,
            split=facts["split"]["name"],
            run_id=runs[str(row["model"])],
            **row,
        )
        for row in as_records(read_scores(evaluation))
    ]
    files = {"-comparisons": "comparisons", "-beyond": "beyond", "-by-seed": "by_seed"}
    return {"": build_leaderboard(rows)} | {
        kind: pd.read_csv(evaluation.path / f"{file}.csv") for kind, file in files.items()
    }


def run(params: SequenceResultsParams) -> None:
    """Run the flow under the tag of this process."""
    with tags(process_tag()):
        sequence_results.with_options(task_runner=task_runner(params.runner))(params)


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=list(SEQUENCE_COMPARISONS), help="what to measure")
    parser.add_argument("--seeds", type=int, default=None, help="how many seeds, counted from 0")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    given = parser.parse_args(words)
    run_stage_with(SequenceResultsParams(table=given.table, seeds=given.seeds), run)


if __name__ == "__main__":
    main()
