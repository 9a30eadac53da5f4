"""`attrec tune`: search for better configurations, and show what was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attrec.errors import ParamsError
from cli.pipeline import run_flow
from cli.tables import Form, FormatOption, say, show

if TYPE_CHECKING:
    from attrec.reporting.tuned import Found


class TunedFamily(StrEnum):
    """The families of models, as `params.yaml` calls them."""

    rating = "rating"
    sequence = "sequence"
    playlist = "playlist"


def tune(
    family: Annotated[TunedFamily, typer.Argument(help="Of the models.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Of params.yaml, or any that there is: a kind (sasrec), a kind and its recipe (ars-full), a variant "
            "(attentive+mlp1, SVDpp). Each has the whole budget."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All models of params.yaml that have anything to tune.")
    ] = False,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Configurations a model, the one it has now among them; 20 if left out."),
    ] = None,
    cpu_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Of fits a model; no trial begins after them.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="SQLAlchemy URL of a database, through which workers and machines share a study; without it one of "
            "this checkout. A password in it is the name of a variable of the environment: 'postgresql://me:$PW@host/x'."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the best configuration into params.yaml, comments kept.")
    ] = False,
    form: FormatOption = Form.table,
) -> None:
    """Search for a better configuration of a model, on validation alone.

    It begins with the configuration that the model has now, so that gains are against that. What is searched stands
    beside each field of its configuration (docs/tuning.md), and in section `tune` of params.yaml where that shall be
    otherwise. Killed or stopped, the same command goes on with the same study; started twice, both work on it.

    For example: `attrec tune rating attentive+mlp1 --trials 30`, or `attrec tune sequence --all --cpu-minutes 10`.
    Leaves reports/tuning/FAMILY/MODEL/, which `attrec reproduce` shows in the report, and runs in MLflow.
    """
    from flows.tune import TuneParams
    from tasks.engine.params import load_params
    from tasks.tuning.found import found_folder
    from tasks.tuning.study import STORAGE_VARIABLE, Budget, require_no_password

    if bool(models) == everything:
        raise ParamsError("Name the models to tune, or say --all.")
    budget = Budget(trials=20 if trials is None and cpu_minutes is None else trials, cpu_minutes=cpu_minutes)
    params = load_params(TuneParams).model_copy(
        update={
            "family": family.value,
            "models": models or [],
            "budget": budget,
            "write": write,
        }
    )
    params.check()
    if everything:
        for name in params.untunable():
            say(f"{name} has nothing to tune.", form)
    if storage is not None:
        require_no_password(storage)
        os.environ[STORAGE_VARIABLE] = storage
    folders = {name: found_folder(family.value, name) for name in params.starts()}
    before = {name: when_written(folder) for name, folder in folders.items()}
    run_flow("flows.tune", params, form)
    show_found([folder for name, folder in folders.items() if when_written(folder) != before[name]], form)


def when_written(folder: Path) -> int | None:
    """When something was found last; None if nothing ever was."""
    return folder.stat().st_ctime_ns if folder.is_dir() else None


def show_found(folders: Sequence[Path], form: Form) -> None:
    """Print what studies have found, a row a model."""
    from attrec.reporting.tuned import Found

    found = [Found.read(folder) for folder in folders]
    rows = [
        {
            "model": one.model,
            "metric": one.metric,
            "start": one.start,
            "best": one.best,
            "gain": one.gain,
            "trials": one.trials,
            "pruned": one.pruned,
            "CPU-minutes": one.cpu_seconds / 60,
            **({} if form is Form.table else {"changes": _changes(one)}),
        }
        for one in found
    ]
    figures = dict.fromkeys(("start", "best", "gain"), 4)
    show(rows, form, decimals={**figures, "CPU-minutes": 2}, folds=("model",))
    if form is Form.table:
        for one in found:
            say(f"{one.model}: {_changes(one) or 'the start is best'}", form)
    say("Figures on validation, of one seed each; the best of several is flattered by chance.", form)


def _changes(found: Found) -> str:
    return ", ".join(f"{path}: {value}" for path, value in found.values.items())
