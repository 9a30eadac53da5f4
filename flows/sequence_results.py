"""Flow `sequence-results`: a published table of sequence models, several seeds, all fitted before the test is ranked.

Resumes where it was stopped: each model, seed and ranking is a cached task.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import ParamsError
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from flows.prepare import PrepareParams, prepare_dataset
from flows.published.sequences import SEQUENCE_COMPARISONS, SequenceComparison
from flows.sequence import fit_sequence_models
from flows.sequence_models import SequenceModelSpec
from flows.stage import run_stage_with
from tasks import tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, task_runner
from tasks.families.sequences.data import PreparedSequences, load_sequence_facts, make_sequences
from tasks.families.sequences.figures import RANKING_METRIC, best_sequence_model, evaluate_sequences
from tasks.families.sequences.shown import write_sequence_outputs
from tasks.families.sequences.title_example import title_example
from tasks.published import table_file
from tasks.results import ablation_table, as_records, write_tables
from tasks.results_pages import write_sequence_page
from tasks.scores import read_scores
from tasks.sequence_facts import sequence_model_facts
from tasks.track_sequence_models import FittedSequenceModel


class SequenceResultsParams(BaseModel):
    """Which table, how much of it, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    table: str
    seeds: int | None = Field(None, ge=1, description="counted from 0; None: as many as the table has")
    only: Literal["models", "ablation"] | None = Field(
        None, description="None: the models, then the ablation"
    )
    runner: RunnerConfig = RunnerConfig(kind="dask")


@flow(name="sequence-results", flow_run_name="results {params.table}")
def sequence_results(params: SequenceResultsParams) -> None:
    """Fit all models with all seeds, rank, and write results/<table>/*.csv and the page reports/<table>/index.html; of
    a whole table also what each choice contributed.

    Raises:
        ParamsError: the ablation alone is asked for where there is none.
    """
    comparison = SEQUENCE_COMPARISONS[params.table]
    seeds = comparison.seeds if params.seeds is None else list(range(params.seeds))
    whole = seeds == comparison.seeds
    table = params.table if whole else f"{params.table}-{len(seeds)}-seeds"
    if params.only == "ablation" and not (comparison.ablation and whole):
        reason = "has no ablation" if whole else "has its ablation with the first seed: leave out the seeds"
        raise ParamsError(f"{params.table} {reason}.")
    sequences = prepare_sequences(comparison)
    fitted: list[FittedSequenceModel] = []
    if params.only != "ablation":
        fitted = fit_sequence_models(comparison.models, seeds, sequences, exclude_seen=True)
    if params.only != "models" and whole and comparison.ablation:
        measure_steps(table, params, comparison, sequences)
    if fitted:
        measure_models(table, params, comparison, sequences, fitted)


def prepare_sequences(comparison: SequenceComparison) -> PreparedSequences:
    """The data, split so."""
    prepared = prepare_dataset(PrepareParams(dataset=comparison.dataset))
    return make_sequences(comparison.dataset, prepared.cleaned, comparison.actions, comparison.split)


def measure_steps(
    table: str,
    params: SequenceResultsParams,
    comparison: SequenceComparison,
    sequences: PreparedSequences,
) -> None:
    """The ablation on validation, with the first seed, steps of each kind of model against the first of them:
    results/<table>/ablation.csv (see `ablation_table`)."""
    run_tags = run_tags_of(comparison, sequences)
    with tracking.tracked_run(
        f"results {table}-ablation", params.model_dump(mode="json"), run_tags
    ) as parent:
        fitted = fit_sequence_models(
            comparison.ablation, comparison.seeds[:1], sequences, True, "ablation", parts=("validation",)
        )
        ranks = {model.name: model.validation for model in fitted}
        tables = []
        for kind in dict.fromkeys(spec.kind for spec in comparison.ablation.values()):
            of_kind = {name: ranks[name] for name, spec in comparison.ablation.items() if spec.kind == kind}
            evaluation = evaluate_sequences(sequences, "validation", of_kind, next(iter(of_kind)))
            tables.append(ablation_table(evaluation, RANKING_METRIC))
        steps = pd.concat(tables)
        write_tables(
            table,
            {"ablation": steps},
            split_hashes(sequences),
            described(comparison, "ablation"),
            parent,
            "ablation-provenance",
        )


