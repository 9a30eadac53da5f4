"""Flow `results`: a published table; every model of a comparison on every split of its data, all test parts read last.

Resumes where it was stopped: each split, model, seed and phase is a cached task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import ParamsError
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from flows.fitting import fit_models
from flows.published.comparison import Comparison, Only
from flows.published.playlists import PLAYLIST_TABLES
from flows.published.ratings import RATING_TABLES
from flows.published.sequences import SEQUENCE_TABLES
from flows.stage import run_asked, run_in_tasks
from tasks.comparison.family import Fitted
from tasks.comparison.score import read_scores
from tasks.engine import environment, tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.logs import tell
from tasks.engine.params import RunnerConfig
from tasks.engine.training_data import Part, Prepared
from tasks.reports.published import table_file
from tasks.reports.results import as_records, write_tables

TABLES: dict[str, Comparison] = {**RATING_TABLES, **SEQUENCE_TABLES, **PLAYLIST_TABLES}
"""By the name of their folder under results/."""


class ResultsParams(BaseModel):
    """Which table, how much of it, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    table: str
    splits: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")
    seeds: int | None = Field(None, ge=1, description="counted from 0; None: as many as the table has")
    only: Only | None = Field(None, description="None: the models, then what each choice contributed")
    runner: RunnerConfig = RunnerConfig(kind="dask")
    """Processes: the libraries' fits hold the interpreter's lock, so that threads would wait for each other."""

    def comparison(self) -> tuple[Comparison, str]:
        """What is asked for, and the name of its table.

        Raises:
            ParamsError: there is no such table, or it has not what is asked for.
        """
        if self.table not in TABLES:
            raise ParamsError(f"There is no table {self.table!r}, only {', '.join(TABLES)}.")
        whole = TABLES[self.table]
        part, suffix = whole.cut(self.splits, self.seeds)
        if self.only == "ablation" and not part.ablation:
            if whole.ablation:
                raise ParamsError(
                    "An ablation goes with the whole of its table: leave out --splits and --seeds."
                )
            raise ParamsError(f"{self.table} has no ablation.")
        return part, f"{self.table}{suffix}"


@flow(name="results", flow_run_name="results {params.table}")
def results(params: ResultsParams) -> None:
    """Measure a table of results/ again, and write its pages."""
    comparison, table = params.comparison()
    measure(comparison, table, params.model_dump(mode="json"), params.only)


Splits = Mapping[str, Sequence[Prepared]]
"""By data set."""
FittedModels = dict[str, list[list[Fitted]]]
"""By data set and split, all models in one order."""


def measure(comparison: Comparison, table: str, asked: Mapping[str, Any], only: Only | None = None) -> None:
    """Fit all models of a comparison on all its splits, then score them: results/<table>/ and reports/<table>/.

    Args:
        asked: Parameters of the flow, for the record.
    """
    splits = {dataset: comparison.prepared(dataset) for dataset in comparison.datasets}
    fitted: FittedModels = {}
    if only != "ablation":
        fitted = {dataset: fit_on_splits(comparison, dataset, own) for dataset, own in splits.items()}
    if only != "models" and comparison.ablation:
        measure_steps(comparison, table, asked, splits)
    if fitted:
        measure_models(comparison, table, asked, splits, fitted)


def fit_on_splits(comparison: Comparison, dataset: str, splits: Sequence[Prepared]) -> list[list[Fitted]]:
    """By split, all models in one order."""
    return [
        fit_models(
            comparison.family,
            comparison.models,
            comparison.seeds_of(number),
            split,
            dataset if len(splits) == 1 else f"{dataset}, split {number + 1} of {len(splits)}",
            comparison.parts,
        )
        for number, split in enumerate(splits)
    ]


def measure_steps(comparison: Comparison, table: str, asked: Mapping[str, Any], splits: Splits) -> None:
    """What each choice contributed, on validation: results/<table>/ablation.csv (see `ablation_table`)."""
    with tracking.tracked_run(f"results {table}-ablation", asked, run_tags(comparison)) as parent:
        steps = {dataset: comparison.compare_steps(dataset, own) for dataset, own in splits.items()}
        write_tables(
            table,
            {"ablation": by_dataset(steps)},
            hashes(comparison, splits),
            comparison.described("ablation"),
            parent,
            origin="ablation-provenance",
        )


