"""The registered models as the registry has them; who only asks for one waits for nothing that fits models."""

from __future__ import annotations

from pathlib import Path

from mlflow import artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from attrec.errors import ServiceError
from tasks.engine.run_store import (
    EXPERIMENT_VARIABLE,
    client,
    is_not_found,
    one_sentence_faults,
    registered_name,
)

CHAMPION = "champion"
FAMILY_TAG = "attrec.family"
EXPLAINS = "explains"
"""Tag of a model's run: whether it can say what an answer rests on."""
FILLED_TAG = "filled.from"
"""Tag of a run that was made again: what the first one's id was."""


def own_alias(dataset: str) -> str:
    """The alias of a dataset's champion."""
    return f"{CHAMPION}-{dataset}"


def follow_dataset(dataset: str) -> None:
    """Let `champion` of every registered model of ours answer for this dataset, where it has one.

    A stage whose results DVC had in its cache did not challenge anybody, so that the alias is where the last one that
    ran has left it.
    """
    with one_sentence_faults():
        for model in client().search_registered_models():
            version = model.aliases.get(own_alias(dataset))
            ours = model.name == registered_name(model.tags.get(FAMILY_TAG, ""))
            if ours and version is not None and model.aliases.get(CHAMPION) != version:
                client().set_registered_model_alias(model.name, CHAMPION, version)


def holder_of(family: str, dataset: str) -> ModelVersion | None:
    """The champion of a family on a dataset."""
    name, alias = registered_name(family), own_alias(dataset)
    if alias not in client().get_registered_model(name).aliases:
        return None
    return client().get_model_version_by_alias(name, alias)


def ensure_registered(family: str) -> None:
    """Make the registered model of a family.

    Raises:
        ServiceError: one of this name is there that attrec has not made.
    """
    name = registered_name(family)
    if find_registered(name) is None:
        described = f"The {family} models of attrec, as its flows fit them."
        try:
            client().create_registered_model(name, tags={FAMILY_TAG: family}, description=described)
        except MlflowException as error:
            # Another machine may have made it in between.
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
    found = client().get_registered_model(name)
    if FAMILY_TAG not in found.tags and _is_of_earlier_version(name):
        client().set_registered_model_tag(name, FAMILY_TAG, family)
    elif found.tags.get(FAMILY_TAG) != family:
        raise ServiceError(
            f"The registry has a model {name} that attrec has not made: set {EXPERIMENT_VARIABLE} to a name of your"
            " project, which ours then begin with."
        )


def _is_of_earlier_version(name: str) -> bool:
    """Whether attrec registered it before it marked what it registers."""
    versions = client().search_model_versions(f"name = '{name}'", max_results=1)
    return bool(versions) and {"split", "decision"} <= versions[0].tags.keys()


def find_registered(name: str) -> RegisteredModel | None:
    """The registered model of this name."""
    try:
        return client().get_registered_model(name)
    except MlflowException as error:
        if not is_not_found(error):
            raise
        return None


def has_files(version: ModelVersion) -> bool:
    """Whether the files of a version are where the store has put them."""
    return bool(artifacts.list_artifacts(artifact_uri=f"models:/{version.name}/{version.version}"))


def saved_in(served: Path) -> Path:
    """The folder of the saved model in one that MLflow has logged."""
    from mlflow.models import Model as LoggedFolder

    artifact = LoggedFolder.load(str(served)).flavors["python_function"]["artifacts"]["model"]
    return served / artifact["path"]
