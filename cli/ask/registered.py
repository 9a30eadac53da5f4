"""The registered and tracked models, and how items are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from attrec.errors import DataError
from cli import completion
from cli.tables import Form, Rows, say, show

if TYPE_CHECKING:
    import pandas as pd

    from attrec.serving.served import Served

S = TypeVar("S", bound="Served")

DECIMALS = {"weight": 3, "attention": 3, "distance": 3, "times_mean": 1}

ModelOption = Annotated[
    str,
    typer.Option(
        help="`champion`: the best on the dataset of params.yaml; another alias or version, e.g. champion-ml-100k, 3;"
        " or the name of any tracked model, e.g. attentive+mlp2: the newest of that name, of that dataset if there is"
        " one.",
        autocompletion=completion.models,
    ),
]


def load_registered(kind: type[S], name: str, form: Form = Form.table) -> S:
    """A model of this kind by its version, an alias, or as the newest run of this name; prints what answers and what
    it was trained on.

    Args:
        kind: How the family that is asked serves its models.

    Raises:
        DataError: it is a model of another family.
        ServiceError: there is none, its files are gone, or the store does not answer.
        ParamsError: its files are gone, and params.yaml is at fault.
    """
    from flows.recall import ask_model

    served, about = ask_model(kind.family, name)
    if not isinstance(served, kind):
        from flows.lookup import names_of

        raise DataError(
            f"The model {name!r} is no {kind.family} model: choose another with --model; there are"
            f" {', '.join(names_of(kind.family))}."
        )
    say(f"Model: {about}.", form)
    return served


def refuse_unless_it_explains(family: str, name: str) -> None:
    """Say so before a model is loaded that cannot say what an answer rests on.

    Raises:
        DataError: it cannot.
        ServiceError: there is none, or the store does not answer.
    """
    from flows.lookup import explainers, explains

    if not explains(family, name):
        others = explainers(family)
        instead = f"ask {' or '.join(others[:3])} with --model" if others else "fit one that attends"
        raise DataError(f"The model {name!r} has no attention weights to explain a prediction by: {instead}.")


def shown_items(frame: pd.DataFrame, *figures: str, texts: Sequence[str] = ()) -> Rows:
    """item_id and title, artist and genres where any are known, further `texts`, and some figures, as rows to show."""
    artist = ["artist"] if "artist" in frame and frame["artist"].fillna("").ne("").any() else []
    genres = ["genres"] if "genres" in frame and frame["genres"].fillna("").ne("").any() else []
    names = ["item_id", "title", *artist, *genres, *texts, *figures]
    return [
        dict(zip(names, row, strict=True)) for row in frame.reindex(columns=names).itertuples(index=False)
    ]


def show_items(
    frame: pd.DataFrame, form: Form, *figures: str, texts: Sequence[str] = (), **options: Any
) -> None:
    """Print `shown_items`; options are those of `cli.tables.show`."""
    decimals = {name: DECIMALS.get(name, 2) for name in figures}
    show(shown_items(frame, *figures, texts=texts), form, decimals=decimals, **options)
