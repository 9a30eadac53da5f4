"""Flow `results`: a published table; every model of a comparison on every split, all test parts read last.

Resumes where it was stopped: each split, seed, model and phase is a cached task.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import DataError
from attrec.prepare.rating_splits import SplitConfig
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from flows.prepare import PrepareParams, PrepareSection, prepare_dataset
from flows.published.ratings import COMPARISONS, Comparison
from flows.rating import fit_models, select_models
from flows.rating_models import BayesianFMSpec, BayesianMFSpec, BlendSpec, PairNetworkSpec, SingleSpec
from flows.stage import run_stage_with
from tasks import tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, gather, task_runner
from tasks.families.ratings.classes import calibrate_classes, predict_classes
from tasks.families.ratings.data import Prepared, load_facts
from tasks.families.ratings.splits import evaluate_splits
from tasks.model_facts import find_common_epochs, measure_size, model_facts
from tasks.published import table_file
from tasks.results import ablation_table, as_records, write_tables
from tasks.results_pages import write_comparison_page
from tasks.scores import read_scores
from tasks.track_models import FittedModel


class ResultsParams(BaseModel):
    """Which table, how much of it, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    table: str
    splits: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")
    seeds: int | None = Field(None, ge=1, description="counted from 0; None: as many as the table has")
    runner: RunnerConfig = RunnerConfig(kind="dask")
    """Processes: the libraries' fits hold the interpreter's lock, so that threads would wait for each other."""


@flow(name="results", flow_run_name="results {params.table}")
def results(params: ResultsParams) -> None:
    """Fit all models on all splits, then score them and write results/<table>/*.csv."""
    comparison, suffix = COMPARISONS[params.table].part(params.splits, params.seeds)
    measure(comparison, PrepareSection(), f"{params.table}{suffix}", params.model_dump(mode="json"))


def measure(comparison: Comparison, section: PrepareSection, table: str, asked: Mapping[str, Any]) -> None:
    """Fit all models of a comparison on all its splits, then score them and write results/<table>/*.csv and the page
    reports/<table>/index.html.

    Args:
        section: How the data are prepared; the comparison has the splits.
        asked: Parameters of the flow, for the record.
    """
    run_tags = {"dataset": comparison.dataset, "split": comparison.split, "dvc.stage": "none"}
    with tracking.tracked_run(f"results {table}", asked, run_tags) as parent:
        splits: list[Prepared] = []
        fitted: list[list[FittedModel]] = []
        for number, split in enumerate(comparison.splits):
            prepared = prepare_split(comparison.dataset, section, split)
            label = f"split {number + 1} of {len(comparison.splits)}"
            seeds = comparison.seeds_of(number)
            fitted.append(fit_models(comparison.models, seeds, prepared, label, compare_on_validation=False))
            splits.append(prepared)
        tables: dict[str, pd.DataFrame] = {}
        if comparison.ablation:
            chosen = select_models(comparison.ablation, comparison.seeds[:1], splits[0])
            tables["ablation"] = ablation_table(chosen, "rmse")
        evaluation = evaluate_splits(
            splits,
            {name: [own[place].test for own in fitted] for place, name in enumerate(comparison.models)},
            comparison.split_names(),
            comparison.split,
            comparison.together,
            comparison.chosen_on,
        )
        runs = {model.name: track(model, parent, evaluation, run_tags) for model in fitted[0]}
        tables |= score_tables(comparison, evaluation, runs)
        classes = measure_classes(comparison, splits, fitted)
        tables["models"] = measure_models(comparison, fitted, classes)
        if classes is not None:
            tables["calibration"] = pd.read_csv(classes.path / "bins.csv")
        hashes = [load_facts(split.fit)["split"]["hash"] for split in splits]
        named = dict(zip(comparison.split_names(), hashes, strict=True))
        write_tables(table, tables, named, comparison.model_dump(mode="json"), parent)
        page = write_comparison_page(
            table,
            comparison.split,
            comparison.split_names(),
            splits,
            tables,
            pd.read_csv(evaluation.path / "by_fold.csv"),
            {**runs, "results": parent},
            {**asked, **comparison.model_dump(mode="json", exclude={"ablation"})},
        )
        tracking.log_files(parent, page, "report")
        print(f"Tables: {table_file(table).parent}\nPage:   {page}")


