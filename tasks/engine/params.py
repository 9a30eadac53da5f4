"""Read `params.yaml`: each flow declares the section it needs as a pydantic model, unknown keys are errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attrec.errors import ParamsError
from attrec.files import whole
from attrec.parameters import check_types, ended, explain, suggestion
from tasks.engine import environment

PARAMS_FILE = "params.yaml"
OWN_DATA = "prepare.csv"
SECTIONS = ("dataset", "seed", "runner", "prepare", "rating", "sequence", "playlist", "paper", "tune")

M = TypeVar("M", bound=BaseModel)


class RunnerConfig(BaseModel):
    """Where tasks run."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["threads", "dask"] = "threads"
    workers: int = Field(2, ge=1, le=256, description="tasks at once; each computes on one thread")


def load_params(model: type[M], file: Path | None = None) -> M:
    """Validate the top-level keys of `params.yaml` that `model` declares.

    Raises:
        ParamsError: the file is missing or not YAML, a key is unknown, a value has the wrong type or is out of range.
    """
    file = file or environment.ROOT / PARAMS_FILE
    values, own = _with_own_data(_read(file))
    unknown = next((key for key in values if key not in SECTIONS), None)
    if unknown is not None:
        raise ParamsError(
            ended(f"{file.name}: there is no parameter {unknown!r}{suggestion(str(unknown), SECTIONS)}")
        )
    said = {key: values[key] for key in model.model_fields if key in values}
    try:
        made = model.model_validate(said)
        check_types(said, made)
        return made
    except RecursionError:
        raise ParamsError(f"{file.name}: something in it is part of itself, or nested too deep.") from None
    except ValueError as error:
        fault = explain(error, model) if isinstance(error, ValidationError) else ended(str(error))
        raise ParamsError(f"{file.name}: {fault.replace(OWN_DATA, 'dataset') if own else fault}") from error


@contextmanager
def edited_params(file: Path | None = None) -> Iterator[Any]:
    """What params.yaml says, to be changed in place; comments and order stay. Written when the block ends well.

    Raises:
        ParamsError: the file is missing or not YAML.
    """
    file = file or environment.ROOT / PARAMS_FILE
    _read(file)
    yaml = commented_yaml()
    values = yaml.load(file)
    yield values
    with whole(file) as temporary:
        yaml.dump(values, temporary)


def commented_yaml() -> Any:
    """A reader and writer of YAML that keeps comments, quotes and the word null."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def exchange_own_data(dataset: str) -> bool:
    """Let params.yaml name another dataset where one's own data stand; these move to prepare.csv, or come from there.

    Returns:
        Whether one's own data had to move.

    Raises:
        ParamsError: the place that they would move to is taken.
    """
    with edited_params() as values:
        own, kept = values["dataset"], (values.get("prepare") or {}).get("csv")
        if not isinstance(own, dict) or own.get("name") == dataset:
            return False
        wanted = kept is not None and kept.get("name", "csv") == dataset
        if kept is not None and not wanted:
            raise ParamsError(
                f"{PARAMS_FILE} has two data of your own, at dataset and at prepare.csv, and room for no third:"
                f" remove one, or put `dataset: {dataset}` there yourself."
            )
        values["dataset"] = kept if wanted else dataset
        if not isinstance(values.get("prepare"), dict):
            values["prepare"] = {}
        values["prepare"]["csv"] = own
    return True


def _with_own_data(values: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A mapping at `dataset` put where stages look for it, and its name in its place; whether there was one."""
    own = values.get("dataset")
    if not isinstance(own, dict):
        return values, False
    if "name" not in own:
        raise ParamsError(
            "params.yaml: dataset: give your data a name, as in {name: shop, path: shop.csv}, or name one of"
            " `attrec datasets`."
        )
    prepare = values.get("prepare") or {}
    if isinstance(prepare, dict):
        prepare = {**prepare, "csv": own}
    return {**values, "dataset": own["name"], "prepare": prepare}, True


def _read(file: Path) -> dict[str, Any]:
    # By the rules of DVC, which reads it too: a key that is there twice is refused.
    from ruamel.yaml import YAML, YAMLError

    try:
        # Of a loop of links this asks in vain.
        other = file.exists() and not file.is_file()
    except OSError:
        other = True
    if other:
        raise ParamsError(f"{file.name} is no file: put the parameters in its place, as Git has them.")
    try:
        values = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{file} is missing: run from the project, where {PARAMS_FILE} stands.") from None
    except OSError as error:
        raise ParamsError(f"{file.name} cannot be read: {error.strerror or error}.") from error
    except (YAMLError, ValueError, RecursionError) as error:
        # What follows is how to read such a file all the same.
        said = str(error).partition("To suppress this check")[0]
        raise ParamsError(f"{file.name} is not valid YAML: {' '.join(said.split())}.") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{file.name} must hold `key: value` pairs.")
    return values
