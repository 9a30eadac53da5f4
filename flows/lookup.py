"""Find registered and tracked models in MLflow; what it has lost or never knew is filled again from what DVC holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlflow import artifacts, pyfunc
from mlflow.exceptions import MlflowException

from attrec.datasets.registry import REGISTRY
from attrec.errors import DataError, ServiceError
from attrec.parameters import MODEL_NAME
from attrec.serving.served import Served, read_served
from flows.prepare_params import PrepareParams
from tasks.comparison.registry import CHAMPION, EXPLAINS, own_alias, saved_in
from tasks.engine.params import load_params
from tasks.engine.run_store import client, experiment_id, one_sentence_faults, registered_name

T = TypeVar("T")

NEWEST_FIRST = "attributes.start_time DESC"
# MLflow has both for a registered model, a version or an alias that is not there.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Found:
    """Where a model is."""

    uri: str
    run_id: str
    """Of the run that logged it."""


def find_model(family: str, name: str) -> Found:
    """Where a model is, by its version, an alias, or as the newest run of this name.

    `champion` is that of the dataset which params.yaml names, whatever was computed last: DVC may have had the rest in
    its cache. What the store does not know or has lost is filled again from what DVC holds.

    Raises:
        ServiceError: there is no such model, or the store does not answer.
    """
    if name == CHAMPION:
        name = own_alias(_dataset())
    with one_sentence_faults():
        found = _find(family, name)
        if found is None and _refilled(family):
            found = _find(family, name)
        if found is None:
            raise _not_there(family, name)
    return found


def load_model(family: str, name: str) -> Served:
    """The model, as its own family serves it.

    Raises:
        ServiceError: there is none, its files are gone, or the store does not answer.
        ParamsError: its files are gone, and params.yaml is at fault.
    """
    return _taken(family, name, _load)


def load_saved(family: str, name: str) -> tuple[Path, Served]:
    """The folder of the saved model, with its card beside it, and what `load_model` gives of it.

    Raises:
        ServiceError, ParamsError: see `load_model`.
    """
    return _taken(family, name, _load_saved)


def _taken(family: str, name: str, take: Callable[[Found], T | None]) -> T:
    taken = take(find_model(family, name))
    if taken is None and _refilled(family):
        taken = take(find_model(family, name))
    if taken is None:
        found = find_model(family, name)
        raise ServiceError(
            f"The files of the model {name!r} ({found.uri}) are gone, damaged or of another version of attrec: run"
            f" `{_fit_again(family, found.run_id)}`."
        )
    return taken


def _load(found: Found) -> Served | None:
    """None where its files are gone, damaged or of another version."""
    try:
        served: Served = pyfunc.load_model(found.uri).unwrap_python_model().answers
    except (DataError, MlflowException, OSError):
        return None
    return served


def _load_saved(found: Found) -> tuple[Path, Served] | None:
    """None where its files are gone, damaged or of another version."""
    try:
        folder = saved_in(Path(artifacts.download_artifacts(artifact_uri=found.uri)))
        return folder, read_served(folder)
    except (DataError, KeyError, MlflowException, OSError):
        return None


def _refilled(family: str) -> bool:
    from flows.refill import refill

    return bool(refill([family]))


def about(family: str, name: str) -> str:
    """What `load_model` loads of this family: the name of the model in every table, and what it was trained on."""
    with one_sentence_faults():
        tags = client().get_run(find_model(family, name).run_id).data.tags
    return f"{tags['model']}, trained on {tags['dataset']}"


def explains(family: str, name: str) -> bool:
    """Whether what `load_model` loads of this family can say what an answer rests on."""
    with one_sentence_faults():
        return client().get_run(find_model(family, name).run_id).data.tags.get(EXPLAINS) != "false"


def explainers(family: str) -> list[str]:
    """Names of the tracked models of a family that can."""
    with one_sentence_faults():
        asked = (
            f"tags.`dvc.stage` = '{family}' and tags.{EXPLAINS} = 'true' and attributes.status = 'FINISHED'"
        )
        runs = client().search_runs([experiment_id()], asked, max_results=200)
    return list(dict.fromkeys(run.data.tags["model"] for run in runs if "model" in run.data.tags))


def _find(family: str, name: str) -> Found | None:
    store, current, registered = client(), _dataset(), registered_name(family)
    try:
        if name.isdigit():
            version = store.get_model_version(registered, name)
        else:
            version = store.get_model_version_by_alias(registered, name)
        return Found(f"models:/{registered}/{version.version}", str(version.run_id))
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
    if not MODEL_NAME.fullmatch(name):
        return None
    named = f"tags.model = '{name}' and attributes.status = 'FINISHED'"
    # Models of several families may have one name, such as popularity: this family's come first.
    own = f"{named} and tags.`dvc.stage` = '{family}'"
    for asked in (f"{own} and tags.dataset = '{current}'", own, named):
        for run in store.search_runs([experiment_id()], asked, max_results=1, order_by=[NEWEST_FIRST]):
            if run.outputs and run.outputs.model_outputs:
                return Found(f"models:/{run.outputs.model_outputs[0].model_id}", run.info.run_id)
    return None


def _not_there(family: str, name: str) -> ServiceError:
    dataset = name.removeprefix(f"{CHAMPION}-")
    of_dataset = name != dataset and dataset in REGISTRY
    names = names_of(family)
    others = f"; there are {', '.join(names)}" if names else ""
    if names and not of_dataset:
        return ServiceError(f"There is no registered or tracked model {name!r}{others}.")
    command = f"make reproduce DATASET={dataset}" if of_dataset else "make reproduce"
    return ServiceError(
        f"There is no registered or tracked model {name!r}: run `{command}`, or `dvc pull`, first{others}."
    )


def _dataset() -> str:
    """The dataset that params.yaml names."""
    return load_params(PrepareParams).dataset


def _fit_again(family: str, run_id: str) -> str:
    """The command; to DVC nothing has changed, so that it must be forced."""
    named = _dataset()
    dataset = client().get_run(run_id).data.tags.get("dataset", named)
    return f"dvc repro -f {family}" if dataset == named else f"dvc exp run -f -S dataset={dataset} {family}"


def names_of(family: str) -> list[str]:
    """Aliases of the registered model, and names of the tracked ones of its family."""
    try:
        aliases = list(client().get_registered_model(registered_name(family)).aliases)
    except MlflowException:
        aliases = []
    asked = f"tags.`dvc.stage` = '{family}' and attributes.status = 'FINISHED'"
    runs = client().search_runs([experiment_id()], asked, max_results=200)
    return sorted(aliases) + sorted({run.data.tags["model"] for run in runs if "model" in run.data.tags})