def prepare_split(dataset: str, section: PrepareSection, split: SplitConfig) -> Prepared:
    """The data, prepared as `section` says, but split so.

    Raises:
        DataError: nobody rates in them.
    """
    params = PrepareParams(dataset=dataset, prepare=section.model_copy(update={"split": split}))
    prepared = prepare_dataset(params).prepared
    if load_facts(prepared.fit)["feedback"] == "actions":
        raise DataError(f"Nobody rates in {dataset}: choose a dataset with ratings.")
    return prepared


def track(model: FittedModel, parent: str, evaluation: Artifact, run_tags: Mapping[str, str]) -> str:
    """A child run with the configuration and the figures; the models of the splits are not kept there."""
    scores = read_scores(evaluation)
    own = scores[scores["model"] == model.name]
    settings: dict[str, Any] = {"seeds": model.seeds, **model.config}
    with tracking.tracked_run(model.name, settings, run_tags, parent) as run_id:
        # The splits together, or the only one, come last.
        together = own[own["split"] == own["split"].iloc[-1]]
        figures = {f"{row['split']}/{row['metric']}": row["value"] for row in as_records(own)}
        figures |= {f"test/{row['metric']}": row["value"] for row in as_records(together)}
        tracking.log_metrics(run_id, figures)
    return run_id


def score_tables(
    comparison: Comparison, evaluation: Artifact, runs: Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """By the names of their files: scores in the columns of the leaderboard, comparisons, by-fold where the splits are
    pooled or else by-seed of the first, and unchosen where ratings that recipes were chosen on are among those that are
    tested."""
    rows = [
        LeaderboardRow(task="rating", dataset=comparison.dataset, run_id=runs[str(row["model"])], **row)
        for row in as_records(read_scores(evaluation))
    ]
    files = {"comparisons": "comparisons"}
    files |= {"by-fold": "by_fold"} if comparison.together == "pooled" else {"by-seed": "by_seed"}
    files |= {"unchosen": "unchosen"} if comparison.chosen_on else {}
    return {"scores": build_leaderboard(rows)} | {
        kind: pd.read_csv(evaluation.path / f"{file}.csv") for kind, file in files.items()
    }


def measure_models(
    comparison: Comparison, fitted: Sequence[Sequence[FittedModel]], classes: Artifact | None
) -> pd.DataFrame:
    """Size, training time, common epoch and class calibration of each model (see `model_facts`)."""
    sizes = {model.name: measure_size.submit(model.models[0]) for model in fitted[0] if not model.members}
    selected = {
        name: [artifact for own in fitted for artifact in own[place].selected]
        for place, (name, spec) in enumerate(comparison.models.items())
        if isinstance(spec, PairNetworkSpec)
    }
    gather(sizes.values(), "sizes of models")
    counted = {name: size.result() for name, size in sizes.items()}
    return model_facts(fitted, counted, find_common_epochs(selected), classes)


def measure_classes(
    comparison: Comparison, splits: Sequence[Prepared], fitted: Sequence[Sequence[FittedModel]]
) -> Artifact | None:
    """Calibration of the models that give class probabilities, with the first seed; None if there is none."""
    futures = {
        name: [
            predict_classes.submit(own[place].models[0], split.test_pairs)
            for own, split in zip(fitted, splits, strict=True)
        ]
        for place, (name, spec) in enumerate(comparison.models.items())
        if has_classes(spec)
    }
    gather([future for own in futures.values() for future in own], "class probabilities")
    probabilities = {name: [future.result() for future in own] for name, own in futures.items()}
    return calibrate_classes(list(splits), probabilities) if probabilities else None


def has_classes(spec: SingleSpec | BlendSpec) -> bool:
    """Whether a model gives each rating a probability."""
    if isinstance(spec, PairNetworkSpec):
        return spec.head == "mlp2"
    return isinstance(spec, BayesianFMSpec | BayesianMFSpec) and spec.config().ordered


def run(params: ResultsParams) -> None:
    """Run the flow under the tag of this process."""
    with tags(process_tag()):
        results.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=list(COMPARISONS), help="what to measure")
    parser.add_argument("--splits", type=int, default=None, help="the first splits alone")
    parser.add_argument("--seeds", type=int, default=None, help="how many seeds, counted from 0")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    given = parser.parse_args()
    run_stage_with(ResultsParams(table=given.table, splits=given.splits, seeds=given.seeds), run)
