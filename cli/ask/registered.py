"""The registered and tracked models, and how items are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from attrec.errors import DataError
from cli import completion

if TYPE_CHECKING:
    from attrec.serving.served import Served

S = TypeVar("S", bound="Served")

_DECIMALS = {"weight": 3, "attention": 3, "distance": 3}

ModelOption = Annotated[
    str,
    typer.Option(
        help="`champion`: the best on the dataset of params.yaml; another alias or version, e.g. champion-ml-100k, 3;"
        " or the name of any tracked model, e.g. attentive+mlp2: the newest of that name, of that dataset if there is"
        " one.",
        autocompletion=completion.models,
    ),
]


def load_registered(kind: type[S], name: str) -> S:
    """A model of this kind by its version, an alias, or as the newest run of this name; prints what answers and what
    it was trained on.

    Args:
        kind: How the family that is asked serves its models.

    Raises:
        DataError: it is a model of another family.
        ServiceError: there is none, its files are gone, or the store does not answer.
        ParamsError: its files are gone, and params.yaml is at fault.
    """
    from cli.ask.lookup import about, load_model, names_of

    served = load_model(kind.family, name)
    if not isinstance(served, kind):
        raise DataError(
            f"The model {name!r} is no {kind.family} model: choose another with --model; there are"
            f" {', '.join(names_of(kind.family))}."
        )
    typer.echo(f"Model: {about(kind.family, name)}.")
    return served


def show_items(frame: pd.DataFrame, *figures: str, texts: Sequence[str] = ()) -> None:
    """Print item_id and title, artist where any is known, genres, further `texts`, and some figures."""
    artist = ["artist"] if "artist" in frame and frame["artist"].fillna("").ne("").any() else []
    words = ["item_id", "title", *artist, "genres", *texts]
    table = Table(*words, *figures)
    for row in frame.to_dict("records"):
        said = ["" if pd.isna(value := row.get(name, "")) else str(value) for name in words]
        table.add_row(*said, *(f"{row[figure]:.{_DECIMALS.get(figure, 2)}f}" for figure in figures))
    Console().print(table)
