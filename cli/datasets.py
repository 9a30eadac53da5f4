"""`attrec datasets`: what there is, where it comes from, and getting it."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from attrec.datasets.fetch import DATA_DIR_VARIABLE, locate
from attrec.datasets.registry import REGISTRY, DatasetSpec, find_archive, get_spec
from attrec.errors import DataError
from cli import completion
from tasks.engine import environment

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")


@app.callback()
def list_datasets(context: typer.Context) -> None:
    """List the datasets: where from, licence, size, present or not; or get one: `attrec datasets get ml-100k`.

    A dataset is looked for in the folder named by ATTREC_DATA_DIR first, then among the project's downloads.
    """
    if context.invoked_subcommand is not None:
        return
    table = Table(
        Column("name", no_wrap=True), "what", Column("MB", no_wrap=True), "present", "sha256", "splits"
    )
    for spec in REGISTRY.values():
        table.add_row(
            spec.name,
            spec.title,
            f"{spec.size_mb:.0f}" if spec.archive else "-",
            _presence(spec),
            ("checked" if spec.verified else "unknown") if spec.archive else "-",
            " ".join(spec.official_splits),
        )
    console = Console()
    console.print(table)
    for licence in dict.fromkeys(spec.licence for spec in REGISTRY.values()):
        names = [spec.name for spec in REGISTRY.values() if spec.licence == licence]
        console.print(f"{', '.join(names)}: licence {licence}", highlight=False, soft_wrap=True)
    for spec in REGISTRY.values():
        if spec.urls:
            console.print(f"{spec.name}: from {', else '.join(spec.urls)}", highlight=False, soft_wrap=True)
    named = os.environ.get(DATA_DIR_VARIABLE) or "not set"
    console.print(
        f"Looked for in the folder that {DATA_DIR_VARIABLE} names ({named}), then in {environment.DOWNLOADS}, where "
        "downloads go.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command()
def get(
    name: Annotated[
        str, typer.Argument(help="A name from `attrec datasets`.", autocompletion=completion.datasets)
    ],
) -> None:
    """Download a dataset (resumes where a download broke off; a mirror is tried when the publisher fails).

    For example: `attrec datasets get ml-100k`.
    """
    spec = get_spec(name)
    if spec.archive is None:
        raise DataError(f"There is nothing to download for {name}: it is {spec.format}.")
    typer.echo(f"{name}: {find_archive(name, download_dir=environment.DOWNLOADS)}")


def _presence(spec: DatasetSpec) -> str:
    if spec.archive is None:
        return "built in" if spec.name.startswith("simulated") else "-"
    found = locate(spec.archive, None, environment.DOWNLOADS)
    return "yes" if found is not None else "no"
