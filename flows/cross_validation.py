"""Flow `cross-validation`: every model on every fold, each rating tested once; writes results/<table>.csv.

Resumes where it was stopped: each fold, model and phase is a cached task.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field

from attrec.prepare.splits import SplitConfig
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard, write_leaderboard
from flows.comparisons import COMPARISONS
from flows.prepare import PrepareParams, PrepareSection, prepare_dataset
from flows.rating import fit_models
from flows.stage import run_stage_with
from tasks import environment, tracking
from tasks.artifacts import Artifact, publish
from tasks.evaluate import read_scores
from tasks.evaluate_folds import evaluate_folds
from tasks.prepared import Prepared
from tasks.processes import process_tag
from tasks.runner import RunnerConfig, task_runner
from tasks.track_models import FittedModel


class CrossValidationParams(BaseModel):
    """Which comparison, how many of its folds, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    comparison: str
    folds: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")
    runner: RunnerConfig = RunnerConfig(kind="dask")
    """Processes: the libraries' fits hold the interpreter's lock, so that threads would wait for each other."""


@flow(name="cross-validation", flow_run_name="cross-validation {params.comparison}")
def cross_validation(params: CrossValidationParams) -> None:
    """Fit all models of a comparison on all folds and score them over all."""
    comparison = COMPARISONS[params.comparison]
    splits = comparison.splits[: params.folds]
    run_tags = {"dataset": comparison.dataset, "split": comparison.split, "dvc.stage": "none"}
    with tracking.tracked_run(
        f"results {params.comparison}", params.model_dump(mode="json"), run_tags
    ) as parent:
        folds: list[Prepared] = []
        predictions: dict[str, list[list[Artifact]]] = {name: [] for name in comparison.models}
        for number, split in enumerate(splits):
            prepared = prepare_fold(comparison.dataset, split)
            label = f"fold {number + 1} of {len(splits)}"
            fitted = fit_models(
                comparison.models, comparison.seeds, prepared, label, compare_on_validation=False
            )
            folds.append(prepared)
            for model in fitted:
                predictions[model.name].append(model.test)
        evaluation = evaluate_folds(folds, predictions)
        runs = {model.name: track(model, parent, evaluation, run_tags) for model in fitted}
        whole = len(splits) == len(comparison.splits)
        suffix = "" if whole else f"-first-{len(splits)}-folds"
        write_table(
            comparison.dataset,
            f"{comparison.split}{suffix}",
            f"{params.comparison}{suffix}",
            evaluation,
            runs,
        )


def prepare_fold(dataset: str, split: SplitConfig) -> Prepared:
    """The data with one fold as test part."""
    params = PrepareParams(dataset=dataset, prepare=PrepareSection(split=split))
    return prepare_dataset(params).prepared


def track(model: FittedModel, parent: str, evaluation: Artifact, run_tags: Mapping[str, str]) -> str:
    """A child run with the configuration and the figures; the models of the folds are not kept there."""
    scores = read_scores(evaluation)
    own = scores[scores["model"] == model.name]
    settings: dict[str, Any] = {"seeds": model.seeds, **model.config}
    with tracking.tracked_run(model.name, settings, run_tags, parent) as run_id:
        figures = {f"test/{row['metric']}": float(row["value"]) for row in own.to_dict("records")}
        tracking.log_metrics(run_id, figures)
    return run_id


def write_table(dataset: str, split: str, table: str, evaluation: Artifact, runs: Mapping[str, str]) -> None:
    """results/<table>.csv in the columns of the leaderboard, with -by-fold.csv and -comparisons.csv beside it."""
    rows = [
        LeaderboardRow(task="rating", dataset=dataset, split=split, run_id=runs[str(row["model"])], **row)
        for row in as_records(read_scores(evaluation))
    ]
    results = environment.ROOT / "results"
    write_leaderboard(build_leaderboard(rows), results / f"{table}.csv")
    publish(evaluation.path / "by_fold.csv", results / f"{table}-by-fold.csv")
    publish(evaluation.path / "comparisons.csv", results / f"{table}-comparisons.csv")


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with textual keys."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def run(params: CrossValidationParams) -> None:
    """Run the flow under the tag of this process."""
    with tags(process_tag()):
        cross_validation.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparison", choices=list(COMPARISONS), help="what to compare")
    parser.add_argument("--folds", type=int, choices=range(1, 11), default=None, help="the first folds alone")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    arguments = parser.parse_args()
    run_stage_with(CrossValidationParams(comparison=arguments.comparison, folds=arguments.folds), run)