def measure_models(
    table: str,
    params: SequenceResultsParams,
    comparison: SequenceComparison,
    sequences: PreparedSequences,
    fitted: Sequence[FittedSequenceModel],
) -> None:
    """Scores of the fitted models, the test's last: all other tables, and the page, which shows the ablation too
    where it was measured."""
    facts, run_tags = load_sequence_facts(sequences), run_tags_of(comparison, sequences)
    about = described(comparison, "models")
    with tracking.tracked_run(f"results {table}", params.model_dump(mode="json"), run_tags) as parent:
        evaluations = {
            part: evaluate_sequences(sequences, part, {model.name: getattr(model, part) for model in fitted})
            for part in ("validation", "test")
        }
        runs = {model.name: track(model, parent, evaluations, run_tags) for model in fitted}
        tables = score_tables(comparison, evaluations["test"], facts, runs)
        tables["models"] = sequence_model_facts(fitted)
        if comparison.example:
            tables["example"] = title_example(fitted, comparison.example, sequences.fit)
        write_tables(table, tables, split_hashes(sequences), about, parent)
        best = best_sequence_model(read_scores(evaluations["validation"]))
        outputs = write_sequence_outputs(facts, fitted, evaluations, best, sequences.fit)
        tracking.log_files(parent, outputs.path, "sequence")
        settings = {**params.model_dump(mode="json"), **about}
        steps = published_steps(table, comparison, sequences)
        if steps is not None:
            tables["ablation"], settings["code of the ablation"] = steps
        all_runs = {**runs, "results": parent}
        page = write_sequence_page(table, facts, outputs, tables, all_runs, settings)
        tracking.log_files(parent, page, "report")
        print(f"Tables: {table_file(table).parent}\nPage:   {page}")


def published_steps(
    table: str, comparison: SequenceComparison, sequences: PreparedSequences
) -> tuple[pd.DataFrame, str] | None:
    """The ablation that was measured of these steps on this split, and by which commit; None where there is none."""
    file = table_file(table, "ablation.csv")
    if not file.is_file():
        return None
    origin = json.loads(file.with_name("ablation-provenance.json").read_text(encoding="utf-8"))
    if (origin["splits"], origin["comparison"]) != (
        split_hashes(sequences),
        described(comparison, "ablation"),
    ):
        return None
    return pd.read_csv(file), origin["git.commit"]


def described(comparison: SequenceComparison, part: Literal["models", "ablation"]) -> dict[str, Any]:
    """The data and the models or steps, each with every field of its configuration: a recipe may change."""
    specs: dict[str, SequenceModelSpec] = getattr(comparison, part)
    about = comparison.model_dump(mode="json", exclude={"models", "ablation"})
    return {**about, part: {name: spec.resolved() for name, spec in specs.items()}}


def run_tags_of(comparison: SequenceComparison, sequences: PreparedSequences) -> dict[str, str]:
    """What a tracked run is found by."""
    split = load_sequence_facts(sequences)["split"]["name"]
    return {"dataset": comparison.dataset, "split": split, "dvc.stage": "none"}


def split_hashes(sequences: PreparedSequences) -> dict[str, str]:
    """The hash of the split, by its name."""
    split = load_sequence_facts(sequences)["split"]
    return {split["name"]: split["hash"]}


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
    """By the names of their files: scores in the columns of the leaderboard, comparisons, beyond and by-seed."""
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
    files = {"comparisons": "comparisons", "beyond": "beyond", "by-seed": "by_seed"}
    return {"scores": build_leaderboard(rows)} | {
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
    parser.add_argument("--only", choices=["models", "ablation"], default=None, help="one of the two alone")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    given = parser.parse_args(words)
    run_stage_with(SequenceResultsParams(table=given.table, seeds=given.seeds, only=given.only), run)


if __name__ == "__main__":
    main()
