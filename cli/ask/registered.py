"""The registered and tracked models, and how items are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from attrec.datasets.registry import REGISTRY
from attrec.errors import DataError, ServiceError

if TYPE_CHECKING:
    from attrec.serving.served import Served

S = TypeVar("S", bound="Served")

CHAMPION = "champion"
_DECIMALS = {"weight": 3, "attention": 3, "distance": 3}

ModelOption = Annotated[
    str,
    typer.Option(
        help="`champion`: the best on the dataset of params.yaml; another alias or version, e.g. champion-ml-100k, 3;"
        " or the name of any tracked model, e.g. attentive+mlp2: the newest of that name, of that dataset if there is"
        " one."
    ),
]


def load_registered(kind: type[S], name: str) -> S:
    """A model of this kind by its version, an alias, or as the newest run of this name; prints what answers and what
    it was trained on.

    `champion` is that of the dataset which params.yaml names, whatever was computed last: DVC may have had the rest in
    its cache.

    Args:
        kind: How the family that is asked serves its models.

    Raises:
        DataError: it is a model of another family.
        ServiceError: there is none, or its files are gone.
        ParamsError: its files are gone, and params.yaml is at fault.
    """
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    family = kind.family
    uri, run_id = _find(family, name)
    try:
        served = pyfunc.load_model(uri).unwrap_python_model().answers
    except (DataError, MlflowException, OSError) as error:
        raise ServiceError(
            f"The files of the model {name!r} ({uri}) are gone, damaged or of another version of attrec: run"
            f" `{_fit_again(family, run_id)}`."
        ) from error
    if not isinstance(served, kind):
        raise DataError(
            f"The model {name!r} is no {family} model: choose another with --model; there are"
            f" {', '.join(_names(family))}."
        )
    typer.echo(f"Model: {about(family, name)}.")
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


def about(family: str, name: str) -> str:
    """What `load_registered` loads of this family: the name of the model in every table, and what it was trained on."""
    from tasks.engine.tracking import client

    tags = client().get_run(_find(family, name)[1]).data.tags
    return f"{tags['model']}, trained on {tags['dataset']}"


def model_uri(family: str, name: str) -> str:
    """Where `load_registered` finds the model."""
    return _find(family, name)[0]


def _registered(family: str) -> str:
    """The registered model of a family."""
    return f"attrec-{family}"


def _find(family: str, name: str) -> tuple[str, str]:
    """Where the model is, and the run that logged it."""
    from mlflow.exceptions import MlflowException

    from tasks.engine.tracking import client, experiment_id

    store, current, registered = client(), _dataset(), _registered(family)
    if name == CHAMPION:
        name = f"{CHAMPION}-{current}"
    try:
        if name.isdigit():
            version = store.get_model_version(registered, name)
        else:
            version = store.get_model_version_by_alias(registered, name)
        return f"models:/{registered}/{version.version}", str(version.run_id)
    except MlflowException:
        quoted = name.replace("'", "")
        named = f"tags.model = '{quoted}' and attributes.status = 'FINISHED'"
        # Models of several families may have one name, such as popularity: this family's come first.
        own = f"{named} and tags.`dvc.stage` = '{family}'"
        for asked in (f"{own} and tags.dataset = '{current}'", own, named):
            runs = store.search_runs(
                [experiment_id()], asked, max_results=1, order_by=["attributes.start_time DESC"]
            )
            if runs:
                return f"runs:/{runs[0].info.run_id}/model", runs[0].info.run_id
    dataset = name.removeprefix("champion-")
    of_dataset = name != dataset and dataset in REGISTRY
    names = _names(family)
    others = f"; there are {', '.join(names)}" if names else ""
    if names and not of_dataset:
        raise ServiceError(f"There is no registered or tracked model {name!r}{others}.")
    command = f"make reproduce DATASET={dataset}" if of_dataset else "make reproduce"
    raise ServiceError(f"There is no registered or tracked model {name!r}: run `{command}` first{others}.")


def _dataset() -> str:
    """The dataset that params.yaml names."""
    from flows.prepare import PrepareParams
    from tasks.engine.params import load_params

    return load_params(PrepareParams).dataset


def _fit_again(family: str, run_id: str) -> str:
    """The command; to DVC nothing has changed, so that it must be forced."""
    from tasks.engine.tracking import client

    named = _dataset()
    dataset = client().get_run(run_id).data.tags.get("dataset", named)
    return f"dvc repro -f {family}" if dataset == named else f"dvc exp run -f -S dataset={dataset} {family}"


def _names(family: str) -> list[str]:
    """Aliases of the registered model, and names of the tracked ones of its family."""
    from mlflow.exceptions import MlflowException

    from tasks.engine.tracking import client, experiment_id

    try:
        aliases = list(client().get_registered_model(_registered(family)).aliases)
    except MlflowException:
        aliases = []
    asked = f"tags.`dvc.stage` = '{family}' and attributes.status = 'FINISHED'"
    runs = client().search_runs([experiment_id()], asked, max_results=200)
    return sorted(aliases) + sorted({run.data.tags["model"] for run in runs if "model" in run.data.tags})
