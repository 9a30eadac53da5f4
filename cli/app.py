"""`attrec`: datasets, runs, predictions, and the commands behind `make`."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import attrec
from cli import datasets, experiments, export, pipeline, remote, services, tuning
from cli.ask import ratings as serve
from cli.look import look
from cli.snapshot import snapshot
from tasks.engine.environment import DEBUG_VARIABLE
from tasks.engine.faults import EXIT_BAD_INPUT, mendable

app = typer.Typer(
    help=(
        "Attention-based recommenders as a reproducible pipeline.\n\n"
        "Rebuild everything with `attrec reproduce` (or plain `dvc repro`), look at the runs with `attrec runs` or "
        "`attrec ui`, then ask the registered model: `attrec recommend --user 196`."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(datasets.app, name="datasets")
app.add_typer(export.app, name="export")
app.command()(look)
app.command()(snapshot)
app.command()(serve.predict)
app.command()(serve.recommend)
app.command()(serve.explain)
app.command()(pipeline.runs)
app.command()(pipeline.reproduce)
app.command()(pipeline.results)
app.command()(pipeline.cross_validate)
app.command()(pipeline.paper)
app.command()(tuning.tune)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    experiments.experiments
)
app.command()(remote.push)
app.command()(remote.pull)
app.command()(services.ui)
app.command()(services.serve)
app.command()(services.worker)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"attrec {attrec.__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback when something fails.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Options of every command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """Entry point: a fault the user can mend ends in one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a letter of a title shows its number.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as error:
        fault = mendable(error)
        if fault is None or os.environ.get(DEBUG_VARIABLE):
            raise
        print(f"Error: {fault}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
