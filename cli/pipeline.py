"""`attrec reproduce|results|paper|runs`: run the pipeline and look at what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel

from attrec.errors import DataError, ParamsError, ServiceError
from cli import completion
from cli.tables import Form, FormatOption, say, show
from tasks.engine import environment
from tasks.engine.dvc import run_dvc
from tasks.engine.faults import without_secrets

if TYPE_CHECKING:
    from mlflow.entities import Run

MOST_RUNS = 50_000
"""MLflow answers with no more."""

DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="A name from `attrec datasets`; params.yaml says when left out.",
        autocompletion=completion.datasets,
    ),
]


def reproduce(dataset: DatasetOption = None) -> None:
    """Rebuild everything that changed on a dataset, then print the leaderboard and where to look.

    The same as `dvc repro`, or `dvc exp run -S dataset=NAME` when params.yaml names another dataset, which it names
    from then on. All of params.yaml is checked first. For example: `attrec reproduce --dataset ml-100k`.
    """
    from flows.parameters import check_params
    from tasks.engine.params import exchange_own_data
    from tasks.engine.server import give_head_start
    from tasks.engine.side_by_side import repro

    _dvc_initialised()
    named = check_params(dataset=dataset)
    run: Callable[[], int] = partial(repro, give_head_start)
    if dataset is not None and dataset != named:
        if exchange_own_data(dataset):
            say(
                f"params.yaml now names {dataset}; {named} stands under prepare.csv, whence"
                f" `attrec reproduce --dataset {named}` brings it back."
            )
        else:
            say(f"params.yaml now names {dataset}, in place of {named}.")
            run = partial(run_dvc, "exp", "run", "-S", f"dataset={dataset}")
    environment.BAD_INPUT.unlink(missing_ok=True)
    if run():
        raise typer.Exit(2 if environment.BAD_INPUT.exists() else 1)
    from flows.refill import refill
    from tasks.comparison.registry import follow_dataset

    # To DVC nothing may have changed, and yet the store may be another one or a new one.
    refill()
    follow_dataset(dataset or named)
    print_leaderboard()


class PublishedPart(StrEnum):
    """What a published table is made of."""

    models = "models"
    ablation = "ablation"


def results(
    table: Annotated[
        str | None,
        typer.Argument(
            help="Which table; without one they are listed with what each is of.",
            autocompletion=completion.tables,
        ),
    ] = None,
    splits: Annotated[
        int | None, typer.Option("--splits", "--folds", min=1, help="The first splits or folds alone.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, counted from 0; left out: as published.")
    ] = None,
    only: Annotated[
        PublishedPart | None, typer.Option(help="The models alone, or what each choice contributed alone.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the tables.")] = False,
) -> None:
    """Measure a published table again: all its models on all its splits, test parts read last.

    Takes one hour to four. Resumes where it was stopped. Writes results/TABLE/: scores.csv, with comparisons.csv
    (paired tests), models.csv (size, time) and more beside it, and pages in reports/TABLE/.

    For a look before the whole: `attrec results cil --splits 1`, or `attrec results ml-100k --splits 1 --seeds 1`;
    such a part has a folder of its own, results/cil-first-1-splits/. The data are looked for as `attrec datasets` says.
    """
    from flows import gains
    from flows.results import TABLES, ResultsParams

    if listed or table is None:
        for name, comparison in TABLES.items():
            say(f"{name}: {comparison.about}")
        say(f"{gains.TABLE}: {gains.ABOUT}")
        return
    if table == gains.TABLE:
        if (splits, seeds, only) != (None, None, None):
            raise ParamsError(
                f"{gains.TABLE} is measured as a whole: leave out --splits, --seeds and --only."
            )
        run_flow("flows.gains", gains.GainsParams())
        return
    params = ResultsParams(table=table, splits=splits, seeds=seeds, only=None if only is None else only.value)
    params.comparison()
    run_flow("flows.results", params)


def cross_validate(
    folds: Annotated[int, typer.Option(min=2, help="How many; each rating is tested in one of them.")] = 10,
    first: Annotated[int | None, typer.Option(min=1, help="The first folds alone.")] = None,
) -> None:
    """Compare the rating models of params.yaml on every fold of its dataset, all test parts read last.

    A fold tests an equal share of each user's ratings. Resumes where it was stopped. Writes results/DATASET-cv10/:
    scores.csv, with comparisons.csv (paired tests), models.csv (size, time) and by-fold.csv beside it, and the page
    reports/DATASET-cv10/index.html. For a look before the whole: `attrec cross-validate --first 1`.
    """
    from flows.cross_validation import CrossValidationParams
    from tasks.engine.params import load_params

    params = load_params(CrossValidationParams).model_copy(update={"folds": folds, "first": first})
    params.check()
    run_flow("flows.cross_validation", params)


def paper(dataset: DatasetOption = None) -> None:
    """Rebuild the paper's Fig. 4A, Fig. 4B and Table II: reports/paper/. Resumes where it was stopped.

    For example: `attrec paper --dataset ml-100k`.
    """
    from attrec.datasets.registry import get_spec
    from flows.paper_params import PaperParams
    from tasks.engine.params import load_params

    params = load_params(PaperParams)
    if dataset is not None:
        own = params.prepare.csv
        get_spec(dataset, None if own is None else own.name)
        params = params.model_copy(update={"dataset": dataset})
    run_flow("flows.paper", params)


def runs(
    limit: Annotated[int, typer.Option(min=1, max=MOST_RUNS, help="How many, newest first.")] = 20,
    dataset: Annotated[
        str | None, typer.Option(help="Those on this dataset alone.", autocompletion=completion.datasets)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Those of this model alone.", autocompletion=completion.models)
    ] = None,
    form: FormatOption = Form.table,
) -> None:
    """List the newest tracked runs with their figures; of several seeds the first, and how many more.

    For example: `attrec runs --dataset ml-100k --model attentive+mlp2 --limit 5`.
    """
    from flows.refill import refill
    from tasks.engine.run_store import client, experiment_id, is_own_store, one_sentence_faults

    if is_own_store():
        refill()
    asked = {"dataset": dataset, "model": model}
    wanted = " and ".join(f"tags.{tag} = {_quoted(value)}" for tag, value in asked.items() if value)
    with one_sentence_faults():
        found = client().search_runs(
            [experiment_id()], wanted, max_results=limit, order_by=["attributes.start_time DESC"]
        )
    if not found:
        say(
            "No run is tracked" + (f" with {wanted}." if wanted else ": `attrec reproduce` makes some."), form
        )
    if form is Form.table:
        show([_run_in_short(run) for run in found], form, folds=("run", "dataset"))
    else:
        show([_run_in_full(run) for run in found], form)
    if found:
        say(
            "Figures on validation and test; lower RMSE, higher NDCG is better. More of each run: attrec ui",
            form,
        )


def _run_in_full(run: Run) -> dict[str, Any]:
    metric, validation, test = _ranking_figures(run.data.metrics)
    params = run.data.params
    # `seeds` of a whole table's run is what it was asked for.
    seeds = {"seed": int(params["seed"]), "seeds": int(params.get("seeds", 1))} if "seed" in params else {}
    return {
        "run": run.info.run_name,
        "status": run.info.status.lower(),
        "dataset": run.data.tags.get("dataset"),
        "started": datetime.fromtimestamp(run.info.start_time / 1000).isoformat(timespec="seconds"),
        "seed": seeds.get("seed"),
        "seeds": seeds.get("seeds"),
        "metric": metric,
        "validation": validation,
        "test": test,
        "id": run.info.run_id,
    }


def _run_in_short(run: Run) -> dict[str, str]:
    full = _run_in_full(run)
    state = "" if full["status"] == "finished" else f" ({full['status']})"
    started = datetime.fromisoformat(full["started"])
    more = f" +{full['seeds'] - 1}" if (full["seeds"] or 1) > 1 else ""
    figures = [full["validation"], full["test"]]
    validation, test = ("" if value is None else f"{value:.4f}" for value in figures)
    return {
        "run": f"{full['run']}{state}",
        "dataset": full["dataset"] or "",
        "started": started.strftime("%m-%d %H:%M" if started.year == datetime.now().year else "%Y-%m-%d"),
        "seed": "" if full["seed"] is None else f"{full['seed']}{more}",
        "metric": full["metric"] or "",
        "valid.": validation,
        "test": test,
        "id": full["id"][:8],
    }


def print_leaderboard() -> None:
    """Print reports/leaderboard.csv, a row a model and the best first, and where the rest is."""
    from attrec.reporting.leaderboard import TESTED, read_leaderboard, shown_rows
    from tasks.engine.run_store import is_server, runs_page, tracking_address

    file = environment.ROOT / "reports" / "leaderboard.csv"
    for (task, dataset, split), rows in read_leaderboard(file).groupby(
        ["task", "dataset", "split"], sort=False
    ):
        say(f"{task}: {dataset}, split {split}, {rows['n'].max():,} {TESTED[str(task)]}")
        show(shown_rows(str(task), rows), Form.table, folds=("95 % interval",))
        say()
    say(f"Report:    {file.with_name('index.html')}")
    say("MLflow UI: attrec ui" if not is_server() else f"MLflow UI: {runs_page(tracking_address())}")
    named = os.environ.get("PREFECT_API_URL", "")
    say(f"Prefect UI: {without_secrets(named.removesuffix('/api')) or 'attrec worker'}")


def _quoted(text: str) -> str:
    """As MLflow's filters take it: they know two quotes and no way to escape one."""
    if "'" in text and '"' in text:
        raise DataError(f"{text!r} cannot be asked for: it has quotes of both kinds.")
    return f'"{text}"' if "'" in text else f"'{text}'"


def _ranking_figures(logged: Mapping[str, float]) -> tuple[str | None, float | None, float | None]:
    """The metric that ranks the run's task, and its figures on validation and test; nothing if there are none."""
    from attrec.reporting.leaderboard import SHOWN, metric_name

    for ranking, *_ in SHOWN.values():
        key = ranking.replace("@", "_")  # as MLflow has it, which allows no '@'
        validation, test = (logged.get(f"{part}/{key}") for part in ("validation", "test"))
        if (validation, test) != (None, None):
            return metric_name(ranking), validation, test
    return None, None, None


def _dvc_initialised() -> None:
    if not (environment.ROOT / ".dvc").is_dir():
        raise ServiceError(f"{environment.ROOT} is not a DVC repository: run in a clone of the project.")


def run_flow(module: str, params: BaseModel, form: Form = Form.table) -> None:
    """Run a flow in a process of its own with these parameters; what it says goes beside a table that is to be read."""
    words = [sys.executable, "-m", module, params.model_dump_json()]
    done = subprocess.run(words, cwd=environment.ROOT, stdout=None if form is Form.table else 2)
    if done.returncode:
        raise typer.Exit(done.returncode)
