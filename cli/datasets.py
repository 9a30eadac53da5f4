"""`attrec datasets`: what there is, where it comes from, and getting it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from attrec.errors import DataError
from cli import completion
from cli.tables import Form, FormatOption, say, show
from tasks.engine import environment

if TYPE_CHECKING:
    from attrec.datasets.registry import DatasetSpec

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")


@app.callback()
def list_datasets(context: typer.Context, form: FormatOption = Form.table) -> None:
    """List the datasets: where from, licence, size, present or not; or get one: `attrec datasets get ml-100k`.

    A dataset is looked for in the folder named by ATTREC_DATA_DIR first, then among the project's downloads.
    """
    if context.invoked_subcommand is not None:
        return
    from attrec.datasets.fetch import DATA_DIR_VARIABLE
    from attrec.datasets.registry import REGISTRY

    specs = list(REGISTRY.values())
    rows = [
        {
            "name": spec.name,
            "what": spec.title,
            "MB": round(spec.size_mb) if spec.archive else None,
            "present": _presence(spec),
            "sha256": ("checked" if spec.verified else "unknown") if spec.archive else None,
            "splits": " ".join(spec.official_splits),
        }
        for spec in specs
    ]
    show(rows, form, folds=("what", "splits"))
    for licence in dict.fromkeys(spec.licence for spec in specs):
        say(f"{', '.join(spec.name for spec in specs if spec.licence == licence)}: licence {licence}", form)
    for spec in specs:
        if spec.urls:
            say(f"{spec.name}: from {', else '.join(spec.urls)}", form)
    named = os.environ.get(DATA_DIR_VARIABLE) or "not set"
    say(
        f"Looked for in the folder that {DATA_DIR_VARIABLE} names ({named}), then in {environment.DOWNLOADS}, where "
        "downloads go.",
        form,
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
    from attrec.datasets.registry import find_archive, get_spec

    spec = get_spec(name)
    if spec.archive is None:
        raise DataError(f"There is nothing to download for {name}: it is {spec.format}.")
    say(f"{name}: {find_archive(name, download_dir=environment.DOWNLOADS)}")


def _presence(spec: DatasetSpec) -> str:
    from attrec.datasets.fetch import locate

    if spec.archive is None:
        return "built in" if spec.name.startswith("simulated") else "-"
    found = locate(spec.archive, None, environment.DOWNLOADS)
    return "yes" if found is not None else "no"
