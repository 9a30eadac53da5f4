"""Flow `gains`: what searches are worth. Recipes are searched under stated budgets, and each is then asked once for the
test beside what was found: results/tuning/gains.csv.

Goes on where it was stopped: the searches are studies, and everything else cached tasks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect import flow
from pydantic import BaseModel, ConfigDict

from attrec.errors import DataError
from attrec.models.specs import Spec
from attrec.reporting.tuned import Found
from flows.comparison import score
from flows.fitting import fit_models
from flows.published.tuning import SEARCHES
from flows.stage import run_asked, run_in_tasks
from flows.tune import FAMILIES, TuneParams, asked, find, prepared
from tasks.comparison.family import Family
from tasks.comparison.score import read_scores
from tasks.engine import tracking
from tasks.engine.logs import tell
from tasks.engine.params import RunnerConfig
from tasks.reports.published import table_file
from tasks.reports.results import write_tables
from tasks.tuning.study import open_storage

TABLE = "tuning"
ABOUT = "what searches gain on validation, and on test, beside the recipes that they begin at"


class GainsParams(BaseModel):
    """How many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    runner: RunnerConfig = RunnerConfig(kind="threads")


@flow(name="gains")
def gains(params: GainsParams) -> None:
    """Search, ask for the test once all searches have ended, and write the table."""
    with tracking.tracked_run(
        f"results {TABLE}", params.model_dump(mode="json"), {"dvc.stage": "none"}
    ) as run:
        searched = [(search, *searched_on(search)) for search in SEARCHES]
        rows = [gain(*one) for one in searched]
        splits = {f"{row['dataset']} {row['split']}": row.pop("split_hash") for row in rows}
        described = {search.models[0]: search.model_dump(mode="json") for search in SEARCHES}
        write_tables(TABLE, {"gains": pd.DataFrame(rows)}, splits, described, run)
    tell(f"Table: {table_file(TABLE, 'gains.csv')}")


def searched_on(params: TuneParams) -> tuple[Any, Spec, Found]:
    """The data, the recipe of the one model, and what its search has found.

    Raises:
        DataError: no configuration has a figure.
    """
    data = prepared(params)
    [(name, (start, space))] = params.starts().items()
    family = FAMILIES[params.family]
    found = find(family, data, asked(family, data, params, name, start, space), params)
    if found is None:
        raise DataError(f"{name}: no configuration has a figure; run the same again.")
    return data, start, found


def gain(params: TuneParams, data: Any, start: Spec, found: Found) -> dict[str, Any]:
    """A row: recipe and winner on validation with the seed of the search, and on test with all seeds."""
    family, seeds = FAMILIES[params.family], [params.seed + seed for seed in params.section.seeds]
    best, split = f"{found.model}-tuned", family.facts(data)["split"]
    return {
        "family": found.family,
        "dataset": found.dataset,
        "split": found.split,
        "split_hash": split["hash"],
        "model": found.model,
        "metric": found.metric,
        "budget": found.budget,
        "trials": found.trials,
        "pruned": found.pruned,
        "tried": found.tried,
        "cpu_minutes": found.cpu_seconds / 60,
        "validation_start": found.start,
        "validation_best": found.best,
        **on_test(
            family, data, {found.model: start, best: start.with_values(found.values)}, seeds, found.metric
        ),
        "changes": json.dumps(found.values),
    }


def on_test(
    family: Family[Any, Any], data: Any, models: dict[str, Spec], seeds: Sequence[int], metric: str
) -> dict[str, Any]:
    """Of the recipe and the winner, in this order, the figures on test and the paired test between them."""
    recipe, best = models
    evaluation = score(family, data, fit_models(family, models, seeds, data, best))["test"]
    scores, tests = read_scores(evaluation), pd.read_csv(evaluation.path / "comparisons.csv")
    figures = {row["model"]: row for row in scores[scores["metric"] == metric].to_dict("records")}
    [test] = tests[tests["metric"] == metric].to_dict("records")
    # What is compared is held against the one that validation names, whichever of the two that is.
    sign = 1 if test["model"] == best else -1
    low, high = sorted((sign * test["ci_low"], sign * test["ci_high"]))
    return {
        "test_start": figures[recipe]["value"],
        "test_best": figures[best]["value"],
        "difference": sign * test["difference"],
        "ci_low": low,
        "ci_high": high,
        "p": test["p_value"],
        "n": int(figures[best]["n"]),
        "seeds": int(figures[best]["seeds"]),
    }


def run(params: GainsParams) -> None:
    """Run the flow."""
    open_storage()
    run_in_tasks(gains, params)


if __name__ == "__main__":
    run_asked(GainsParams, run)
