"""Flow `results`: the published table, results/ml-100k.csv; several seeds on MovieLens-100K u1, test read last."""

from __future__ import annotations

import argparse

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict

from attrec.models.recipes import ABLATION
from attrec.prepare.splits import SplitConfig
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard, write_leaderboard
from flows.prepare import PrepareParams, PrepareSection, prepare_dataset
from flows.rating import fit_models, score, select_models
from flows.rating_models import BaselineSpec, BlendSpec, RSAttAEXGBoostSpec, SingleSpec
from flows.stage import run_stage_with
from tasks import environment, tracking
from tasks.artifacts import Artifact, publish
from tasks.evaluate import read_scores
from tasks.prepared import Prepared, load_facts
from tasks.processes import process_tag
from tasks.runner import RunnerConfig, task_runner
from tasks.track_models import track_model

DATASET, SPLIT = "ml-100k", "u1"
MODELS: dict[str, SingleSpec | BlendSpec] = {
    "global-mean": BaselineSpec(kind="global-mean"),
    "user-item-bias": BaselineSpec(kind="user-item-bias"),
    "rsattae+xgboost-paper": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="paper"),
    "rsattae+xgboost": RSAttAEXGBoostSpec(kind="rsattae+xgboost", recipe="full"),
}


class ResultsParams(BaseModel):
    """How many seeds, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    seeds: int = 5
    runner: RunnerConfig = RunnerConfig()


@flow(name="results", flow_run_name="results")
def results(params: ResultsParams) -> None:
    """Measure all models with all seeds, then write results/ml-100k.csv, -by-seed.csv and -ablation.csv."""
    section = PrepareSection(split=SplitConfig(name=SPLIT))
    prepared = prepare_dataset(PrepareParams(dataset=DATASET, prepare=section)).prepared
    facts = load_facts(prepared.fit)
    seeds = list(range(params.seeds))
    run_tags = {"dataset": DATASET, "split": SPLIT, "split.hash": facts["split"]["hash"], "dvc.stage": "none"}
    with tracking.tracked_run(
        f"results {DATASET} {SPLIT}", params.model_dump(mode="json"), run_tags
    ) as parent:
        fitted = fit_models(MODELS, seeds, prepared)
        evaluations = score(prepared, fitted)
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        runs = {
            model.name: track_model(model, parent, prepared.fit, scores, {**run_tags, "model": model.name})[0]
            for model in fitted
        }
        write_table(scores["test"], runs)
        publish(
            evaluations["test"].path / "by_seed.csv", environment.ROOT / "results" / "ml-100k-by-seed.csv"
        )
        write_ablation(prepared, seeds)


def write_table(scores: pd.DataFrame, runs: dict[str, str]) -> None:
    """results/ml-100k.csv, in the columns of the leaderboard."""
    rows = [
        LeaderboardRow(
            task="rating",
            dataset=DATASET,
            split=SPLIT,
            run_id=runs[row["model"]],
            **{str(k): v for k, v in row.items()},
        )
        for row in scores.to_dict("records")
    ]
    write_leaderboard(build_leaderboard(rows), environment.ROOT / "results" / "ml-100k.csv")


def write_ablation(prepared: Prepared, seeds: list[int]) -> None:
    """results/ml-100k-ablation.csv: what each choice gave, on validation alone, with one seed."""
    specs = {step: RSAttAEXGBoostSpec(kind="rsattae+xgboost", **spec) for step, spec in ABLATION.items()}
    table = ablation_table(select_models(specs, seeds[:1], prepared))
    table.to_csv(environment.ROOT / "results" / "ml-100k-ablation.csv", index=False, float_format="%.6f")


def ablation_table(evaluation: Artifact) -> pd.DataFrame:
    """step, metric, value, ci_low, ci_high, n, seeds, behind_best, p (by-user paired test, Holm-adjusted)."""
    scores = read_scores(evaluation)
    steps = scores[scores["metric"] == "rmse"].rename(columns={"model": "step"})
    tests = pd.read_csv(evaluation.path / "comparisons.csv").rename(
        columns={"model": "step", "difference": "behind_best", "p_adjusted": "p"}
    )
    table = steps.merge(tests[["step", "behind_best", "p"]], on="step", how="left")
    return table.assign(metric="validation rmse")


def run(params: ResultsParams) -> None:
    """Run the flow under the tag of this process."""
    with tags(process_tag()):
        results.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, counted from 0")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    run_stage_with(ResultsParams(seeds=parser.parse_args().seeds), run)