def measure_models(
    comparison: Comparison, table: str, asked: Mapping[str, Any], splits: Splits, fitted: FittedModels
) -> None:
    """Scores of the fitted models, the tests' last: all other tables, and a page a data set, which shows the ablation
    too where it was measured."""
    with tracking.tracked_run(f"results {table}", asked, run_tags(comparison)) as parent:
        tables: dict[str, dict[str, pd.DataFrame]] = {}
        for dataset, own in splits.items():
            evaluations = comparison.evaluate(dataset, own, fitted[dataset])
            runs = {
                model.name: track(comparison, model, dataset, parent, evaluations)
                for model in fitted[dataset][0]
            }
            of_data = score_tables(comparison, dataset, evaluations["test"], runs)
            of_data |= comparison.further_tables(own, fitted[dataset])
            settings = {**asked, **comparison.described("models")}
            shown, code = steps_of(comparison, table, dataset, splits)
            if code:
                settings["code of the ablation"] = code
            page = page_file(comparison, table, dataset)
            all_runs = {**runs, "results": parent}
            comparison.write_page(
                page, dataset, own, fitted[dataset], evaluations, {**of_data, **shown}, all_runs, settings
            )
            tracking.log_files(parent, page, "report")
            for name, rows in of_data.items():
                tables.setdefault(name, {})[dataset] = rows
        together = {name: by_dataset(rows, len(splits) > 1) for name, rows in tables.items()}
        write_tables(table, together, hashes(comparison, splits), comparison.described("models"), parent)
        tell(f"Tables: {table_file(table).parent}/*.csv")
        tell(f"Pages:  {page.parent}/*.html")


def steps_of(
    comparison: Comparison, table: str, dataset: str, splits: Splits
) -> tuple[dict[str, pd.DataFrame], str]:
    """The ablation that was measured of these steps on these splits, and by which commit; nothing where there is none,
    or it is of others."""
    file, origin = table_file(table, "ablation.csv"), table_file(table, "ablation-provenance.json")
    if not (file.is_file() and origin.is_file()):
        return {}, ""
    told = json.loads(origin.read_text(encoding="utf-8"))
    if (told["splits"], told["comparison"]) != (hashes(comparison, splits), comparison.described("ablation")):
        return {}, ""
    rows = pd.read_csv(file)
    own = rows[rows["dataset"] == dataset].drop(columns="dataset") if "dataset" in rows else rows
    return {"ablation": own}, told["git.commit"]


def track(
    comparison: Comparison,
    model: Fitted,
    dataset: str,
    parent: str,
    evaluations: Mapping[Part, Artifact],
) -> str:
    """A child run with the configuration and the figures; the models of the splits are not kept there."""
    settings: dict[str, Any] = {"seeds": model.seeds, **model.config}
    name = model.name if len(comparison.datasets) == 1 else f"{model.name} {dataset}"
    with tracking.tracked_run(name, settings, {**run_tags(comparison), "dataset": dataset}, parent) as run_id:
        for part, evaluation in evaluations.items():
            scores = read_scores(evaluation)
            own = as_records(scores[scores["model"] == model.name])
            figures = {f"{row['split']}/{row['metric']}": row["value"] for row in own if "split" in row}
            # The splits together, or the only one, come last.
            figures |= {f"{part}/{row['metric']}": row["value"] for row in own}
            tracking.log_metrics(run_id, figures)
    return run_id


def score_tables(
    comparison: Comparison, dataset: str, evaluation: Artifact, runs: Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """By the names of their files: the figures in the columns of the leaderboard, and what stands beside them."""
    rows = [
        LeaderboardRow(
            task=comparison.family.name,
            dataset=dataset,
            run_id=runs[str(row["model"])],
            tried=comparison.models[str(row["model"])].tried,
            **{"split": comparison.together, **row},
        )
        for row in as_records(read_scores(evaluation))
    ]
    files = {name: evaluation.path / f"{file}.csv" for name, file in comparison.files.items()}
    beside = {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}
    return {"scores": build_leaderboard(rows), **beside}


def by_dataset(tables: Mapping[str, pd.DataFrame], several: bool | None = None) -> pd.DataFrame:
    """The tables below each other; of several data sets each row with its own in the first column."""
    several = len(tables) > 1 if several is None else several
    named = [
        rows.assign(dataset=dataset)[["dataset", *rows.columns]]
        if several and "dataset" not in rows
        else rows
        for dataset, rows in tables.items()
    ]
    return pd.concat(named, ignore_index=True)


def hashes(comparison: Comparison, splits: Splits) -> dict[str, str]:
    """The hash of each split by its name, of several data sets with theirs before it."""
    return {
        name if len(splits) == 1 else f"{dataset} {name}": value
        for dataset, own in splits.items()
        for name, value in comparison.hashes(own).items()
    }


def page_file(comparison: Comparison, table: str, dataset: str) -> Path:
    """The page of a data set; of the only one it is the index."""
    name = "index" if len(comparison.datasets) == 1 else dataset
    return environment.ROOT / "reports" / table / f"{name}.html"


def run_tags(comparison: Comparison) -> dict[str, str]:
    """What a tracked run is found by."""
    return {
        "dataset": ", ".join(comparison.datasets),
        "split": comparison.together,
        "dvc.stage": "none",
    }


def run(params: ResultsParams) -> None:
    """Run the flow."""
    run_in_tasks(results, params)


if __name__ == "__main__":
    run_asked(ResultsParams, run)
