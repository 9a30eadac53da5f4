"""`attrec export`: answers in bulk, into a Parquet or CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.ask.registered import ModelOption
from cli.services import ServedFamily
from cli.tables import say

app = typer.Typer(
    help="Write recommendations for everybody, or predictions for a table of pairs, into one file.\n\n"
    "For example: `attrec export recommendations sequence next.parquet -k 20`, or `attrec export predictions pairs.csv"
    " predicted.csv --model bayesian-mf`.",
    no_args_is_help=True,
)

OUTPUT = "The file: .parquet or .csv. It appears whole or not at all; a command that was stopped goes on where it was."
OutputArgument = Annotated[Path, typer.Argument(help=OUTPUT, show_default=False)]


@app.command()
def recommendations(
    family: Annotated[ServedFamily, typer.Argument(help="Which kind of model.", show_default=False)],
    output: OutputArgument,
    model: ModelOption = "champion",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many items each.")] = 20,
    user: Annotated[
        list[str] | None, typer.Option(help="Id of a user of the data; may be repeated. Left out: everybody.")
    ] = None,
    users: Annotated[
        Path | None, typer.Option(help="Table with the column user_id: these users of the data alone.")
    ] = None,
    histories: Annotated[
        Path | None,
        typer.Option(
            help="Table of what people outside the data have done: user_id,item_id, the oldest of each first, and of"
            " rating models rating. CSV or Parquet; user_id names the playlist of playlist models."
        ),
    ] = None,
    exclude_seen: Annotated[
        bool | None,
        typer.Option(
            "--exclude-seen/--keep-seen",
            help="Whether what somebody has had is left out. By default it is, but for sequence models that were"
            " chosen with it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the k best items for each of many: user_id, rank, item_id, title, score, a row an item.

    Everybody is: of rating models whoever is in the data that the model was fitted on, else of the prepared data of
    params.yaml, with all that they have done to this day. --model may also be a folder, given as a path:
    models/sequence/sasrec.

    Examples: `attrec export recommendations sequence next.parquet`, `attrec export recommendations rating best.csv
    --users some.csv -k 10 --model bayesian-mf`, `attrec export recommendations playlist more.parquet --histories
    new.csv`.
    """
    _export(
        family=family.value,
        destination=output,
        model=model,
        k=k,
        user=user or [],
        users=users,
        histories=histories,
        exclude_seen=exclude_seen,
    )


@app.command()
def predictions(
    pairs: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with the columns user_id,item_id, and for models `+time` timestamp (seconds UTC).",
            show_default=False,
        ),
    ],
    output: OutputArgument,
    model: ModelOption = "champion",
) -> None:
    """Write what a rating model predicts for each pair: user_id, item_id, prediction, unknown.

    The column `unknown` says `user`, `item` or both where the model does not know them and goes by the rest.

    Example: `attrec export predictions pairs.csv predicted.parquet --model bayesian-mf`.
    """
    _export(family="rating", destination=output, model=model, what="predictions", pairs=pairs)


def _export(**asked: Any) -> None:
    from flows.export import ExportParams, run_export

    for sentence in run_export(ExportParams(**asked)):
        say(sentence)
