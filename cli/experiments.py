"""`attrec experiments`: what was varied, and what came of it."""

from __future__ import annotations

import typer

from cli.tables import say
from tasks.engine.dvc import run_dvc

# By default DVC shows every parameter and the hash of every dependency, hundreds of columns.
BESIDE = r"Created$|State$|Executor$|.*/|requirements\.lock$"


def experiments(context: typer.Context) -> None:
    """Show the experiments of `dvc exp run`: what differs between them, and the headline figures that differ.

    Options of `dvc exp show` are handed on.

    Example: `attrec experiments --sort-by rating.rmse`
    """
    say("Figures are of the model that validation chose in each: another parameter may choose another model.")
    words = ["exp", "show", "--no-pager", "--only-changed", "--drop", BESIDE, *context.args]
    raise typer.Exit(run_dvc(*words))
